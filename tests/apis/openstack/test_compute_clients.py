# SPDX-License-Identifier: Apache-2.0
"""Compute, network and image calls by the real openstack CLI and openstacksdk, over a socket.

Nobody runs servers here: `Hands` reports in their status what scheduler, controllers and node would.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lichen.apis.openstack.app import create_app
from lichen.kinds.builtin import NODE
from lichen.kinds.compute.server import Server
from lichen.model.data import Object
from lichen.model.meta import name_of, namespace_of
from lichen.model.state import EventType
from tests.conformance.openstack_cli import Clients, listening

from .cloud import PASSWORD, READY, TestCloud, a_node, running_cloud


@dataclass
class World:
    """A cloud with one node that obeys at once, and the clients of its admin and of project demo."""

    cloud: TestCloud
    admin: Clients
    demo: Clients
    home: Path


async def obey(cloud: TestCloud) -> None:
    """What wants to run, runs; what wants to stop, is stopped."""
    async for event in cloud.state.watch(Server.KIND):
        if event.type in (EventType.ADDED, EventType.MODIFIED):
            await _obey(cloud, event.object)


async def _obey(cloud: TestCloud, server: Object) -> None:
    spec, status = server["spec"], server.get("status") or {}
    if not spec.get("node"):
        await cloud.state.patch(Server.KIND, name_of(server), namespace_of(server), {"spec": {"node": "node-1"}})
        return
    wanted = (
        {"phase": "Running", "power": "Running"} if spec["power"] == "On" else {"phase": "Stopped", "power": "Shutdown"}
    )
    wanted |= {"rebootedAt": spec.get("rebootedAt", ""), "launchedAt": "2026-01-01T00:00:00Z"}
    wanted["addresses"] = [{"network": "private", "ip": "10.1.0.2", "mac": "fa:16:3e:00:00:01", "version": 4}]
    if any(status.get(key, "") != value for key, value in wanted.items()):
        await cloud.report(Server.KIND, spec["id"], **wanted)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    (tmp_path / "disk.img").write_bytes(b"\0" * 70_000)
    (tmp_path / "boot.sh").write_text("#!/bin/sh\n")
    async with running_cloud(tmp_path) as cloud, listening(create_app(cloud, images=tmp_path / "images")) as url:
        await cloud.state.create(NODE, a_node())
        await cloud.state.patch(NODE, "node-1", "", {"status": READY}, subresource="status")
        task = asyncio.create_task(obey(cloud))
        admin = Clients(url, PASSWORD, home=tmp_path)
        yield World(cloud, admin, admin.as_user("demo", "demo", PASSWORD), tmp_path)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_an_image_is_created_from_a_file_listed_saved_set_and_deleted(world: World) -> None:
    demo = world.demo
    disk = str(world.home / "disk.img")
    made = await demo.json("image", "create", "--file", disk, "--disk-format", "raw", "--property", "os=x", "tiny")
    assert (made["status"], made["size"], made["properties"]["os"]) == ("active", 70_000, "x")
    assert made["checksum"] == hashlib.md5(b"\0" * 70_000).hexdigest()
    listed = await demo.json("image", "list")
    assert [(i["Name"], i["Status"]) for i in listed] == [("tiny", "active")]
    await demo.ok("image", "save", "--file", str(world.home / "copy.img"), "tiny")
    assert (world.home / "copy.img").read_bytes() == b"\0" * 70_000
    await demo.ok("image", "set", "--name", "small", "--property", "more=y", "--tag", "t", "--protected", "tiny")
    shown = await demo.json("image", "show", "small")
    assert (shown["properties"]["more"], shown["tags"], shown["protected"]) == ("y", ["t"], True)
    assert "protected" in await demo.refused("image", "delete", "small")
    await demo.ok("image", "set", "--unprotected", "small")
    await demo.ok("image", "delete", "small")
    assert await demo.json("image", "list") == []


async def test_a_file_that_is_not_the_image_it_claims_to_be_is_refused(world: World) -> None:
    disk = str(world.home / "disk.img")
    said = await world.demo.refused("image", "create", "--file", disk, "--disk-format", "qcow2", "fake")
    assert "declared qcow2, found raw" in said


async def test_networks_subnets_and_ports_come_and_go(world: World) -> None:
    demo = world.demo
    network = await demo.json("network", "create", "private", "--tag", "blue")
    assert (network["name"], network["tags"], network["shared"]) == ("private", ["blue"], False)
    subnet = await demo.json("subnet", "create", "--network", "private", "--subnet-range", "10.1.0.0/24", "s1")
    assert (subnet["gateway_ip"], subnet["network_id"]) == ("10.1.0.1", network["id"])
    port = await demo.json("port", "create", "--network", "private", "p1")
    assert port["fixed_ips"] == [{"subnet_id": subnet["id"], "ip_address": "10.1.0.2"}]
    listed, subnets, ports, shown = await asyncio.gather(
        demo.json("network", "list", "--internal"),
        demo.json("subnet", "list", "--network", "private"),
        demo.json("port", "list", "--network", "private", "--fixed-ip", "ip-address=10.1.0.2"),
        demo.json("network", "show", "private"),
    )
    assert {n["Name"] for n in listed} == {"private", "cluster"}
    assert [(s["Name"], s["Subnet"]) for s in subnets] == [("s1", "10.1.0.0/24")]
    assert [p["Name"] for p in ports] == ["p1"]
    assert shown["subnets"] == [subnet["id"]]
    overlap = ("subnet", "create", "--network", "private", "--subnet-range", "10.1.0.128/25", "s2")
    assert "overlaps" in await demo.refused(*overlap)
    assert "still in use" in await demo.refused("network", "delete", "private")
    await demo.ok("port", "set", "--name", "p2", "p1")
    await demo.ok("port", "delete", "p2")
    await demo.ok("subnet", "delete", "s1")
    await demo.ok("network", "delete", "private")


async def test_a_server_lives_by_the_cli(world: World) -> None:
    demo, admin = world.demo, world.admin
    disk, script = str(world.home / "disk.img"), str(world.home / "boot.sh")
    await asyncio.gather(
        admin.ok("flavor", "create", "--ram", "256", "--vcpus", "1", "--disk", "1", "m1.tiny"),
        demo.ok("image", "create", "--file", disk, "--disk-format", "raw", "tiny"),
        demo.ok("keypair", "create", "k1"),
        demo.ok("network", "create", "private"),
    )
    await demo.ok("subnet", "create", "--network", "private", "--subnet-range", "10.1.0.0/24", "s1")
    made = await demo.json(
        "server", "create", "--image", "tiny", "--flavor", "m1.tiny", "--key-name", "k1", "--network", "private",
        "--user-data", script, "--use-config-drive", "--property", "x=y", "--wait", "web",
    )  # fmt: skip
    assert (made["status"], made["addresses"], made["properties"]) == ("ACTIVE", {"private": ["10.1.0.2"]}, {"x": "y"})
    path = "/apis/compute.lichen.dev/v1/namespaces/demo/servers/web/log"
    world.cloud.consoles[path] = b"login:\n"
    listed, console, hosts = await asyncio.gather(
        demo.json("server", "list"), demo.ok("console", "log", "show", "web"), admin.json("hypervisor", "list")
    )
    assert [(s["Name"], s["Status"], s["Image"], s["Flavor"]) for s in listed] == [("web", "ACTIVE", "tiny", "m1.tiny")]
    assert console.strip() == "login:"
    assert [(h["Hypervisor Hostname"], h["State"]) for h in hosts] == [("node-1", "up")]
    await demo.ok("server", "stop", "web")
    assert (await demo.json("server", "show", "web"))["status"] == "SHUTOFF"
    await demo.ok("server", "start", "web")
    await demo.ok("server", "reboot", "--hard", "--wait", "web")
    limits, quota = await asyncio.gather(demo.json("limits", "show", "--absolute"), demo.json("quota", "show"))
    assert {row["Name"]: row["Value"] for row in limits}["total_ram_used"] == 256
    assert {row["Resource"]: row["Limit"] for row in quota}["instances"] == -1
    await demo.ok("server", "delete", "--wait", "web")
    assert await demo.json("server", "list") == []


async def test_the_sdk_finds_its_way_by_name_and_by_id(world: World) -> None:
    def work() -> Any:
        connection = world.admin.sdk()
        network = connection.network.create_network(name="private")
        connection.network.create_subnet(network_id=network.id, ip_version=4, cidr="10.1.0.0/24", name="s1")
        flavor = connection.compute.create_flavor(name="m1.tiny", ram=256, vcpus=1, disk=1)
        image = connection.create_image(
            "tiny", data=b"\0" * 4096, disk_format="raw", container_format="bare", wait=True
        )
        server = connection.create_server(
            "web", image="tiny", flavor="m1.tiny", network="private", wait=True, auto_ip=False
        )
        found = connection.compute.find_server("web")
        ports = list(connection.network.ports(network_id=network.id))
        tagged = connection.network.set_tags(network, ["blue"])
        quota = connection.compute.get_quota_set(connection.current_project_id)
        connection.delete_server("web", wait=True)
        return network, flavor, image, server, found, ports, tagged, quota

    network, flavor, image, server, found, ports, tagged, quota = await asyncio.to_thread(work)
    assert (server.status, found.id, found.flavor.original_name) == ("ACTIVE", server.id, flavor.name)
    assert (image.status, found.image.id) == ("active", image.id)
    assert (ports, tagged.tags, network.name, quota.cores) == ([], ["blue"], "private", -1)
