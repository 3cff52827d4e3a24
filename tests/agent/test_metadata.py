# SPDX-License-Identifier: Apache-2.0
"""What guests read of themselves over HTTP."""

from __future__ import annotations

import asyncio
import json
import socket
from typing import Any

import pytest

from lichen.agent.metadata import answer, tree
from lichen.agent.metadata_server import MetadataServer
from lichen.kinds.compute.server import Server
from lichen.model.errors import Temporary
from tests.agent.world import an_object

META = {"hostname": "web", "availability_zone": "nova", "public_keys": {"laptop": "ssh-ed25519 AAAA ann"}}
FILES = {
    "openstack/latest/meta_data.json": json.dumps(META).encode(),
    "openstack/latest/vendor_data.json": b"{}",
    "openstack/latest/user_data": b"#!/bin/sh\n",
}
ID = "c0ffee00-1111-4111-8111-111111111111"


@pytest.fixture
def content() -> dict[str, bytes]:
    server = Server.of(an_object(Server.KIND, "web", {"id": ID, "flavor": "tiny", "imageId": "1234abcd-0"}))
    return tree(server, FILES, "10.0.0.9", "203.0.113.9")


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/openstack/latest/meta_data.json", json.dumps(META)),
        ("/openstack/2018-08-27/meta_data.json", json.dumps(META)),
        ("/openstack/latest/user_data", "#!/bin/sh\n"),
        ("/openstack/latest/", "meta_data.json\nuser_data\nvendor_data.json\nvendor_data2.json"),
        ("/latest/user-data", "#!/bin/sh\n"),
        ("/2009-04-04/meta-data/local-ipv4", "10.0.0.9"),
        ("/latest/meta-data/public-ipv4", "203.0.113.9"),
        ("/latest/meta-data/instance-id", "i-c0ffee00"),
        ("/latest/meta-data/ami-id", "ami-1234abcd"),
        ("/latest/meta-data/placement/availability-zone", "nova"),
        ("/latest/meta-data/public-keys/", "0=laptop"),
        ("/latest/meta-data/public-keys/0/openssh-key", "ssh-ed25519 AAAA ann"),
        ("/latest/", "meta-data/\nuser-data"),
    ],
)
def test_a_path_says_what_the_config_drive_says(content: dict[str, bytes], path: str, said: str):
    assert answer(content, ("laptop",), path) == said.encode()


@pytest.mark.parametrize("path", ["/openstack/1999-01-01/meta_data.json", "/latest/nothing", "/etc/passwd", "/../x"])
def test_other_paths_lead_nowhere(content: dict[str, bytes], path: str):
    assert answer(content, (), path) is None


def test_a_password_is_told_on_the_drive_only():
    files = {**FILES, "openstack/latest/meta_data.json": json.dumps({**META, "admin_pass": "secret"}).encode()}
    server = Server.of(an_object(Server.KIND, "web", {"id": ID, "flavor": "tiny"}))
    assert b"secret" not in b"".join(tree(server, files, "10.0.0.9", "").values())


def test_folders_list_their_versions_and_what_is_in_them(content: dict[str, bytes]):
    assert b"latest" in (answer(content, (), "/") or b"").split()
    assert b"latest" in (answer(content, (), "/openstack") or b"").split()
    assert b"public-keys/" in (answer(content, ("laptop",), "/latest/meta-data") or b"").split()


class Loopback:
    """Listens on this machine, whatever address is asked for."""

    async def listen(self, network_id: str, ip: str, port: int) -> socket.socket:
        listening = socket.create_server(("127.0.0.1", 0))
        listening.setblocking(False)
        self.port = listening.getsockname()[1]
        return listening


async def ask(port: int, path: str, method: str = "GET") -> tuple[int, bytes]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"{method} {path} HTTP/1.0\r\nX-Forwarded-For: 10.0.0.9\r\n\r\n".encode())
    writer.write_eof()
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    return int(head.split()[1]), body


async def test_the_service_answers_by_network_and_address(content: dict[str, bytes]):
    asked: list[tuple[str, str]] = []
    known: dict[str, Any] = {"net": (content, ()), "strange": None}

    async def find(network_id: str, address: str) -> Any:
        asked.append((network_id, address))
        await asyncio.sleep(0.01)
        if network_id == "broken":
            raise Temporary("not now")
        return known[network_id]

    answers = {}
    for network_id in ("net", "strange", "broken"):
        place = Loopback()
        server = MetadataServer(place, find)
        await server.ensure(network_id)
        await server.ensure(network_id)
        answers[network_id] = await ask(place.port, "/latest/meta-data/hostname")
        if network_id == "net":
            assert await ask(place.port, "/latest/nothing") == (404, b"404 Not Found\n")
            assert (await ask(place.port, "/latest", "POST"))[0] == 405
        server.close()
    assert answers["net"] == (200, b"web")
    assert (answers["strange"][0], answers["broken"][0]) == (404, 503)
    assert asked[0] == ("net", "127.0.0.1")
