# SPDX-License-Identifier: Apache-2.0
"""Waiting for a file to change, told by the kernel."""

from __future__ import annotations

import asyncio
import ctypes
import os
from pathlib import Path
from types import TracebackType
from typing import Self

_IN_MODIFY, _IN_CREATE, _IN_MOVED_TO = 0x2, 0x100, 0x80
_libc = ctypes.CDLL(None, use_errno=True)


class FileWatch:
    """Sets `changed` whenever something in a directory is written or appears. A context manager.

    OSError: the directory is gone, or the user has no watches left.
    """

    def __init__(self, directory: Path, changed: asyncio.Event) -> None:
        self._directory = directory
        self._changed = changed
        self._fd = -1

    def __enter__(self) -> Self:
        self._fd = _libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), "inotify cannot be used")
        mask = _IN_MODIFY | _IN_CREATE | _IN_MOVED_TO
        if _libc.inotify_add_watch(self._fd, os.fsencode(self._directory), ctypes.c_uint32(mask)) < 0:
            os.close(self._fd)
            raise OSError(ctypes.get_errno(), "cannot watch", str(self._directory))
        asyncio.get_running_loop().add_reader(self._fd, self._read)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        asyncio.get_running_loop().remove_reader(self._fd)
        os.close(self._fd)

    def _read(self) -> None:
        os.read(self._fd, 65536)
        self._changed.set()
