# SPDX-License-Identifier: Apache-2.0
"""FileVolumes: volumes and snapshots as raw files of one folder (BlockDriver).

    <folder>/<volume id>.raw    <folder>/<snapshot id>.snapshot    <folder>/.<…>.part

The files are the record: what is made is written under another name, synced and renamed, so that a name stands for a
whole file. Space is promised once: a volume is refused if the disk could not hold it and all others filled to the brim.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import re
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from lichen.drivers.base import Blocks, BlockSpec, Space
from lichen.drivers.files.copying import Moving, copy, data_bytes
from lichen.drivers.files.formats import HEAD, BadImage, check
from lichen.model.errors import Permanent, Temporary

T = TypeVar("T")
COPIERS = 2
"""Copies that go on side by side on one node."""
VOLUME, SNAPSHOT, PART = ".raw", ".snapshot", ".part"
_ID = re.compile(r"[0-9A-Za-z][0-9A-Za-z-]{0,63}")
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_MIB = 1 << 20


class FileVolumes:
    """Volumes in `folder`, which is made with the first of them. reserve: bytes of the disk that are never promised."""

    def __init__(self, folder: Path, *, reserve: int = 256 * _MIB) -> None:
        self._folder = folder
        self._reserve = reserve
        self._lock = asyncio.Lock()  # while space is promised, not while bytes are copied
        self._begun: dict[Path, int] = {}
        self._copiers = ThreadPoolExecutor(COPIERS, "volume-copy")

    async def discover(self) -> Blocks:
        return await asyncio.to_thread(self._discover)

    async def create(self, volume: BlockSpec) -> None:
        target = self.path(volume.id)
        if target.exists():
            return
        async with self._promised(target, volume.size):
            if volume.image is not None:
                await self._from_image(volume, volume.image, target)
            else:
                await self._copied(target, self._source(volume), volume.size)

    async def grow(self, volume_id: str, size: int) -> None:
        path = self.path(volume_id)
        if not path.exists():
            raise Permanent("VolumeMissing", f"The bytes of volume {volume_id} are not on this node.")
        more = size - path.stat().st_size
        if more > 0:
            async with self._lock:
                await self._check_space(more)
                await _off_loop(_resize, path, size)

    async def delete(self, volume_id: str) -> None:
        await asyncio.to_thread(self._remove, self.path(volume_id))

    async def snapshot(self, snapshot_id: str, volume_id: str) -> None:
        target, source = self._named(snapshot_id, SNAPSHOT), self.path(volume_id)
        if target.exists():
            return
        if not source.exists():
            raise Permanent("VolumeMissing", f"The bytes of volume {volume_id} are not on this node.")
        async with self._promised(target, data_bytes(source)):
            await self._copied(target, source, 0)

    async def delete_snapshot(self, snapshot_id: str) -> None:
        await asyncio.to_thread(self._remove, self._named(snapshot_id, SNAPSHOT))

    def path(self, volume_id: str) -> Path:
        return self._named(volume_id, VOLUME)

    async def space(self) -> Space:
        return await asyncio.to_thread(self._space)

    # --- parts; what blocks runs in a thread --------------------------------------------------------------------------

    def _named(self, id: str, suffix: str) -> Path:
        if not _ID.fullmatch(id):
            raise Permanent("InvalidId", f"{id!r} can't be a volume's id")
        return self._folder / (id + suffix)

    def _source(self, volume: BlockSpec) -> Path | None:
        if volume.snapshot_id:
            source, what = self._named(volume.snapshot_id, SNAPSHOT), f"snapshot {volume.snapshot_id}"
        elif volume.volume_id:
            source, what = self.path(volume.volume_id), f"volume {volume.volume_id}"
        else:
            return None
        if not source.exists():
            raise Permanent("SourceMissing", f"The bytes of {what} are not on this node.")
        if source.stat().st_size > volume.size:
            raise Permanent("TooSmall", f"The volume is smaller than {what}, which it is to be a copy of.")
        return source

    def _discover(self) -> Blocks:
        volumes: dict[str, int] = {}
        snapshots: dict[str, int] = {}
        for path in self._files():
            for suffix, found in ((VOLUME, volumes), (SNAPSHOT, snapshots)):
                if path.suffix == suffix:
                    with contextlib.suppress(FileNotFoundError):
                        found[path.stem] = path.stat().st_size
        return Blocks(volumes, snapshots)

    def _files(self) -> Iterator[Path]:
        if self._folder.is_dir():
            yield from (path for path in self._folder.iterdir() if not path.name.startswith("."))

    def _space(self) -> Space:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        disk = os.statvfs(self._folder)
        promised = 0
        for path in self._files():
            if path.suffix == VOLUME:
                with contextlib.suppress(FileNotFoundError):
                    promised += max(0, path.stat().st_size - data_bytes(path))
        for target, size in tuple(self._begun.items()):
            if not target.exists():
                promised += max(
                    0, size - sum(data_bytes(part) for part in self._folder.glob(f".{target.stem}.*{PART}"))
                )
        free = max(0, disk.f_bavail * disk.f_frsize - self._reserve)
        return Space(disk.f_blocks * disk.f_frsize, free, promised)

    @contextlib.asynccontextmanager
    async def _promised(self, target: Path, size: int) -> AsyncIterator[None]:
        """Room for a file that is made meanwhile; copies of several go on side by side."""
        async with self._lock:
            await self._check_space(size)
            self._begun[target] = size
        try:
            yield
        finally:
            del self._begun[target]

    async def _check_space(self, size: int) -> None:
        space = await self.space()
        left = space.free - space.promised
        if size > left:
            words = f"{size // _MIB} MiB are needed, {max(0, left) // _MIB} MiB are free and not promised to others"
            raise Permanent("NoSpace", f"The node has no room for the volume: {words}.")

    async def _copied(self, target: Path, source: Path | None, size: int) -> None:
        """Long copies have threads of their own: what is short does not wait for them."""
        if source is None:
            await _off_loop(self._make, target, source, size)
        else:
            await _off_loop(self._make, target, source, size, pool=self._copiers)

    def _make(self, target: Path, source: Path | None, size: int) -> None:
        """A file of at least `size` bytes that begins as `source` is."""
        with self._drafted(target) as descriptor:
            if source is not None:
                copy(source, descriptor)
            if size > os.fstat(descriptor).st_size:
                os.ftruncate(descriptor, size)

    @contextlib.contextmanager
    def _drafted(self, target: Path) -> Iterator[int]:
        """Write a file aside; it gets its name when it is whole and on disk, and leaves nothing if it fails."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        part = self._folder / f".{target.name}{PART}"
        part.unlink(missing_ok=True)
        descriptor = os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            yield descriptor
            os.fsync(descriptor)
            part.rename(target)
            _sync_folder(self._folder)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        finally:
            os.close(descriptor)

    async def _from_image(self, volume: BlockSpec, image: Path, target: Path) -> None:
        virtual = await _off_loop(_image_size, image, volume.image_format)
        if virtual > volume.size:
            raise Permanent(
                "TooSmall", f"The image needs {-(-virtual // (1 << 30))} GiB, the volume has {volume.size >> 30} GiB."
            )
        if volume.image_format == "raw":
            await self._copied(target, image, volume.size)
            return
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        converted = self._folder / f".{volume.id}.converted{PART}"
        try:
            await _convert(image, volume.image_format, converted)
            await _off_loop(_resize, converted, volume.size)
            converted.chmod(0o600)
            await _off_loop(converted.rename, target)
            await _off_loop(_sync_folder, self._folder)
        finally:
            converted.unlink(missing_ok=True)

    def _remove(self, path: Path) -> None:
        """With what a copy that was broken off left of it."""
        for part in self._folder.glob(f".{path.stem}.*{PART}"):
            part.unlink(missing_ok=True)
        if path.exists():
            path.unlink(missing_ok=True)
            _sync_folder(self._folder)


