# SPDX-License-Identifier: Apache-2.0
"""Places inside volumes, held still while a container is made that mounts them.

A container that has the volume already can put a link in a folder's place between our look at it and the mount, and
the mount would follow it to anywhere on the machine. So the place is opened without ever leaving the volume, and what
was opened is what containerd is given: bound to a path that no container knows.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import errno
import os
import stat
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

from lichen.drivers.base import ContainerSpec, Mount
from lichen.model.errors import Permanent, Temporary

_MS_BIND, _MNT_DETACH = 4096, 2
_OPENAT2, _RESOLVE_NO_MAGICLINKS, _RESOLVE_BENEATH = 437, 0x02, 0x08
_FAILED = "FailedMount"
_TRIES = 100
"""Of a walk in which something was moved meanwhile."""
_libc = ctypes.CDLL(None, use_errno=True)


class _How(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


@contextlib.asynccontextmanager
async def pinned(folder: Path, container: ContainerSpec) -> AsyncIterator[ContainerSpec]:
    """The container with a path of its own below `folder` for each place inside a volume, while it lasts. Permanent
    (FailedMount): a place is not inside its volume. Temporary."""
    if not any(mount.sub_path for mount in container.mounts):
        yield container
        return
    try:
        mounts = await asyncio.to_thread(_pin_all, folder, container.mounts)
        yield replace(container, mounts=mounts)
    finally:
        await asyncio.shield(asyncio.to_thread(unpin, folder))


def unpin(folder: Path) -> None:
    """Let go of all that is pinned below `folder`, by whomever."""
    for target in folder.iterdir() if folder.is_dir() else ():
        _libc.umount2(os.fsencode(target), _MNT_DETACH)  # never removed with what is in it: it may be still bound
        target.rmdir() if target.is_dir() else target.unlink()
    with contextlib.suppress(FileNotFoundError):
        folder.rmdir()


def open_beneath(root: Path, place: str) -> int:
    """A descriptor (O_PATH) of what is at `place` in `root`, folders that are not there made. Links are followed as
    far as they stay inside. Permanent (FailedMount)."""
    base = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return _open_or_make(base, place)
    except OSError as error:
        said = "leads out of its volume" if error.errno == errno.EXDEV else os.strerror(error.errno or 0)
        raise Permanent(_FAILED, f"path {place!r}: {said}") from None
    finally:
        os.close(base)


def _pin_all(folder: Path, mounts: tuple[Mount, ...]) -> tuple[Mount, ...]:
    unpin(folder)
    folder.mkdir(parents=True, mode=0o700)
    return tuple(_pin(mount, folder / str(number)) if mount.sub_path else mount for number, mount in enumerate(mounts))


def _pin(mount: Mount, target: Path) -> Mount:
    opened = open_beneath(Path(mount.host_path), mount.sub_path)
    try:
        target.mkdir() if stat.S_ISDIR(os.fstat(opened).st_mode) else target.touch()
        source = f"/proc/self/fd/{opened}".encode()
        if _libc.mount(source, os.fsencode(target), None, ctypes.c_ulong(_MS_BIND), None):
            raise Temporary(f"{mount.sub_path} cannot be mounted: {os.strerror(ctypes.get_errno())}", delay=5.0)
    finally:
        os.close(opened)
    return replace(mount, host_path=str(target), sub_path="")


def _open_or_make(base: int, place: str) -> int:
    parts = [part for part in place.split("/") if part not in ("", ".")]
    for number in range(1, len(parts)):
        os.close(_folder(base, parts[:number]))
    try:
        return _open(base, "/".join(parts) or ".")
    except FileNotFoundError:
        return _folder(base, parts)


def _folder(base: int, parts: list[str]) -> int:
    """What is at the path, a new folder as open as the volume itself if there is nothing; all above it is there."""
    with contextlib.suppress(FileNotFoundError):
        return _open(base, "/".join(parts))
    above = _open(base, "/".join(parts[:-1]) or ".")
    try:
        with contextlib.suppress(FileExistsError):
            os.mkdir(parts[-1], dir_fd=above)
        made = _open(base, "/".join(parts))
        os.chmod(f"/proc/self/fd/{made}", stat.S_IMODE(os.fstat(base).st_mode))
        return made
    finally:
        os.close(above)


def _open(base: int, path: str) -> int:
    how = _How(os.O_PATH | os.O_CLOEXEC, 0, _RESOLVE_BENEATH | _RESOLVE_NO_MAGICLINKS)
    for _ in range(_TRIES):
        found = _libc.syscall(_OPENAT2, base, os.fsencode(path), ctypes.byref(how), ctypes.sizeof(how))
        if found >= 0:
            return int(found)
        code = ctypes.get_errno()
        if code != errno.EAGAIN:
            raise OSError(code, os.strerror(code), path)
    raise Temporary(f"{path} is moved all the time")
