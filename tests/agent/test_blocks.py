# SPDX-License-Identifier: Apache-2.0
"""Volumes and snapshots of a node: made, grown, copied, refused, deleted."""

from __future__ import annotations

from typing import Any

from lichen.kinds.volume.snapshot import VolumeSnapshot
from lichen.kinds.volume.volume import Volume
from lichen.model.data import Object
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