def _image_size(image: Path, image_format: str) -> int:
    """The size of the disk that the image describes. Permanent InvalidImage: it is unsafe or not what it says."""
    try:
        with image.open("rb") as file:
            shape = check(file.read(HEAD), image_format)
    except FileNotFoundError:
        raise Temporary(f"The image is not on this node yet: {image.name}") from None
    except BadImage as error:
        raise Permanent("InvalidImage", f"The image is refused: {error}.") from error
    if image_format not in ("raw", "qcow2"):
        raise Permanent("InvalidImage", f"Volumes can be made from raw and qcow2 images, not from {image_format}.")
    return image.stat().st_size if shape.virtual_size is None else shape.virtual_size


async def _convert(image: Path, image_format: str, target: Path) -> None:
    """The image as raw bytes; the format is never guessed."""
    target.unlink(missing_ok=True)
    process = await asyncio.create_subprocess_exec(
        *("prlimit", "--as=4294967296", "qemu-img", "convert", "-f", image_format, "-O", "raw", "-S", "64k"),
        *(str(image), str(target)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        _, complaint = await process.communicate()
    except asyncio.CancelledError:
        process.kill()
        await process.wait()
        raise
    if process.returncode:
        words = complaint.decode(errors="replace").strip()[-300:]
        if "No space left" in words:
            raise Permanent("NoSpace", "The node's disk is full.")
        raise Permanent("InvalidImage", f"The image cannot be read: {words}")


def _resize(path: Path, size: int) -> None:
    descriptor = os.open(path, os.O_RDWR)
    try:
        if size > os.fstat(descriptor).st_size:
            os.ftruncate(descriptor, size)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


async def _off_loop(function: Callable[..., T], *arguments: object, pool: ThreadPoolExecutor | None = None) -> T:
    """Run what blocks in a thread; a full disk gets its own name."""
    try:
        return await asyncio.get_running_loop().run_in_executor(pool, function, *arguments)
    except Moving as error:
        words = "It was written to while it was copied: stop the server or detach the volume, and try again."
        raise Permanent("VolumeBusy", words) from error
    except OSError as error:
        if error.errno in _FULL:
            raise Permanent("NoSpace", "The node's disk is full.") from error
        raise Temporary(f"The node's disk refused: {error}") from error
