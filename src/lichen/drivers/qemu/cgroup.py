# SPDX-License-Identifier: Apache-2.0
"""A cgroup for each guest, in cgroup v2 or v1, whichever holds the controllers on this machine.

v2: one folder /sys/fs/cgroup/<parent>/<guest>. v1: one of that path in each of the memory, cpu and pids hierarchies.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path

MOUNT = Path("/sys/fs/cgroup")
_V1_CONTROLLERS = ("memory", "cpu", "pids")


@dataclass(frozen=True, slots=True)
class Limits:
    """What a guest may use. memory: bytes; cpus: share of processor time, in processors; tasks: threads."""

    memory: int
    cpus: int
    tasks: int


class Cgroups:
    """The guests' groups under `parent`."""

    def __init__(self, parent: str, mount: Path = MOUNT) -> None:
        self._parent = parent
        self._unified = (mount / "cgroup.controllers").exists()
        if self._unified:
            self._roots = [mount]
        else:
            self._roots = [mount / name for name in _V1_CONTROLLERS if (mount / name).is_dir()]

    def make(self, name: str, limits: Limits) -> list[Path]:
        """Make or change a guest's group; returns the `cgroup.procs` files that a process joins it by."""
        groups = self._folders(name)
        for root, group in zip(self._roots, groups, strict=True):
            if self._unified:
                _delegate(root, self._parent)
            group.mkdir(parents=True, exist_ok=True)
            for file, value in (_v2(limits) if self._unified else _v1(limits)).items():
                if (group / file).exists():
                    (group / file).write_text(value)
        return self.joins(name)

    def joins(self, name: str) -> list[Path]:
        return [group / "cgroup.procs" for group in self._folders(name)]

    def remove(self, name: str) -> None:
        """Remove a guest's group, which must hold no process."""
        for group in self._folders(name):
            with contextlib.suppress(OSError):
                group.rmdir()

    def remove_parent(self) -> None:
        """Remove the common parent if nothing is left in it."""
        for root in self._roots:
            path = root / self._parent
            while path != root:
                try:
                    path.rmdir()
                except OSError:
                    break
                path = path.parent

    def processes(self, name: str) -> set[int]:
        """Ids of the processes in a guest's group."""
        found: set[int] = set()
        for group in self._folders(name):
            with contextlib.suppress(FileNotFoundError):
                found.update(int(line) for line in (group / "cgroup.procs").read_text().split())
        return found

    def _folders(self, name: str) -> list[Path]:
        return [root / self._parent / name for root in self._roots]


def _delegate(root: Path, parent: str) -> None:
    """Hand the controllers down to the guests' groups; each level must allow them to the next."""
    here = root
    for part in ("", *parent.split("/")):
        here = here / part if part else here
        here.mkdir(exist_ok=True)
        offered = (here / "cgroup.controllers").read_text().split()
        wanted = [f"+{name}" for name in ("cpu", "memory", "pids") if name in offered]
        (here / "cgroup.subtree_control").write_text(" ".join(wanted))


def _v2(limits: Limits) -> dict[str, str]:
    return {
        "memory.max": str(limits.memory),
        "memory.swap.max": str(limits.memory),
        "cpu.weight": str(min(10000, 100 * limits.cpus)),
        "pids.max": str(limits.tasks),
    }


def _v1(limits: Limits) -> dict[str, str]:
    return {
        "memory.limit_in_bytes": str(limits.memory),
        "cpu.shares": str(min(262144, 1024 * limits.cpus)),
        "pids.max": str(limits.tasks),
    }
