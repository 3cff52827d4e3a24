# SPDX-License-Identifier: Apache-2.0
"""Simulated storage: a pool that all simulated hosts reach, and mounts of one of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import msgspec

from lichen.drivers.base import Blocks, BlockSpec, Space
from lichen.model.errors import Permanent


class FakePool:
    """Bytes by id of volumes and snapshots; `total` bytes in all. `content` is what a test leaves there.

    file: keeps what is there over restarts, None: nothing does.
    """

    def __init__(self, file: Path | None = None, *, total: int = 10 << 40) -> None:
        self.total = total
        self.volumes: dict[str, int] = {}
        self.snapshots: dict[str, int] = {}
        self.content: dict[str, bytes] = {}
        self._file = file
        if file is not None and file.exists():
            self.volumes, self.snapshots = msgspec.json.decode(file.read_bytes(), type=tuple[dict[str, int], ...])

    @property
    def used(self) -> int:
        return sum(self.volumes.values()) + sum(self.snapshots.values())

    def save(self) -> None:
        if self._file is not None:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            part = self._file.with_name(self._file.name + ".part")
            part.write_bytes(msgspec.json.encode((self.volumes, self.snapshots)))
            part.replace(self._file)


LEAST = 1 << 20
"""Bytes that a simulated volume seems to have to those who read it whole."""


class FakeBlocks:
    """BlockDriver over a `FakePool`."""

    def __init__(self, pool: FakePool) -> None:
        self._pool = pool

    async def discover(self) -> Blocks:
        return Blocks(dict(self._pool.volumes), dict(self._pool.snapshots))

    async def create(self, volume: BlockSpec) -> None:
        if volume.id in self._pool.volumes:
            return
        self._check_space(volume.size)
        if volume.image is not None and not volume.image.is_file():
            raise Permanent("InvalidImage", "The image cannot be read.")
        source = volume.snapshot_id or volume.volume_id
        if source:
            size = _of(self._pool.snapshots if volume.snapshot_id else self._pool.volumes, source, "SourceMissing")
            if size > volume.size:
                raise Permanent("TooSmall", "The volume is smaller than what it is to be a copy of.")
            self._pool.content[volume.id] = self._pool.content.get(source, b"")
        self._pool.volumes[volume.id] = volume.size
        self._pool.save()

    async def chunks(self, volume_id: str) -> AsyncIterator[bytes]:
        _of(self._pool.volumes, volume_id, "VolumeMissing")
        yield self._pool.content.get(volume_id, b"").ljust(LEAST, b"\0")

    async def grow(self, volume_id: str, size: int) -> None:
        before = _of(self._pool.volumes, volume_id, "VolumeMissing")
        if size > before:
            self._check_space(size - before)
            self._pool.volumes[volume_id] = size
            self._pool.save()

    async def delete(self, volume_id: str) -> None:
        self._pool.content.pop(volume_id, None)
        if self._pool.volumes.pop(volume_id, None) is not None:
            self._pool.save()

    async def snapshot(self, snapshot_id: str, volume_id: str) -> None:
        if snapshot_id in self._pool.snapshots:
            return
        size = _of(self._pool.volumes, volume_id, "VolumeMissing")
        self._check_space(size)
        self._pool.snapshots[snapshot_id] = size
        self._pool.content[snapshot_id] = self._pool.content.get(volume_id, b"")
        self._pool.save()

    async def delete_snapshot(self, snapshot_id: str) -> None:
        self._pool.content.pop(snapshot_id, None)
        if self._pool.snapshots.pop(snapshot_id, None) is not None:
            self._pool.save()

    def path(self, volume_id: str) -> Path:
        return Path("/simulated/volumes") / volume_id

    async def space(self) -> Space:
        return Space(self._pool.total, self._pool.total - self._pool.used, 0)

    def _check_space(self, size: int) -> None:
        if size > self._pool.total - self._pool.used:
            raise Permanent("NoSpace", "The simulated pool has no room for the volume.")


class FakeMounts:
    """MountDriver of one simulated host: a folder for each volume, which only pods of this host see."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._mounted: set[str] = set()

    async def discover(self) -> frozenset[str]:
        return frozenset(self._mounted)

    async def mount(self, volume_id: str, device: Path, *, file_system: str = "ext4", read_only: bool = False) -> None:
        self.folder(volume_id).mkdir(parents=True, exist_ok=True)
        self._mounted.add(volume_id)

    async def unmount(self, volume_id: str) -> None:
        self._mounted.discard(volume_id)

    def folder(self, volume_id: str) -> Path:
        return self._root / volume_id

    async def cleanup(self) -> None:
        self._mounted.clear()


def _of(sizes: Mapping[str, int], id: str, reason: str) -> int:
    if id not in sizes:
        raise Permanent(reason, f"{id} is not in the simulated pool.")
    return sizes[id]
