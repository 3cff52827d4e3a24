# SPDX-License-Identifier: Apache-2.0
"""What containerd may leave on the machine when it is gone: mounts, network namespaces, shims, control groups."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
from pathlib import Path

from lichen.drivers import cgroups
from lichen.drivers.containerd.config import Layout


async def sweep(layout: Layout) -> None:
    """Remove every trace outside `state`: only after containerd was ended."""
    for pid in shims(layout):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    await asyncio.to_thread(unmount_below, layout.run)
    await asyncio.to_thread(unmount_below, layout.state)
    await cgroups.remove(layout.cgroup)
    await asyncio.to_thread(shutil.rmtree, layout.run, ignore_errors=True)


def shims(layout: Layout) -> list[int]:
    """Processes of containerd-shim-runc-v2 that belong to our containerd, by the address they report to."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (folder / "cmdline").read_bytes().split(b"\0")
            if words[0].endswith(b"containerd-shim-runc-v2") and str(layout.socket).encode() in words:
                found.append(int(folder.name))
    return found


def mounts_below(folder: Path) -> list[str]:
    """Mount points in or at a folder, the deepest first."""
    prefix = str(folder.resolve())
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    points = [line.split()[4].replace("\\040", " ") for line in lines]
    return sorted((point for point in points if f"{point}/".startswith(f"{prefix}/")), reverse=True)


def unmount_below(folder: Path) -> None:
    """Unmount them all, lazily if need be."""
    for point in mounts_below(folder):
        subprocess.run(["umount", "-l", point], check=False, capture_output=True)
