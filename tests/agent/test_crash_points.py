# SPDX-License-Identifier: Apache-2.0
"""An agent that is killed before or after any of its effects leaves neither a leak nor a double start: a fresh
one finds what is there and goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from lichen.kinds.builtin import CONFIG_MAP, PERSISTENT_VOLUME_CLAIM, POD
from lichen.kinds.compute.flavor import Flavor
from lichen.kinds.compute.server import Server
from lichen.kinds.image.image import Image
from lichen.kinds.network.floatingip import FloatingIP
from lichen.kinds.network.network import Network
from lichen.kinds.network.port import Port
from lichen.kinds.network.router import Router
from lichen.kinds.network.subnet import Subnet
from lichen.kinds.volume.attachment import VolumeAttachment
from lichen.kinds.volume.snapshot import VolumeSnapshot
from lichen.kinds.volume.volume import Volume
from lichen.model.data import Object
from lichen.model.meta import uid_of
from lichen.planning.times import rfc3339
from tests.agent.crashing import Fuse, MortalWorld, a_mortal_world

SERVER, VOLUME, ATTACHMENT = Server.KIND, Volume.KIND, VolumeAttachment.KIND
GIB = 1 << 30


def phase(wanted: str) -> Callable[[Object], bool]:
    return lambda obj: (obj.get("status") or {}).get("phase") == wanted


async def furnish(world: MortalWorld) -> None:
    """An image, two flavors, a network."""
    image = await world.create(Image.KIND, "img", {"diskFormat": "qcow2", "containerFormat": "bare"})
    world.images.mkdir(parents=True)
    (world.images / image["spec"]["id"]).write_bytes(b"QFI\xfbdisk")
    await world.patch(Image.KIND, "img", {"status": {"phase": "active"}}, "status")
    for name, memory in (("small", 128), ("large", 256)):
        await world.create(Flavor.KIND, name, {"vcpus": 1, "memory": memory, "disk": 1}, namespace="")
    await a_network(world, "net", "10.0.0.0/24")


async def a_network(world: MortalWorld, name: str, cidr: str, **spec: Any) -> Object:
    network = await world.create(Network.KIND, name, spec)
    await world.create(Subnet.KIND, name, {"network": name, "cidr": cidr})
    return network


async def a_server(world: MortalWorld, name: str = "web", **spec: Any) -> Object:
    wanted = {"flavor": "small", "image": "img", "networks": [{"network": "net"}], **spec}
    await world.create(SERVER, name, {key: value for key, value in wanted.items() if value is not None})
    return await becomes(world, name, "Running")


async def becomes(world: MortalWorld, name: str, wanted: str) -> Object:
    """The server, once it is settled in a phase."""
    return await world.until(SERVER, name, lambda s: phase(wanted)(s) and not s["status"].get("task"))


async def change(world: MortalWorld, wanted: str, **spec: Any) -> Object:
    await world.patch(SERVER, "web", {"spec": spec})
    return await world.until(
        SERVER, "web",
        lambda s: phase(wanted)(s) and not s["status"].get("task")
        and s["status"].get("rebootedAt", "") == s["spec"].get("rebootedAt", "")
        and s["status"].get("rebuiltAt", "") == s["spec"].get("rebuiltAt", "")
        and s["status"]["resources"]["memory"] == s["spec"]["resources"]["memory"],
    )  # fmt: skip


async def as_wanted(world: MortalWorld) -> None:
    """What runs is what is wanted, and nothing else is there."""
    machine = world.machine
    servers = {s["spec"]["id"]: s for s in await world.all(SERVER)}
    pods = {uid_of(pod): pod for pod in await world.all(POD)}
    ports = await world.all(Port.KIND, None)
    attachments = await world.all(ATTACHMENT)
    plugged = {p["spec"]["id"]: p for p in ports if p["spec"].get("deviceId") in servers.keys() | pods.keys()}
    assert machine.guests.keys() == servers.keys()
    assert machine.pods.keys() == pods.keys()
    assert machine.ports.keys() == plugged.keys()
    assert machine.networks.keys() <= {n["spec"]["id"] for n in await world.all(Network.KIND, None)}
    assert machine.routers.keys() <= {r["spec"]["id"] for r in await world.all(Router.KIND, None)}
    assert world.pool.volumes == {v["spec"]["id"]: v["spec"]["size"] * GIB for v in await world.all(VOLUME)}
    assert world.pool.snapshots.keys() == {s["spec"]["id"] for s in await world.all(VolumeSnapshot.KIND)}
    assert await world.mounts.discover() == {a["spec"]["volumeId"] for a in attachments if a["spec"].get("pods")}
    folders = world.root / "node-1" / "volumes"
    assert {path.name for path in folders.iterdir()} <= pods.keys() if folders.exists() else True
    for id, server in servers.items():
        guest = machine.guests[id]
        assert str(guest.power) == server["status"]["power"]
        assert (guest.spec.memory, guest.has_disk) == (server["spec"]["resources"]["memory"], True)
        if server["status"]["power"] == "Running":
            assert {nic.mac for nic in guest.nics} == {
                p["spec"]["mac"] for p in ports if p["spec"].get("deviceId") == id
            }
            held = {a["spec"]["volumeId"] for a in attachments if a["spec"].get("serverId") == id}
            assert {disk.id for disk in guest.spec.disks} == held
            assert all(guest.seen.get(volume) == world.pool.volumes[volume] for volume in held)
    for uid in pods:
        for attempts in machine.pods[uid].containers.values():
            assert [a.attempt for a in attempts] == [0]


async def started(world: MortalWorld, times: int, name: str = "web") -> None:
    """The machine is as wanted, and the guest was powered on so often in its life."""
    id = (await world.get(SERVER, name))["spec"]["id"]
    await world.comes_true(lambda: as_wanted(world))
    assert len(world.machine.guests[id].runs) == times


async def gone(world: MortalWorld, *things: tuple[Any, str]) -> None:
    """Delete them; all are gone, and so is what was made for them."""
    for kind, name in things:
        await world.state.delete(kind, name, "demo")
    for kind, name in things:
        await world.until_gone(kind, name)
    await world.comes_true(lambda: as_wanted(world))


async def servers_from_images(world: MortalWorld) -> None:
    await a_server(world)
    await started(world, 1)
    await change(world, "Stopped", power="Off")
    await started(world, 1)
    await change(world, "Running", power="On")
    await started(world, 2)
    await asyncio.sleep(1.0 - world.clock.now() % 1)  # a start is told from the one before by its second
    await change(world, "Running", rebootedAt=rfc3339(world.clock.now()), rebootType="Hard")
    await started(world, 3)
    await change(world, "Paused", power="Paused")
    await change(world, "Running", power="On")
    await change(world, "Running", rebuiltAt=rfc3339(world.clock.now()))
    await started(world, 4)
    await change(world, "Running", flavor="large")
    await started(world, 5)
    await world.create(Port.KIND, "more", {"network": "net"})
    id = (await world.get(SERVER, "web"))["spec"]["id"]
    await world.patch(Port.KIND, "more", {"spec": {"deviceId": id, "deviceOwner": "compute:nova"}})
    await world.comes_true(lambda: as_wanted(world))
    await world.patch(Port.KIND, "more", {"spec": {"deviceId": "", "deviceOwner": ""}})
    await started(world, 5)
    await gone(world, (SERVER, "web"), (Port.KIND, "more"))


async def servers_with_volumes(world: MortalWorld) -> None:
    await world.create(VOLUME, "root", {"image": "img", "size": 1})
    await world.until(VOLUME, "root", phase("Available"))
    volumes = [{"volume": "root", "boot": True, "deleteOnTermination": True}]
    await a_server(world, image=None, volumes=volumes)
    await started(world, 1)
    await world.create(VOLUME, "data", {"size": 1})
    await world.until(VOLUME, "data", phase("Available"))
    await world.create(ATTACHMENT, "data", {"volume": "data", "server": "web"})
    await world.until(ATTACHMENT, "data", phase("Attached"))
    await started(world, 1)
    await world.patch(VOLUME, "data", {"spec": {"size": 2}})
    await world.until(VOLUME, "data", lambda v: phase("Available")(v) and v["status"]["size"] == 2)
    await started(world, 1)
    await world.create(VolumeSnapshot.KIND, "snap", {"volume": "data"})
    await world.until(VolumeSnapshot.KIND, "snap", phase("Available"))
    await world.create(VOLUME, "copy", {"snapshot": "snap"})
    await world.until(VOLUME, "copy", phase("Available"))
    await change(world, "Stopped", power="Off")
    await change(world, "Running", power="On")
    await started(world, 2)
    await world.state.delete(ATTACHMENT, "data", "demo")
    await world.until_gone(ATTACHMENT, "data")
    await started(world, 2)
    await gone(world, (SERVER, "web"), (VolumeSnapshot.KIND, "snap"), (VOLUME, "copy"))
    await world.until_gone(VOLUME, "root")
    await gone(world, (VOLUME, "data"))


async def pods_with_claims(world: MortalWorld) -> None:
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    await world.create(PERSISTENT_VOLUME_CLAIM, "data", claim)
    await world.state.create(CONFIG_MAP, {
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "conf", "namespace": "demo"}, "data": {"a": "b"},
    })  # fmt: skip
    mounts = [{"name": name, "mountPath": f"/{name}"} for name in ("data", "conf", "scratch")]
    volumes = [
        {"name": "data", "persistentVolumeClaim": {"claimName": "data"}},
        {"name": "conf", "configMap": {"name": "conf"}},
        {"name": "scratch", "emptyDir": {}},
    ]

    def a_container(name: str, script: str) -> Object:
        return {"name": name, "image": "busybox", "command": ["sh", "-c", script], "volumeMounts": mounts}

    spec = {
        "initContainers": [a_container("first", "true"), a_container("second", "true")],
        "containers": [a_container("main", "sleep 1000"), a_container("beside", "sleep 1000")],
        "volumes": volumes,
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 1,
    }
    for number in range(2):
        await world.create(POD, f"p{number}", spec)
    for number in range(2):
        await world.until(POD, f"p{number}", phase("Running"))
    await world.comes_true(lambda: as_wanted(world))
    await gone(world, (POD, "p0"))
    await gone(world, (POD, "p1"), (PERSISTENT_VOLUME_CLAIM, "data"))


async def networks_and_addresses(world: MortalWorld) -> None:
    await a_network(world, "out", "203.0.113.0/24", external=True)
    await world.create(Router.KIND, "r", {"externalGateway": {"network": "out"}})
    router = await world.get(Router.KIND, "r")
    inside = {"network": "net", "deviceOwner": "network:router_interface", "deviceId": router["spec"]["id"]}
    await world.create(Port.KIND, "r-net", inside)
    await a_server(world)
    await started(world, 1)
    await world.create(FloatingIP.KIND, "f", {"network": "out", "port": "web-0"})

    async def led() -> None:
        await as_wanted(world)
        address = (await world.get(FloatingIP.KIND, "f"))["spec"]["address"]
        assert [f[0] for r in world.machine.routers.values() for f in r.floating] == [address]

    await world.comes_true(led)
    await gone(world, (FloatingIP.KIND, "f"))
    await gone(world, (SERVER, "web"))
    await gone(world, (Port.KIND, "r-net"))
    await gone(world, (Router.KIND, "r"))
    await world.state.delete(Subnet.KIND, "net", "demo")
    await gone(world, (Network.KIND, "net"))


STORIES = (servers_from_images, servers_with_volumes, pods_with_claims, networks_and_addresses)


async def live_through(story: Callable[[MortalWorld], Awaitable[None]], root: Path, fuse: Fuse) -> list[str]:
    """The effects of the first agent until it died, or all."""
    root.mkdir(parents=True)
    async with a_mortal_world(root, fuse) as world:
        try:
            await furnish(world)
            await story(world)
        except AssertionError as error:
            died = f"killed {'after' if fuse.after else 'before'} effect {fuse.at}, {fuse.effects[-6:]}"
            raise AssertionError(f"{died}: {str(error)[:2000]}") from None
    return fuse.effects


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
async def test_an_agent_killed_after_any_of_its_effects_leaves_no_leak_and_no_double_start(story: Any, tmp_path: Path):
    """After one effect is before the next: a fresh agent knows of neither more than the machine shows."""
    effects = await live_through(story, tmp_path / "0", Fuse())
    assert len(effects) > 25
    side_by_side = asyncio.Semaphore(6)

    async def die_at(number: int) -> None:
        async with side_by_side:
            await live_through(story, tmp_path / str(number), Fuse(number, after=True))

    deaths = [die_at(number + 1) for number in range(len(effects))]
    outcomes = await asyncio.gather(*deaths, return_exceptions=True)
    assert [str(outcome) for outcome in outcomes if outcome is not None] == []
