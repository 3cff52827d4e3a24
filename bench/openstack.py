# SPDX-License-Identifier: Apache-2.0
"""OpenStack calls as benchmarks need them: a token, an image, a network, servers."""

from __future__ import annotations

from typing import Any

import msgspec

from bench.http import Connection, connect
from bench.lib import Cloud

DOMAIN = {"id": "default"}


def password_body(cloud: Cloud, user: str = "demo", project: str = "demo") -> dict[str, Any]:
    passwords = {"demo": cloud.credentials.demo_password, "admin": cloud.credentials.admin_password}
    who = {"name": user, "domain": DOMAIN, "password": passwords[user]}
    scope = {"project": {"name": project, "domain": DOMAIN}}
    return {"auth": {"identity": {"methods": ["password"], "password": {"user": who}}, "scope": scope}}


class Client:
    """One user in one project on one connection."""

    def __init__(self, connection: Connection, token: str) -> None:
        self.connection = connection
        self.token = token
        self.headers = {"X-Auth-Token": token, "Content-Type": "application/json"}

    @classmethod
    async def login(cls, cloud: Cloud, user: str = "demo", project: str = "demo") -> Client:
        connection = await connect(cloud.openstack_url)
        body = msgspec.json.encode(password_body(cloud, user, project))
        head = {"Content-Type": "application/json"}
        status, answer, headers = await connection.send("POST", "/identity/v3/auth/tokens", head, body)
        if status != 201:
            raise RuntimeError(f"no token: {status} {answer!r}")
        return cls(connection, headers["x-subject-token"])

    async def get(self, path: str) -> Any:
        return await self.connection.json("GET", path, self.headers)

    async def post(self, path: str, body: Any) -> Any:
        return await self.connection.json("POST", path, self.headers, body)

    async def image(self, name: str, data: bytes, disk_format: str = "raw") -> str:
        """The id of an image that is active."""
        record = {"name": name, "disk_format": disk_format, "container_format": "bare"}
        image_id: str = (await self.post("/image/v2/images", record))["id"]
        headers = self.headers | {"Content-Type": "application/octet-stream"}
        await self.connection.ok("PUT", f"/image/v2/images/{image_id}/file", headers, data)
        return image_id

    async def network(self, name: str, cidr: str) -> str:
        """The id of a network with one subnet."""
        network_id: str = (await self.post("/network/v2.0/networks", {"network": {"name": name}}))["network"]["id"]
        subnet = {"network_id": network_id, "cidr": cidr, "ip_version": 4}
        await self.post("/network/v2.0/subnets", {"subnet": subnet})
        return network_id

    async def server_body(self, network: str | None, flavor: str = "m1.tiny") -> dict[str, Any]:
        """A server's body whose name is "@"; its image is made here. network None: it has none."""
        flavors = (await self.get("/compute/v2.1/flavors"))["flavors"]
        flavor_id = next(f["id"] for f in flavors if f["name"] == flavor)
        image = await self.image("bench", b"\0" * (1 << 20))
        networks: Any = "none" if network is None else [{"uuid": network}]
        return {"server": {"name": "@", "flavorRef": flavor_id, "imageRef": image, "networks": networks}}

    def close(self) -> None:
        self.connection.close()
