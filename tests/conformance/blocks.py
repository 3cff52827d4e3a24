# SPDX-License-Identifier: Apache-2.0
"""What every BlockDriver must do: files and the fake run this same suite.

class TestFileVolumes(BlockConformance):
    @pytest.fixture
    def bench(self): ...   # a BlockBench with at least 64 MiB of room
"""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Protocol

import pytest

from lichen.drivers.base import BlockDriver, BlockSpec
from lichen.model.errors import Permanent

MIB = 1 << 20


class BlockBench(Protocol):
    """blocks: the driver under test. image: a raw image of 1 MiB that begins with b"image"."""

    blocks: BlockDriver
    image: Path

    def write(self, volume_id: str, data: bytes) -> None:
        """Put `data` at the volume's start."""
        ...

    def read(self, volume_id: str, length: int) -> bytes: ...

    def reopen(self) -> None:
        """A new driver on the same machine in `blocks`."""
        ...


def an_id() -> str:
    return str(uuid.uuid4())


async def a_volume(bench: BlockBench, size: int = 4 * MIB, **more: str) -> str:
    id = an_id()
    await bench.blocks.create(BlockSpec(id, size, **more))
    return id


class BlockConformance:
    async def test_a_machine_without_volumes_discovers_none(self, bench: BlockBench):
        found = await bench.blocks.discover()
        assert (found.volumes, found.snapshots) == ({}, {})

    async def test_a_created_volume_is_there_once_and_found_by_the_next_driver(self, bench: BlockBench):
        id = await a_volume(bench)
        await bench.blocks.create(BlockSpec(id, 4 * MIB))
        bench.reopen()
        assert (await bench.blocks.discover()).volumes == {id: 4 * MIB}

    async def test_a_volume_grows_and_never_shrinks(self, bench: BlockBench):
        id = await a_volume(bench)
        bench.write(id, b"kept")
        await bench.blocks.grow(id, 8 * MIB)
        await bench.blocks.grow(id, 2 * MIB)
        assert (await bench.blocks.discover()).volumes == {id: 8 * MIB}
        assert bench.read(id, 4) == b"kept"

    async def test_growing_what_is_not_there_is_refused(self, bench: BlockBench):
        with pytest.raises(Permanent):
            await bench.blocks.grow(an_id(), MIB)

    async def test_a_snapshot_keeps_the_moment_and_outlives_its_volume(self, bench: BlockBench):
        id, snapshot = await a_volume(bench), an_id()
        bench.write(id, b"before")
        await bench.blocks.snapshot(snapshot, id)
        await bench.blocks.snapshot(snapshot, id)
        bench.write(id, b"after!")
        await bench.blocks.delete(id)
        copy = await a_volume(bench, 8 * MIB, snapshot_id=snapshot)
        found = await bench.blocks.discover()
        assert (found.volumes, found.snapshots) == ({copy: 8 * MIB}, {snapshot: 4 * MIB})
        assert bench.read(copy, 6) == b"before"

    async def test_a_clone_goes_its_own_way(self, bench: BlockBench):
        id = await a_volume(bench)
        bench.write(id, b"same")
        copy = await a_volume(bench, volume_id=id)
        bench.write(id, b"else")
        assert bench.read(copy, 4) == b"same"

    async def test_what_is_copied_must_be_there_and_fit(self, bench: BlockBench):
        id = await a_volume(bench)
        for spec in (
            BlockSpec(an_id(), 4 * MIB, volume_id=an_id()),
            BlockSpec(an_id(), 4 * MIB, snapshot_id=an_id()),
            BlockSpec(an_id(), 2 * MIB, volume_id=id),
        ):
            with pytest.raises(Permanent):
                await bench.blocks.create(spec)
        with pytest.raises(Permanent):
            await bench.blocks.snapshot(an_id(), an_id())
        found = await bench.blocks.discover()
        assert (found.volumes, found.snapshots) == ({id: 4 * MIB}, {})

    async def test_a_volume_is_made_from_an_image(self, bench: BlockBench):
        id = an_id()
        await bench.blocks.create(BlockSpec(id, 4 * MIB, image=bench.image))
        assert (await bench.blocks.discover()).volumes == {id: 4 * MIB}

    async def test_more_than_there_is_room_for_is_refused_and_leaves_nothing(self, bench: BlockBench):
        id = await a_volume(bench)
        space = await bench.blocks.space()
        for size in (space.total + MIB, 1 << 60):
            with pytest.raises(Permanent) as refusal:
                await a_volume(bench, size)
            assert refusal.value.reason == "NoSpace"
        with pytest.raises(Permanent):
            await bench.blocks.grow(id, space.total + MIB)
        assert (await bench.blocks.discover()).volumes == {id: 4 * MIB}

    async def test_what_is_deleted_is_gone_and_deleting_it_again_succeeds(self, bench: BlockBench):
        id, snapshot = await a_volume(bench), an_id()
        await bench.blocks.snapshot(snapshot, id)
        for _ in range(2):
            await bench.blocks.delete(id)
            await bench.blocks.delete_snapshot(snapshot)
        found = await bench.blocks.discover()
        assert (found.volumes, found.snapshots) == ({}, {})
