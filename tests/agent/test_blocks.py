# SPDX-License-Identifier: Apache-2.0
"""Volumes and snapshots of a node: made, grown, copied, refused, deleted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from lichen.drivers.base import BlockSpec
from lichen.kinds.image.image import Image
from lichen.kinds.volume.snapshot import VolumeSnapshot
from lichen.kinds.volume.volume import Volume
from lichen.model.data import Object
from lichen.model.kind import Kind
from tests.agent.world import World, an_object

GIB = 1 << 30


def a_volume(name: str = "data", **spec: Any) -> Object:
    return an_object(Volume.KIND, name, {"id": f"id-{name}", "size": 1, "node": "node-1", **spec})


def phase(wanted: str) -> Any:
    return lambda obj: (obj.get("status") or {}).get("phase") == wanted


async def available(world: World, name: str = "data", **spec: Any) -> Object:
    await world.store.create(Volume.KIND, a_volume(name, **spec))
    return await world.until(Volume.KIND, name, phase("Available"))


async def test_a_volume_is_made_grows_and_goes(world: World):
    made = await available(world)
    assert made["metadata"]["finalizers"] == ["lichen.dev/node"]
    assert world.pool.volumes == {"id-data": GIB}
    await world.store.patch(Volume.KIND, "data", "demo", {"spec": {"size": 3}})
    await world.until(Volume.KIND, "data", lambda v: v["status"].get("size") == 3 and phase("Available")(v))
    assert world.pool.volumes == {"id-data": 3 * GIB}
    await world.store.patch(Volume.KIND, "data", "demo", {"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}})
    await world.until(Volume.KIND, "data", lambda v: not v["metadata"].get("finalizers"))
    assert world.pool.volumes == {}


async def test_a_snapshot_is_made_and_a_volume_from_it(world: World):
    await available(world)
    world.pool.content["id-data"] = b"kept"
    spec = {"id": "id-snap", "volume": "data", "volumeId": "id-data", "size": 1, "node": "node-1"}
    await world.store.create(VolumeSnapshot.KIND, an_object(VolumeSnapshot.KIND, "snap", spec))
    await world.until(VolumeSnapshot.KIND, "snap", phase("Available"))
    await available(world, "copy", snapshot="snap", snapshotId="id-snap", size=2)
    assert world.pool.content["id-copy"] == b"kept"


COPIES: list[tuple[Kind, Object]] = [
    (Volume.KIND, {"source": "data", "sourceId": "id-data"}),
    (Volume.KIND, {"snapshot": "snap", "snapshotId": "id-snap"}),
    (Image.KIND, {"volume": "data", "volumeId": "id-data", "diskFormat": "raw", "containerFormat": "bare"}),
]


@pytest.mark.parametrize(("kind", "spec"), COPIES, ids=["clone", "restored", "image"])
async def test_what_is_deleted_stays_until_what_is_copied_from_it_is_made(world: World, kind: Kind, spec: Object):
    await available(world)
    snap = {"id": "id-snap", "volume": "data", "volumeId": "id-data", "size": 1, "node": "node-1"}
    await world.store.create(VolumeSnapshot.KIND, an_object(VolumeSnapshot.KIND, "snap", snap))
    await world.until(VolumeSnapshot.KIND, "snap", phase("Available"))
    begun, let_on = asyncio.Event(), asyncio.Event()
    await held_up(world, begun, let_on)
    id = "44444444-4444-4444-8444-444444444444"
    await world.store.create(kind, an_object(kind, "copy", {"id": id, "size": 1, "node": "node-1", **spec}))
    await begun.wait()
    source, name = (VolumeSnapshot.KIND, "snap") if "snapshot" in spec else (Volume.KIND, "data")
    await world.store.patch(source, name, "demo", {"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}})
    waiting = await world.until(source, name, phase("Deleting"))
    what = "image" if kind == Image.KIND else "volume"
    assert waiting["status"]["conditions"][0]["message"] == f"It is deleted when {what} copy, a copy of it, is made."
    let_on.set()
    await world.until(kind, "copy", phase("active" if kind == Image.KIND else "Available"))
    await world.until(source, name, lambda gone: not gone["metadata"].get("finalizers"))


async def held_up(world: World, begun: asyncio.Event, let_on: asyncio.Event) -> None:
    """What is made from now on is made when it is let on."""
    assert world.agent.volumes is not None
    driver: Any = world.agent.volumes.driver
    create, chunks = driver.create, driver.chunks

    async def created(volume: BlockSpec) -> None:
        begun.set()
        await let_on.wait()
        await create(volume)

    async def read(volume_id: str) -> AsyncIterator[bytes]:
        begun.set()
        await let_on.wait()
        async for chunk in chunks(volume_id):
            yield chunk

    driver.create, driver.chunks = created, read


async def test_a_copy_that_has_failed_or_goes_holds_nothing_up(world: World):
    await available(world)
    for name, more in (("failed", {"status": {"phase": "Error"}}), ("elsewhere", {})):
        spec = {"source": "data", "sourceId": "id-data", "node": "node-2"}
        await world.store.create(Volume.KIND, {**a_volume(name, **spec), **more})
    await world.store.patch(Volume.KIND, "data", "demo", {"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}})
    await world.until(Volume.KIND, "data", lambda v: not v["metadata"].get("finalizers"))


async def test_a_volume_that_no_node_has_room_for_says_so_in_words(world: World):
    await world.store.create(Volume.KIND, a_volume(size=1 << 20))
    failed = await world.until(Volume.KIND, "data", phase("Error"))
    assert "no room" in failed["status"]["fault"]
    assert world.pool.volumes == {}


async def test_a_restarted_agent_finds_its_volumes(world: World):
    await available(world)
    await world.restart()
    await available(world, "second")
    assert set(world.pool.volumes) == {"id-data", "id-second"}


async def test_another_nodes_volume_is_left_alone(world: World):
    await world.store.create(Volume.KIND, a_volume("other", node="node-2"))
    await available(world)
    assert set(world.pool.volumes) == {"id-data"}


async def test_a_volume_is_made_of_no_file_of_the_node_that_is_not_an_image(world: World):
    await world.store.create(Volume.KIND, a_volume(image="trap", imageId="/etc/hostname"))
    failed = await world.until(Volume.KIND, "data", phase("Error"))
    assert failed["status"]["fault"] == "'/etc/hostname' is not an image's id."
    assert world.pool.volumes == {}
