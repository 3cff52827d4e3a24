# SPDX-License-Identifier: Apache-2.0
"""Waiting for files to change, told by the kernel. All who wait share one inotify instance: a user may have few of
them (128 is usual), and whoever follows a log is one more."""

from __future__ import annotations

import asyncio
import ctypes
import os
import struct
from pathlib import Path
from types import TracebackType
from typing import Self
from weakref import WeakKeyDictionary

_IN_MODIFY, _IN_CREATE, _IN_MOVED_TO = 0x2, 0x100, 0x80
_HEAD = struct.Struct("iIII")  # watch, mask, cookie, length of the name that follows
_libc = ctypes.CDLL(None, use_errno=True)


class FileWatch:
    """Sets `changed` whenever something in a directory is written or appears, and when it goes. A context manager.

    OSError: the directory is gone, or the user has no watches left.
    """

    def __init__(self, directory: Path, changed: asyncio.Event) -> None:
        self._directory = directory
        self._changed = changed
        self._watch = -1

    def __enter__(self) -> Self:
        self._shared = _shared()
        self._watch = self._shared.add(self._directory, self._changed)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._shared.remove(self._watch, self._changed)


class _Inotify:
    """One instance, open while anybody waits. The kernel knows a directory by one number, however many ask for it."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._fd = -1
        self._waiting: dict[int, list[asyncio.Event]] = {}

    def add(self, directory: Path, changed: asyncio.Event) -> int:
        if self._fd < 0:
            self._open()
        mask = _IN_MODIFY | _IN_CREATE | _IN_MOVED_TO
        watch = int(_libc.inotify_add_watch(self._fd, os.fsencode(directory), ctypes.c_uint32(mask)))
        if watch < 0:
            code = ctypes.get_errno()
            self._close_unused()
            raise OSError(code, "cannot watch", str(directory))
        self._waiting.setdefault(watch, []).append(changed)
        return watch

    def remove(self, watch: int, changed: asyncio.Event) -> None:
        self._waiting[watch].remove(changed)
        if not self._waiting[watch]:
            del self._waiting[watch]
            _libc.inotify_rm_watch(self._fd, watch)  # which the kernel may have done already: the directory went
        self._close_unused()

    def _open(self) -> None:
        self._fd = _libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), "inotify cannot be used")
        self._loop.add_reader(self._fd, self._read)

    def _close_unused(self) -> None:
        if not self._waiting:
            self._loop.remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1

    def _read(self) -> None:
        told, at = os.read(self._fd, 65536), 0
        while at < len(told):
            watch, _, _, length = _HEAD.unpack_from(told, at)
            at += _HEAD.size + length
            # -1: so much happened that some of it was lost.
            for number in (watch,) if watch >= 0 else tuple(self._waiting):
                for changed in self._waiting.get(number, ()):
                    changed.set()


_by_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, _Inotify] = WeakKeyDictionary()


def _shared() -> _Inotify:
    loop = asyncio.get_running_loop()
    if loop not in _by_loop:
        _by_loop[loop] = _Inotify(loop)
    return _by_loop[loop]
