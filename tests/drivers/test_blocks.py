# SPDX-License-Identifier: Apache-2.0
"""Volumes in files and simulated ones pass the same suite; files keep promises about disks besides."""

from __future__ import annotations

import asyncio
import errno
import os
import threading
from pathlib import Path

import pytest

from lichen.drivers.base import BlockSpec
from lichen.drivers.fake.blocks import FakeBlocks, FakePool
from lichen.drivers.files import copying, volumes
from lichen.drivers.files.volumes import FileVolumes
from lichen.model.errors import Permanent
from tests.conformance.blocks import MIB, BlockConformance, a_volume, an_id
from tests.conformance.cloud import a_qcow2


def cannot_reflink(*_: object) -> None:
    raise OSError(errno.EOPNOTSUPP, "no reflink here")


class FileBench:
    def __init__(self, folder: Path) -> None:
        self.folder = folder / "volumes"
        self.image = folder / "image"
        self.image.write_bytes(b"image".ljust(MIB, b"\0"))
        self.reopen()

    def reopen(self) -> None:
        self.blocks = FileVolumes(self.folder, reserve=0)

    def write(self, volume_id: str, data: bytes) -> None:
        with self.blocks.path(volume_id).open("r+b") as file:
            file.write(data)

    def read(self, volume_id: str, length: int) -> bytes:
        with self.blocks.path(volume_id).open("rb") as file:
            return file.read(length)


class FakeBench:
    def __init__(self, folder: Path) -> None:
        self.pool = FakePool(total=1 << 30)
        self.image = folder / "image"
        self.image.write_bytes(b"image".ljust(MIB, b"\0"))
        self.reopen()

    def reopen(self) -> None:
        self.blocks = FakeBlocks(self.pool)

    def write(self, volume_id: str, data: bytes) -> None:
        self.pool.content[volume_id] = data

    def read(self, volume_id: str, length: int) -> bytes:
        return self.pool.content[volume_id][:length]


class TestFileVolumes(BlockConformance):
    @pytest.fixture
    def bench(self, tmp_path: Path) -> FileBench:
        return FileBench(tmp_path)

    async def test_a_volume_takes_no_room_before_it_is_written(self, bench: FileBench):
        id = await a_volume(bench, 64 * MIB)
        bench.write(id, b"x" * 4096)
        copy = await a_volume(bench, 64 * MIB, volume_id=id)
        assert max(os.stat(bench.blocks.path(v)).st_blocks * 512 for v in (id, copy)) < MIB
        assert bench.read(copy, 4097) == b"x" * 4096 + b"\0"

    async def test_only_its_owner_reads_a_volume(self, bench: FileBench):
        id = await a_volume(bench)
        assert bench.blocks.path(id).stat().st_mode & 0o777 == 0o600
        assert bench.folder.stat().st_mode & 0o777 == 0o700

    async def test_space_is_promised_once(self, bench: FileBench):
        space = await bench.blocks.space()
        half = (space.free - space.promised) * 2 // 3
        half -= half % MIB
        await a_volume(bench, half)
        with pytest.raises(Permanent, match="promised to others"):
            await a_volume(bench, half)

    async def test_a_raw_image_is_copied_and_a_qcow2_is_converted(self, bench: FileBench, tmp_path: Path):
        raw, converted = an_id(), an_id()
        await bench.blocks.create(BlockSpec(raw, 2 * MIB, image=bench.image))
        assert bench.read(raw, 5) == b"image"
        image = a_qcow2(tmp_path / "i.qcow2", 4 * MIB)
        await bench.blocks.create(BlockSpec(converted, 8 * MIB, image=image, image_format="qcow2"))
        assert (await bench.blocks.discover()).volumes == {raw: 2 * MIB, converted: 8 * MIB}

    async def test_an_image_that_is_too_large_or_lies_is_refused(self, bench: FileBench, tmp_path: Path):
        image = a_qcow2(tmp_path / "i.qcow2", 4 * MIB)
        for spec, reason in (
            (BlockSpec(an_id(), MIB, image=image, image_format="qcow2"), "TooSmall"),
            (BlockSpec(an_id(), 8 * MIB, image=image, image_format="raw"), "InvalidImage"),
            (BlockSpec(an_id(), 8 * MIB, image=bench.image, image_format="qcow2"), "InvalidImage"),
        ):
            with pytest.raises(Permanent) as refusal:
                await bench.blocks.create(spec)
            assert refusal.value.reason == reason
        assert os.listdir(bench.folder) == []

    async def test_what_a_killed_process_left_half_made_is_no_volume(self, bench: FileBench):
        id = await a_volume(bench)
        (bench.folder / f".{id}.raw.part").write_bytes(b"half")
        bench.reopen()
        assert (await bench.blocks.discover()).volumes == {id: 4 * MIB}
        await bench.blocks.delete(id)
        assert os.listdir(bench.folder) == []

    async def test_a_volume_that_is_written_to_while_it_is_copied_is_refused_unless_it_comes_to_rest(
        self, bench: FileBench, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setattr(copying.fcntl, "ioctl", cannot_reflink)
        id, plain, writes = await a_volume(bench), copying._copy_data, iter([b"1", b"2", b"3", b"4"])

        def disturbed(source: int, target: int) -> None:
            plain(source, target)
            if (data := next(writes, b"")) != b"":
                bench.write(id, data)

        monkeypatch.setattr(copying, "_copy_data", disturbed)
        with pytest.raises(Permanent, match="written to while it was copied"):
            await bench.blocks.snapshot(an_id(), id)
        assert os.listdir(bench.folder) == [f"{id}.raw"]
        copy = await a_volume(bench, 4 * MIB, volume_id=id)
        assert bench.read(copy, 2) == b"4\0"

    async def test_a_long_copy_holds_up_no_other_volume_and_its_room_is_promised(
        self, bench: FileBench, monkeypatch: pytest.MonkeyPatch
    ):
        source = await a_volume(bench)
        goes_on, plain = threading.Event(), volumes.copy
        monkeypatch.setattr(volumes, "copy", lambda *arguments: (goes_on.wait(20), plain(*arguments))[1])
        copy, before = an_id(), (await bench.blocks.space()).promised
        copying = asyncio.create_task(bench.blocks.create(BlockSpec(copy, 64 * MIB, volume_id=source)))
        try:
            other = await asyncio.wait_for(a_volume(bench, MIB), 10)
            assert (await bench.blocks.space()).promised == before + 65 * MIB
            assert (await bench.blocks.discover()).volumes.keys() == {source, other}
        finally:
            goes_on.set()
            await copying
        assert copy in (await bench.blocks.discover()).volumes


class TestFakeBlocks(BlockConformance):
    @pytest.fixture
    def bench(self, tmp_path: Path) -> FakeBench:
        return FakeBench(tmp_path)
