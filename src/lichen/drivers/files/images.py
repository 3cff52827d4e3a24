# SPDX-License-Identifier: Apache-2.0
"""The image store: one file for each image, written beside and renamed into place, so that a file is always whole."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import hashlib
import os
import re
import tempfile
import time
from collections.abc import AsyncIterable, AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeVar

from lichen.drivers.files.formats import HEAD, Shape, check
from lichen.model.data import Object

T = TypeVar("T")
BLOCK = 1 << 20
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_DRAFT = re.compile(rf"\.({_ID.pattern})\..+")
_YOUNG = 60.0
"""Seconds in which a draft may not have been locked by its upload yet."""
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class TooBig(Exception):
    """More bytes came than were allowed."""


class StoreFull(Exception):
    """The disk has no room; nothing of the image was kept."""


@dataclass(frozen=True, slots=True)
class Stored:
    """What was stored: bytes, digests in hex, the size of the disk it describes, and the format it is."""

    size: int
    md5: str
    sha512: str
    virtual_size: int
    format: str

    def status(self, image_id: str) -> Object:
        """What the image's status says once its bytes are there."""
        return {
            "phase": "active",
            "size": self.size,
            "virtualSize": self.virtual_size,
            "checksum": self.md5,
            "hashAlgo": "sha512",
            "hashValue": self.sha512,
            "location": image_id,
        }


def is_image_id(text: str) -> bool:
    """Whether an image's bytes can be in a file of that name: no path, and no draft of an upload."""
    return _ID.fullmatch(text) is not None


class ImageStore:
    """Images' bytes in `directory`, which is made with the first of them."""

    def __init__(self, directory: Path | str) -> None:
        self._directory = Path(directory)

    def path(self, image_id: str) -> Path:
        """Where an image's bytes are, whether or not they are there. ValueError: not an image's id."""
        if not is_image_id(image_id):
            raise ValueError(f"{image_id!r} is not an image id")
        return self._directory / image_id

    def size(self, image_id: str) -> int | None:
        """Bytes stored, or None if there are none."""
        try:
            return self.path(image_id).stat().st_size
        except FileNotFoundError:
            return None

    async def put(self, image_id: str, chunks: AsyncIterable[bytes], *, format: str, limit: int = 0) -> Stored:
        """Store what `chunks` yields as the image, which was declared to be `format`; returns when it is on disk.

        limit: most bytes, 0 for no limit. BadImage: it is not what was declared. TooBig, StoreFull. Whatever is
        raised, here or by `chunks`, nothing is kept.
        """
        target = self.path(image_id)
        upload = await _off_loop(_Upload.begin, target, format, limit)
        try:
            await upload.feed(chunks)
            return await _off_loop(upload.finish)
        finally:
            await asyncio.shield(asyncio.to_thread(upload.discard))

    async def open(self, image_id: str, start: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        """The image's bytes from `start`, `length` of them or all, in chunks. FileNotFoundError."""
        file = await asyncio.to_thread(self.path(image_id).open, "rb")
        return _chunks(file, start, length)

    async def delete(self, image_id: str) -> None:
        """Remove the image's bytes, if there are any."""
        await asyncio.to_thread(self.path(image_id).unlink, missing_ok=True)

    async def ids(self) -> set[str]:
        """The images whose bytes are here."""
        return {name for name in await asyncio.to_thread(self._names) if _ID.fullmatch(name)}

    async def uploading(self) -> set[str]:
        """The images that are being uploaded here, by whichever process; what an upload left behind that was killed
        is removed on the way."""
        return await asyncio.to_thread(self._uploading)

    def _names(self) -> list[str]:
        try:
            return os.listdir(self._directory)
        except FileNotFoundError:
            return []

    def _uploading(self) -> set[str]:
        found = ((name, _DRAFT.fullmatch(name)) for name in self._names())
        return {match[1] for name, match in found if match and _is_alive(self._directory / name)}


class _Upload:
    """One upload under way: a nameless-to-readers file beside its target. Its methods but `feed` block."""

    def __init__(self, file: BinaryIO, temporary: Path, target: Path, format: str, limit: int) -> None:
        self._file, self._temporary, self._target = file, temporary, target
        self._format, self._limit = format, limit
        self._md5, self._sha512 = hashlib.md5(usedforsecurity=False), hashlib.sha512()
        self._size = 0
        self._shape: Shape | None = None

    @classmethod
    def begin(cls, target: Path, format: str, limit: int) -> _Upload:
        target.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        if os.geteuid() == 0:  # a node stores for those whose the store is
            owner = target.parent.stat()
            os.fchown(descriptor, owner.st_uid, owner.st_gid)
        os.fchmod(descriptor, 0o640)  # whoever cleans up after a killed upload is of the directory's group
        fcntl.flock(descriptor, fcntl.LOCK_EX)  # held by the process: ends with it, however it ends
        return cls(os.fdopen(descriptor, "wb"), Path(name), target, format, limit)

    async def feed(self, chunks: AsyncIterable[bytes]) -> None:
        pending = bytearray()
        async for chunk in chunks:
            pending += chunk
            if self._limit and self._size + len(pending) > self._limit:
                raise TooBig(f"the image is larger than the {self._limit} bytes that are allowed")
            if len(pending) >= BLOCK:
                await _off_loop(self._take, bytes(pending))
                pending.clear()
        await _off_loop(self._take, bytes(pending))

    def _take(self, block: bytes) -> None:
        if self._shape is None:  # the first block is larger than HEAD unless it is also the last
            self._shape = check(block[:HEAD], self._format)
        self._md5.update(block)
        self._sha512.update(block)
        if block.count(0) == len(block):
            self._file.seek(len(block), os.SEEK_CUR)
        else:
            self._file.write(block)
        self._size += len(block)

    def finish(self) -> Stored:
        self._file.truncate(self._size)
        self._file.flush()
        os.fsync(self._file.fileno())
        self._temporary.chmod(0o640)
        self._temporary.rename(self._target)
        _fsync_directory(self._target.parent)
        shape = self._shape or Shape(self._format)
        virtual = self._size if shape.virtual_size is None else shape.virtual_size
        return Stored(self._size, self._md5.hexdigest(), self._sha512.hexdigest(), virtual, shape.format)

    def discard(self) -> None:
        with contextlib.suppress(OSError):
            self._file.close()
        self._temporary.unlink(missing_ok=True)


async def _off_loop(function: Callable[..., T], *arguments: object) -> T:
    """Run what blocks in a thread; a full disk gets its own name."""
    try:
        return await asyncio.to_thread(function, *arguments)
    except OSError as error:
        if error.errno in _FULL:
            raise StoreFull("there is no room left to store the image") from error
        raise


async def _chunks(file: BinaryIO, start: int, length: int | None) -> AsyncIterator[bytes]:
    with file:
        file.seek(start)
        left = length
        while left is None or left > 0:
            chunk = await asyncio.to_thread(file.read, BLOCK if left is None else min(BLOCK, left))
            if not chunk:
                return
            left = None if left is None else left - len(chunk)
            yield chunk


def _is_alive(draft: Path) -> bool:
    """An upload still writes the draft; one that nobody writes any more is removed."""
    try:
        with draft.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if time.time() - draft.stat().st_mtime < _YOUNG:
                return True
            draft.unlink(missing_ok=True)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    return False


def _fsync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
