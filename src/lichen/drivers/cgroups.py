# SPDX-License-Identifier: Apache-2.0
"""Control groups, version 1 or 2, by path below the root (`lichen/pod-1`). What every driver's processes are put into.

On version 1 a group is a folder in each controller's hierarchy; on version 2 it is one folder.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

from lichen.model.usage import Usage

ROOT = Path("/sys/fs/cgroup")
PERIOD = 100_000  # µs: the CFS period that CPU limits are counted in


def is_v2() -> bool:
    """One unified hierarchy (stock Debian 12), or one per controller."""
    return (ROOT / "cgroup.controllers").exists()


def hierarchies() -> list[Path]:
    """The mount points that a group has a folder in."""
    if is_v2():
        return [ROOT]
    return sorted(path for path in ROOT.iterdir() if (path / "cgroup.procs").exists() and not path.is_symlink())


def create(group: str) -> None:
    """Make the group in every hierarchy. On version 2 its parents hand the controllers on."""
    for base in hierarchies():
        (base / group).mkdir(parents=True, exist_ok=True)
        if base.name == "cpuset":
            _inherit_cpuset(base, group)
        if is_v2():
            _delegate(base, group)


def join(group: str, pid: int) -> None:
    """Make the group and move a process into it."""
    create(group)
    for base in hierarchies():
        (base / group / "cgroup.procs").write_text(str(pid))


def limit(group: str, *, cpu_millis: int = 0, cpu_shares: int = 0, memory_bytes: int = 0, tasks: int = 0) -> None:
    """Bound the group: CPU in thousandths of a core, relative weight (1024: one core), memory, number of processes and
    threads. 0: no bound."""
    v2 = is_v2()
    if cpu_millis:
        quota = max(1000, cpu_millis * PERIOD // 1000)
        if v2:
            _write(group, "cpu", "cpu.max", f"{quota} {PERIOD}")
        else:
            _write(group, "cpu", "cpu.cfs_period_us", str(PERIOD))
            _write(group, "cpu", "cpu.cfs_quota_us", str(quota))
    if cpu_shares:
        weight = 1 + (max(2, min(cpu_shares, 262144)) - 2) * 9999 // 262142
        _write(group, "cpu", "cpu.weight" if v2 else "cpu.shares", str(weight if v2 else max(2, cpu_shares)))
    if memory_bytes:
        _write(group, "memory", "memory.max" if v2 else "memory.limit_in_bytes", str(memory_bytes))
    if tasks:
        _write(group, "pids", "pids.max", str(tasks))


def pids(group: str) -> set[int]:
    """Every process in the group or below it."""
    found: set[int] = set()
    for folder in _folders(group):
        with contextlib.suppress(OSError):
            found.update(int(line) for line in (folder / "cgroup.procs").read_text().split())
    return found


def usage(group: str) -> Usage | None:
    """What the processes of the group have used; None if there is no such group."""
    v2 = is_v2()
    try:
        stat = _figures(group, "memory", "memory.stat")
        held = int(_read(group, "memory", "memory.current" if v2 else "memory.usage_in_bytes"))
        if v2:
            cpu = _figures(group, "cpu", "cpu.stat")["usage_usec"] * 1000
        else:
            cpu = int(_read(group, "cpuacct", "cpuacct.usage"))
    except FileNotFoundError:
        return None
    return Usage(cpu, max(0, held - stat["inactive_file" if v2 else "total_inactive_file"]))


def _figures(group: str, controller: str, name: str) -> dict[str, int]:
    """A file of `name number` lines."""
    return {key: int(value) for key, value in map(str.split, _read(group, controller, name).splitlines())}


def _read(group: str, controller: str, name: str) -> str:
    base = ROOT if is_v2() else ROOT / controller
    return (base / group / name).read_text()


async def remove(group: str, *, deadline: float = 5.0) -> None:
    """Kill what is in the group and remove it with all below it. A group that is gone is success."""
    until = asyncio.get_running_loop().time() + deadline
    while True:
        for pid in pids(group):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for folder in _folders(group):
            with contextlib.suppress(OSError):
                folder.rmdir()
        if not any((base / group).exists() for base in hierarchies()):
            return
        if asyncio.get_running_loop().time() > until:
            raise OSError(f"control group {group} is still in use: {sorted(pids(group))}")
        await asyncio.sleep(0.02)  # a killed process leaves its group when the kernel has reaped it


def _folders(group: str) -> Iterator[Path]:
    """The group's folders, deepest first."""
    for base in hierarchies():
        for parent, _, _ in os.walk(base / group, topdown=False):
            yield Path(parent)


def _write(group: str, controller: str, name: str, value: str) -> None:
    base = ROOT if is_v2() else ROOT / controller
    path = base / group / name
    if path.exists():
        path.write_text(value)


def _inherit_cpuset(base: Path, group: str) -> None:
    """A version 1 cpuset takes no process before it has CPUs and memory nodes."""
    for part in reversed([Path(group), *list(Path(group).parents)[:-1]]):
        for name in ("cpuset.cpus", "cpuset.mems"):
            path = base / part / name
            if not path.read_text().strip():
                path.write_text((path.parent.parent / name).read_text())


def _delegate(base: Path, group: str) -> None:
    for parent in reversed(list(Path(group).parents)):
        folder = base / parent
        for controller in (folder / "cgroup.controllers").read_text().split():
            with contextlib.suppress(OSError):
                (folder / "cgroup.subtree_control").write_text(f"+{controller}")
