# SPDX-License-Identifier: Apache-2.0
"""FileMounts: file systems in raw files, mounted for pods (MountDriver).

Each is mounted at <folder>/<volume id> by a loop device that the kernel takes away with the mount. The kernel's table
of mounts is the record. A file system is made only on a volume that holds nothing at all.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from lichen.model.errors import Permanent, Temporary

log = logging.getLogger(__name__)

FILE_SYSTEMS = ("ext4",)
OLDER = {"ext4": ("ext4", "ext3", "ext2")}
"""What each file system's driver mounts as well."""
FAILED = "FailedMount"
_HEAD = 1 << 20
_DENIED = "Permission denied"
"""What resize2fs says where root may not grow a mounted file system (no CAP_SYS_RESOURCE)."""
_UNKNOWN = 2
"""What blkid ends with if it knows nothing of what it sees."""


class FileMounts:
    """Mounts below `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._locks: dict[str, asyncio.Lock] = {}

    async def discover(self) -> frozenset[str]:
        return frozenset(self._mounted())

    async def mount(self, volume_id: str, device: Path, *, file_system: str = "ext4", read_only: bool = False) -> None:
        if file_system not in FILE_SYSTEMS:
            raise Permanent(FAILED, f"File system {file_system} is not offered: {', '.join(FILE_SYSTEMS)} is.")
        async with self._locks.setdefault(volume_id, asyncio.Lock()):
            if volume_id not in self._mounted():
                await self._mount(volume_id, device, file_system, read_only)
            await self._grow(volume_id, device)

    async def unmount(self, volume_id: str) -> None:
        async with self._locks.setdefault(volume_id, asyncio.Lock()):
            while volume_id in self._mounted():
                code, words = await _run("umount", str(self.folder(volume_id)))
                if code:
                    raise Temporary(f"Volume {volume_id} is still in use on its node: {words}", delay=2.0)
            with contextlib.suppress(FileNotFoundError):
                self.folder(volume_id).rmdir()

    def mount_memory(self, folder: Path, size: int) -> None:
        if _memory_below(folder):
            return
        options = f"size={size},mode=0777,nosuid,nodev"
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], check=False, capture_output=True
        )
        if done.returncode:
            raise Temporary(f"{folder.name} cannot be had in memory: {done.stderr.decode().strip()}", delay=5.0)

    def unmount_memory(self, root: Path) -> None:
        for folder in _memory_below(root):
            subprocess.run(["umount", "--lazy", str(folder)], check=False, capture_output=True)

    def folder(self, volume_id: str) -> Path:
        return self._folder / volume_id

    async def cleanup(self) -> None:
        for volume_id in self._mounted():
            await self.unmount(volume_id)
        with contextlib.suppress(OSError):
            self._folder.rmdir()

    def _mounted(self) -> dict[str, str]:
        """Loop devices by volume id, from the kernel."""
        return {path.name: source for source, path, _ in _mounts() if path.parent == self._folder}

    async def _mount(self, volume_id: str, device: Path, file_system: str, read_only: bool) -> None:
        begun = device.with_name(f".{device.name}.formatting.part")
        found = "" if begun.exists() else await _file_system_of(device)
        if not found:
            if read_only:
                raise Permanent(FAILED, f"Volume {volume_id} is empty and read-only: there is nothing to mount.")
            if not begun.exists():
                await _check_blank(volume_id, device)
            await _make(device, begun)
        elif found not in OLDER[file_system]:
            raise Permanent(FAILED, f"Volume {volume_id} holds {found}, not the {file_system} that is asked for.")
        elif not read_only:
            await _grow_unmounted(volume_id, device)
        target = self.folder(volume_id)
        target.mkdir(parents=True, exist_ok=True, mode=0o755)
        options = "loop,nosuid,nodev,errors=remount-ro" + (",ro" if read_only else ",discard")
        code, words = await _run("mount", "-t", file_system, "-o", options, str(device), str(target))
        if code:
            raise Temporary(f"Volume {volume_id} cannot be mounted: {words}", delay=5.0)
        if not found:
            target.chmod(0o777)  # whichever user the first container runs as owns an empty volume

    async def _grow(self, volume_id: str, device: Path) -> None:
        """A volume that has become larger: so do its loop device and its file system."""
        loop = self._mounted()[volume_id]
        size = Path(f"/sys/block/{Path(loop).name}/size")
        if int(await asyncio.to_thread(size.read_text)) * 512 >= device.stat().st_size:
            return
        for command in (("losetup", "-c", loop), ("resize2fs", loop)):
            code, words = await _run(*command)
            if code and _DENIED in words:
                log.warning(
                    "volume %s grows when it is mounted next: this machine grows no mounted file system", volume_id
                )
                return
            if code:
                raise Temporary(f"Volume {volume_id} does not grow: {words}", delay=5.0)


def _mounts() -> Iterator[tuple[str, Path, str]]:
    """(source, where, file system) of all that is mounted."""
    for line in Path("/proc/self/mounts").read_text().splitlines():
        source, where, kind, *_ = line.split(" ")
        yield source, Path(where.encode().decode("unicode_escape")), kind


def _memory_below(root: Path) -> list[Path]:
    return [path for _, path, kind in _mounts() if kind == "tmpfs" and path.is_relative_to(root.resolve())]


async def _file_system_of(device: Path) -> str:
    """What is on the volume, "" if nothing that is known."""
    code, words = await _run("blkid", "-p", "-o", "value", "-s", "TYPE", str(device))
    if code not in (0, _UNKNOWN):
        raise Temporary(f"blkid cannot read {device.name}: {words}", delay=5.0)
    return words.strip() or await _partitioned(device)


async def _partitioned(device: Path) -> str:
    _, words = await _run("blkid", "-p", "-o", "value", "-s", "PTTYPE", str(device))
    return f"a partition table ({words.strip()})" if words.strip() else ""


async def _check_blank(volume_id: str, device: Path) -> None:
    """Nothing is ever formatted that holds something, known or not. Permanent."""

    def is_blank() -> bool:
        with device.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            head = file.read(_HEAD)
            file.seek(max(0, size - _HEAD))
            return not any(head) and not any(file.read(_HEAD))

    if not await asyncio.to_thread(is_blank):
        raise Permanent(FAILED, f"Volume {volume_id} holds something that is no file system: it is not overwritten.")


async def _make(device: Path, begun: Path) -> None:
    """begun: a file that is there, on the disk, while the volume is no more than half formatted: what a process that
    was killed left is done anew, one at a time, since its mkfs may outlive it. Nothing is mounted before it is gone."""
    begun.touch(0o600)
    _sync(begun.parent)
    make = ("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=1,root_owner=0:0", "-m", "0", str(device))
    code, words = await _run("flock", "--wait", "60", str(begun), *make)
    if code:
        raise Temporary(f"No file system can be made on {device.name}: {words}", delay=5.0)
    begun.unlink(missing_ok=True)
    _sync(begun.parent)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


async def _grow_unmounted(volume_id: str, device: Path) -> None:
    """The file system as large as the volume."""
    _, words = await _run("tune2fs", "-l", str(device), keep=4000)
    facts = dict(line.split(":", 1) for line in words.splitlines() if ":" in line)
    size = int(facts.get("Block count", "0")) * int(facts.get("Block size", "0"))
    if not size or size + _HEAD > device.stat().st_size:
        return
    for command in (("e2fsck", "-f", "-p", str(device)), ("resize2fs", str(device))):
        code, words = await _run(*command)
        if code > 1:  # 1: e2fsck mended something
            raise Temporary(f"Volume {volume_id} does not grow: {words}", delay=5.0)


async def _run(*command: str, keep: int = 300) -> tuple[int, str]:
    """(exit code, the last `keep` letters of what it said)"""
    path = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}
    try:
        process = await asyncio.create_subprocess_exec(
            *command, env=path, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
    except FileNotFoundError:
        raise Permanent(FAILED, f"{command[0]} is not installed: apt install e2fsprogs mount") from None
    out, _ = await process.communicate()
    return process.returncode or 0, out.decode(errors="replace").strip()[-keep:]
