# SPDX-License-Identifier: Apache-2.0
"""Copies of large files: shared with the original where the file system can (reflink), else without the holes."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from pathlib import Path

_FICLONE = 0x40049409
_CANNOT = frozenset({errno.EOPNOTSUPP, errno.EXDEV, errno.EINVAL, errno.ENOTTY, errno.ENOSYS, errno.EPERM})
_CHUNK = 64 << 20
_TICK = 20_000_000
"""Nanoseconds after which a write is sure to show in a file's time of change."""


class Moving(Exception):
    """The original was written to each time while it was copied: no copy is of one moment."""


def copy(source: Path, target: int, *, tries: int = 3) -> str:
    """Make the empty file of descriptor `target` a copy of `source` as it was at one moment; says how: "reflink" or
    "sparse". OSError, Moving."""
    with source.open("rb") as file:
        try:
            fcntl.ioctl(target, _FICLONE, file.fileno())
        except OSError as error:
            if error.errno not in _CANNOT:
                raise
            for _ in range(tries):
                if _copy_still(file.fileno(), target):
                    return "sparse"
                os.ftruncate(target, 0)
            raise Moving from None
    return "reflink"


def _copy_still(source: int, target: int) -> bool:
    """Whether nobody wrote to the original meanwhile, as its time of change tells: it moves in ticks of the kernel."""
    before = os.fstat(source).st_mtime_ns
    age = time.time_ns() - before
    if 0 <= age < _TICK:
        time.sleep((_TICK - age) / 1e9)
    _copy_data(source, target)
    return os.fstat(source).st_mtime_ns == before


def data_bytes(path: Path) -> int:
    """Bytes that the file really takes on its disk."""
    return path.stat().st_blocks * 512


def _copy_data(source: int, target: int) -> None:
    """Only what is no hole, within the kernel."""
    size = os.fstat(source).st_size
    os.ftruncate(target, size)
    at = 0
    while at < size:
        try:
            start = os.lseek(source, at, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # only a hole is left
                return
            raise
        at = os.lseek(source, start, os.SEEK_HOLE)
        _copy_range(source, target, start, at)


def _copy_range(source: int, target: int, start: int, end: int) -> None:
    os.lseek(source, start, os.SEEK_SET)
    os.lseek(target, start, os.SEEK_SET)
    left = end - start
    while left:
        done = os.copy_file_range(source, target, min(left, _CHUNK))
        if not done:
            return  # the source was cut off meanwhile
        left -= done
