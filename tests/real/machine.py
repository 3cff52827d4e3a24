# SPDX-License-Identifier: Apache-2.0
"""What real tests ask of the machine: commands, the tiny image, and lists of what is there before and after."""

from __future__ import annotations

import asyncio
import fcntl
import os
import subprocess
import tempfile
from pathlib import Path

from lichen.drivers.qemu import build_tiny

CACHE = Path(tempfile.gettempdir()) / f"lichen-tests-{os.getuid()}"


def tiny_image() -> Path:
    """The lichen-tiny image, built once on this machine whichever test process comes first."""
    CACHE.mkdir(mode=0o755, exist_ok=True)
    source = Path(build_tiny.__code__.co_filename).parent
    newest = max(path.stat().st_mtime for path in source.rglob("*") if path.suffix != ".pyc" and path.is_file())
    image = CACHE / "lichen-tiny.qcow2"
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not image.exists() or image.stat().st_mtime < newest:
            build_tiny(image, CACHE / "work")
    return image


async def run(*command: str, check: bool = True) -> str:
    """Output of a command that must succeed; standard error is in it."""
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    out, _ = await asyncio.wait_for(process.communicate(), 30)
    text = out.decode(errors="replace")
    assert not check or process.returncode == 0, f"{' '.join(command)}: {text}"
    return text


async def inside(netns: str | Path, *command: str, check: bool = True) -> str:
    return await run("nsenter", f"--net={netns}", *command, check=check)


def belongings(mark: str) -> dict[str, set[str]]:
    """Everything on this machine whose name or arguments hold `mark`: what a driver with that prefix has left."""
    links = subprocess.run(["ip", "-o", "link"], capture_output=True, text=True, check=True).stdout
    tables = subprocess.run(["nft", "list", "tables"], capture_output=True, text=True, check=True).stdout
    mounts = Path("/proc/mounts").read_text()
    return {
        "interfaces": {line.split(": ")[1] for line in links.splitlines() if mark in line},
        "tables": {line for line in tables.splitlines() if mark in line},
        "mounts": {line for line in mounts.splitlines() if mark in line},
        "cgroups": {str(path) for path in Path("/sys/fs/cgroup").glob(f"*/{mark}*")},
        "processes": _processes(mark),
    }


def _processes(mark: str) -> set[str]:
    found = set()
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and int(folder.name) != os.getpid():
            try:
                arguments = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except (FileNotFoundError, ProcessLookupError):
                continue
            if mark in arguments:
                found.add(arguments)
    return found


NOTHING: dict[str, set[str]] = {
    "interfaces": set(),
    "tables": set(),
    "mounts": set(),
    "cgroups": set(),
    "processes": set(),
}
