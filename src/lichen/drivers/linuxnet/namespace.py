# SPDX-License-Identifier: Apache-2.0
"""Network namespaces that a file keeps (`nsenter --net=<file>`), and being inside one for a while.

The files are in a folder of our own: in /run/netns the first `ip netns add` of anybody mounts that folder over itself,
and what was mounted in it before can then not be removed any more.

A thread has a network namespace of its own: `inside` moves only the calling thread, whatever it opens or starts there
stays there. Python 3.11 has no setns.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_NEW_NETWORK = 0x40000000
_BIND = 0x1000
_DETACH = 2
_OWN = "/proc/thread-self/ns/net"
_libc = ctypes.CDLL(None, use_errno=True)


def exists(path: Path) -> bool:
    """Whether the file leads to a namespace (one left by an unclean end does not)."""
    try:
        return path.stat().st_dev == Path(_OWN).stat().st_dev
    except FileNotFoundError:
        return False


def create(path: Path) -> None:
    """Make the namespace if it is not there."""
    if exists(path):
        return
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    path.touch(0o600)
    back = os.open(_OWN, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _call("unshare", ctypes.c_int(_NEW_NETWORK))
        try:
            _call("mount", _OWN.encode(), str(path).encode(), b"none", ctypes.c_ulong(_BIND), None)
        finally:
            _call("setns", ctypes.c_int(back), ctypes.c_int(_NEW_NETWORK))
    finally:
        os.close(back)


def remove(path: Path) -> None:
    """Remove the file; the kernel removes the namespace with what is in it when nobody uses it."""
    if exists(path):
        _call("umount2", str(path).encode(), ctypes.c_int(_DETACH))
    path.unlink(missing_ok=True)


@contextmanager
def inside(path: Path) -> Iterator[None]:
    """The calling thread is in the namespace at `path`. FileNotFoundError if there is none."""
    back = os.open(_OWN, os.O_RDONLY | os.O_CLOEXEC)
    try:
        there = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            _call("setns", ctypes.c_int(there), ctypes.c_int(_NEW_NETWORK))
        finally:
            os.close(there)
        try:
            yield
        finally:
            _call("setns", ctypes.c_int(back), ctypes.c_int(_NEW_NETWORK))
    finally:
        os.close(back)


def set_sysctl(path: str, value: str) -> None:
    """Write /proc/sys/net/<path> of the namespace the thread is in."""
    Path("/proc/sys/net", path).write_text(value)


def _call(function: str, *arguments: object) -> None:
    if getattr(_libc, function)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{function}: {os.strerror(number)}")
