# SPDX-License-Identifier: Apache-2.0
"""Volumes in guests: plugged in and out while they run, there again after each start, kept until the guest lets go."""

from __future__ import annotations

import asyncio
from typing import Any

from lichen.agent.agent import Shared
from lichen.drivers.fake import FakeMachine
from lichen.kinds.compute.server import Server
from lichen.kinds.network.port import Port
from lichen.kinds.volume.attachment import VolumeAttachment
from lichen.kinds.volume.volume import Volume
from lichen.model.data import Object
from lichen.model.names import NODE_FINALIZER
from lichen.runtime.clock import SystemClock
from tests.agent.test_blocks import available, phase
from tests.agent.world import World, a_port, a_server, an_agent, an_object, boot

ATTACHMENT = VolumeAttachment.KIND


async def attached(world: World, volume: str = "data", server: str = "web", **spec: Any) -> Object:
    """An attachment, as admission would complete it, once it is carried out."""
    await world.store.create(ATTACHMENT, an_attachment(volume, server, **spec))
    return await world.until(ATTACHMENT, volume, phase("Attached"))


def an_attachment(volume: str = "data", server: str = "web", **spec: Any) -> Object:
    wanted = {"id": f"a-{volume}", "volume": volume, "volumeId": f"id-{volume}", "node": "node-1", **spec}
    if not spec.get("pods"):
        wanted |= {"server": server, "serverId": f"id-{server}"}
    return an_object(ATTACHMENT, volume, wanted, finalizers=[NODE_FINALIZER])


async def let_go(world: World, volume: str = "data") -> None:
    """Delete an attachment and wait until the node has let go."""
    mark = {"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}
    await world.store.patch(ATTACHMENT, volume, "demo", mark)
    await world.until(ATTACHMENT, volume, lambda a: not a["metadata"].get("finalizers"))


async def disks(world: World, server: str = "web") -> set[str]:
    return set((await world.guests.discover())[f"id-{server}"].disks)


async def test_a_volume_is_plugged_into_a_running_guest_and_out_again(world: World):
    await available(world)
    await boot(world)
    made = await attached(world)
    assert made["status"]["attachedAt"]
    assert await disks(world) == {"id-data"}
    await let_go(world)
    assert await disks(world) == set()


async def test_a_volume_is_there_again_after_a_crash_a_stop_and_an_agents_restart(world: World):
    await available(world)
    await boot(world)
    await attached(world)
    await world.guests.kill("id-web")
    await world.until(Server.KIND, "web", lambda s: s["status"].get("restarts") == 1 and phase("Running")(s))
    assert await disks(world) == {"id-data"}
    await world.store.patch(Server.KIND, "web", "demo", {"spec": {"power": "Off"}, "metadata": {"generation": 2}})
    await world.until(Server.KIND, "web", phase("Stopped"))
    await world.restart()
    await world.store.patch(Server.KIND, "web", "demo", {"spec": {"power": "On"}, "metadata": {"generation": 3}})
    await world.until(Server.KIND, "web", phase("Running"))
    assert await disks(world) == {"id-data"}


async def test_what_was_attached_while_the_agent_was_away_is_found(world: World):
    await available(world)
    await boot(world)
    await world.stop()
    await world.store.create(ATTACHMENT, an_attachment())
    await world.start()
    await world.until(ATTACHMENT, "data", phase("Attached"))
    assert await disks(world) == {"id-data"}


async def test_a_server_waits_for_the_volume_it_boots_from(world: World):
    await world.store.create(Server.KIND, a_server(image="", imageId="", volumes=[{"volume": "root", "boot": True}]))
    await world.store.create(Port.KIND, a_port("web-0", "id-web", "compute:nova"))
    waiting = await world.until(Server.KIND, "web", lambda s: "root" in str((s.get("status") or {}).get("conditions")))
    assert "not attached yet" in waiting["status"]["conditions"][0]["message"]
    await world.store.create(ATTACHMENT, an_attachment("root", boot=True))
    await available(world, "root")
    await world.until(Server.KIND, "web", phase("Running"))
    assert world.machine.guests["id-web"].spec.disks[0].boot
    assert world.machine.guests["id-web"].spec.image is None


async def test_a_deleted_volume_goes_when_its_server_has_let_go(world: World):
    await available(world)
    await boot(world)
    await attached(world)
    await world.store.patch(Volume.KIND, "data", "demo", {"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}})
    held = await world.until(Volume.KIND, "data", phase("Deleting"))
    assert "server web" in held["status"]["conditions"][0]["message"]
    await let_go(world)
    await world.store.delete(ATTACHMENT, "data", "demo")
    await world.until(Volume.KIND, "data", lambda v: not v["metadata"].get("finalizers"))
    assert world.pool.volumes == {}


async def test_a_guest_without_a_free_slot_says_so_on_the_attachment(world: World):
    await boot(world)
    for number in range(9):
        await available(world, f"v{number}")
    await asyncio.gather(*(attached(world, f"v{number}") for number in range(8)))
    await world.store.create(ATTACHMENT, an_attachment("v8"))
    full = await world.until(ATTACHMENT, "v8", lambda a: (a.get("status") or {}).get("fault"))
    assert "no free slot" in full["status"]["fault"]


async def test_a_volume_goes_though_it_was_marked_before_a_server_on_another_node_let_go(world: World):
    """The order that once left it behind: only the attachment's node was told that the attachment is gone."""
    await world.stop()
    shared, machine = (
        Shared.of(world.store, world.machine.clock),
        FakeMachine("node-2", SystemClock(), world.root / "2"),
    )
    agents = [an_agent(world.store, m, world.root, shared=shared, pool=world.pool)[0] for m in (world.machine, machine)]
    tasks = [asyncio.create_task(agent.run()) for agent in agents]
    try:
        await available(world, node="node-2")
        await boot(world)
        await attached(world)
        gone = {"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}
        await world.store.patch(Volume.KIND, "data", "demo", gone)
        await world.until(Volume.KIND, "data", phase("Deleting"))
        await let_go(world)
        await world.store.delete(ATTACHMENT, "data", "demo")
        await world.until(Volume.KIND, "data", lambda v: not v["metadata"].get("finalizers"))
        assert world.pool.volumes == {}
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_guest_is_not_started_with_a_volume_that_is_not_bound_to_its_node_yet(world: World):
    """Who lets go of an attachment without a node is a controller, which cannot look into guests."""
    await available(world)
    await world.store.create(ATTACHMENT, an_attachment(node=""))
    await world.store.create(Server.KIND, a_server(volumes=[{"volume": "data"}]))
    await world.store.create(Port.KIND, a_port("web-0", "id-web", "compute:nova"))
    await world.until(
        Server.KIND, "web", lambda s: "not attached yet" in str((s.get("status") or {}).get("conditions"))
    )
    await world.store.patch(ATTACHMENT, "data", "demo", {"spec": {"node": "node-1"}})
    await world.until(Server.KIND, "web", phase("Running"))
    assert await disks(world) == {"id-data"}
