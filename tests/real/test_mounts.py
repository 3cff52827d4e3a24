# SPDX-License-Identifier: Apache-2.0
"""Real file systems on real volumes: made once, grown, found again, and gone without a trace."""

from __future__ import annotations

import asyncio
import subprocess
import tempfile
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lichen.drivers.base import BlockSpec
from lichen.drivers.files.mounts import FileMounts
from lichen.drivers.files.volumes import FileVolumes
from lichen.model.errors import Permanent

pytestmark = pytest.mark.real
MIB = 1 << 20


class Disk:
    """A folder with volumes and mounts of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.volumes = FileVolumes(folder / "volumes")
        self.mounts = FileMounts(folder / "mounts")

    async def volume(self, size: int = 64 * MIB) -> str:
        id = str(uuid.uuid4())
        await self.volumes.create(BlockSpec(id, size))
        return id

    async def mount(self, volume_id: str, **more: bool) -> Path:
        await self.mounts.mount(volume_id, self.volumes.path(volume_id), **more)
        return self.mounts.folder(volume_id)

    @property
    def leftovers(self) -> str:
        loops = subprocess.run(["losetup", "-n", "-O", "BACK-FILE"], capture_output=True, text=True, check=True).stdout
        lines = (loops + Path("/proc/mounts").read_text()).splitlines()
        return "\n".join(line for line in lines if str(self.folder) in line)


@pytest.fixture
async def disk() -> AsyncIterator[Disk]:
    with tempfile.TemporaryDirectory(prefix="lichen-test-") as folder:
        disk = Disk(Path(folder))
        try:
            yield disk
        finally:
            await disk.mounts.cleanup()
            assert disk.leftovers == ""


async def test_a_file_system_is_made_once_and_keeps_its_files(disk: Disk):
    id = await disk.volume()
    for _ in range(2):
        folder = await disk.mount(id)
    (folder / "file").write_text("kept")
    assert await disk.mounts.discover() == {id}
    for _ in range(2):
        await disk.mounts.unmount(id)
    assert (await disk.mounts.discover(), disk.leftovers, folder.exists()) == (frozenset(), "", False)
    assert ((await disk.mount(id)) / "file").read_text() == "kept"
    assert await FileMounts(disk.folder / "mounts").discover() == {id}


async def test_a_volume_grows_while_it_is_mounted_or_when_it_is_mounted_next(disk: Disk):
    id = await disk.volume()
    folder = await disk.mount(id)
    (folder / "file").write_text("kept")
    before = _size(folder)
    await disk.volumes.grow(id, 256 * MIB)
    await disk.mount(id)
    if not _may_grow_mounted():
        await disk.mounts.unmount(id)
        await disk.mount(id)
    assert _size(folder) > 3 * before
    assert (folder / "file").read_text() == "kept"


async def test_what_is_no_file_system_is_never_overwritten(disk: Disk):
    id = await disk.volume()
    with disk.volumes.path(id).open("r+b") as file:
        file.seek(4096)
        file.write(b"precious")
    with pytest.raises(Permanent, match="not overwritten"):
        await disk.mount(id)
    await asyncio.to_thread(subprocess.run, ["mkswap", "-q", disk.volumes.path(id)], check=True)
    with pytest.raises(Permanent, match="holds swap"):
        await disk.mount(id)


async def test_a_read_only_mount_takes_no_writes(disk: Disk):
    id = await disk.volume()
    with pytest.raises(Permanent, match="nothing to mount"):
        await disk.mount(id, read_only=True)
    await disk.mount(id)
    await disk.mounts.unmount(id)
    folder = await disk.mount(id, read_only=True)
    with pytest.raises(OSError, match="Read-only"):
        (folder / "file").write_text("no")


def _may_grow_mounted() -> bool:
    """CAP_SYS_RESOURCE."""
    status = Path("/proc/self/status").read_text()
    return bool(int(status.split("CapEff:")[1].split()[0], 16) & 1 << 24)


def _size(folder: Path) -> int:
    found = subprocess.run(["df", "--output=size", "-k", folder], capture_output=True, text=True, check=True)
    return int(found.stdout.split()[-1])


async def test_what_a_killed_agent_left_half_formatted_is_formatted_anew(disk: Disk):
    id = await disk.volume()
    path = disk.volumes.path(id)
    with path.open("r+b") as file:
        file.write(b"half a file system")
    with pytest.raises(Permanent, match="not overwritten"):
        await disk.mount(id)
    begun = path.with_name(f".{path.name}.formatting.part")
    begun.touch()
    folder = await disk.mount(id)
    (folder / "kept").touch()
    assert not begun.exists()
    await disk.mounts.unmount(id)
    assert (await disk.mount(id) / "kept").exists()
