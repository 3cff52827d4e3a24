# SPDX-License-Identifier: Apache-2.0
"""Volumes as bytes, and the file systems on them that pods mount."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class BlockSpec:
    """A volume to make, of `size` bytes: empty, or a copy of one volume, snapshot or image (`image_format`: raw or
    qcow2) that is not larger."""

    id: str
    size: int
    volume_id: str = ""
    snapshot_id: str = ""
    image: Path | None = None
    image_format: str = "raw"


@dataclass(frozen=True, slots=True)
class Blocks:
    """What is there: bytes by id."""

    volumes: Mapping[str, int]
    snapshots: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Space:
    """Bytes of a pool; promised: what its volumes may still come to need of `free`."""

    total: int
    free: int
    promised: int


class BlockDriver(Protocol):
    """Volumes and snapshots by id. What a verb made is on disk when it returns, whole or not at all."""

    async def discover(self) -> Blocks: ...

    async def create(self, volume: BlockSpec) -> None:
        """Permanent: NoSpace, SourceMissing, TooSmall, InvalidImage, VolumeBusy."""
        ...

    async def grow(self, volume_id: str, size: int) -> None:
        """Make the volume `size` bytes, if it is smaller. Permanent: NoSpace, VolumeMissing."""
        ...

    async def delete(self, volume_id: str) -> None: ...

    async def snapshot(self, snapshot_id: str, volume_id: str) -> None:
        """Keep the volume as it is at one moment. Permanent: NoSpace, VolumeMissing, VolumeBusy (it was written to the
        while, and the engine can only copy)."""
        ...

    async def delete_snapshot(self, snapshot_id: str) -> None: ...

    def path(self, volume_id: str) -> Path:
        """The raw bytes of the volume, a file or a block device."""
        ...

    async def space(self) -> Space: ...


@runtime_checkable
class Readable(Protocol):
    """Optional, of a BlockDriver whose volumes are no files: their bytes."""

    def chunks(self, volume_id: str) -> AsyncIterator[bytes]: ...


@runtime_checkable
class MemoryMounts(Protocol):
    """Optional, of a MountDriver: folders in memory. To be called in a thread."""

    def mount_memory(self, folder: Path, size: int) -> None:
        """Have up to `size` bytes of memory at a folder that is there, once. Temporary."""
        ...

    def unmount_memory(self, root: Path) -> None:
        """Let go of all such folders below `root`, whoever made them and whoever uses them."""
        ...


class MountDriver(Protocol):
    """File systems on volumes, mounted for pods; each at a folder of its own, by the volume's id."""

    async def discover(self) -> frozenset[str]:
        """Ids of the volumes that are mounted on this machine."""
        ...

    async def mount(self, volume_id: str, device: Path, *, file_system: str = "ext4", read_only: bool = False) -> None:
        """Mount the raw bytes at `device`; an empty volume gets a file system first, one whose volume has grown grows
        too. Permanent: FailedMount."""
        ...

    async def unmount(self, volume_id: str) -> None: ...

    def folder(self, volume_id: str) -> Path:
        """Where the volume is, or would be, mounted."""
        ...

    async def cleanup(self) -> None:
        """Unmount everything that this driver mounted."""
        ...
