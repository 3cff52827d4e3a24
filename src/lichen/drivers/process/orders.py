# SPDX-License-Identifier: Apache-2.0
"""What a supervisor is told, and what it leaves behind to be found."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict


class Order(TypedDict):
    """One process to run. cgroup, own_cgroup: folders of the process's and of its supervisor's control group.

    mounts: host's path, where the process sees it too, whether it may only be read.
    socket: the descriptor of the listening socket named `listen`, if that is not "".
    """

    folder: str
    log: str
    argv: list[str]
    env: dict[str, str]
    cwd: str
    uid: int
    gid: int
    mounts: list[tuple[str, str, bool]]
    listen: str
    socket: int
    cgroup: list[str]
    own_cgroup: list[str]


@dataclass(frozen=True, slots=True)
class Process:
    """A process for good: its number alone may be another's tomorrow. started: ticks since boot."""

    pid: int
    started: str

    def alive(self) -> bool:
        """It runs, and it is the one that was meant."""
        try:
            stat = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return False
        return stat[19] == self.started and stat[0] not in "ZX"

    def open(self) -> int:
        """A pidfd; -1 if it is gone."""
        with contextlib.suppress(ProcessLookupError):
            descriptor = os.pidfd_open(self.pid)
            if self.alive():
                return descriptor
            os.close(descriptor)
        return -1


@dataclass(frozen=True, slots=True)
class Started:
    """An attempt's processes and when it began, in unix seconds."""

    shim: Process
    process: Process
    at: float


@dataclass(frozen=True, slots=True)
class Ended:
    """How an attempt ended. reason: why it could not even be started."""

    code: int
    at: float
    reason: str = ""


def read_started(folder: Path) -> Started | None:
    """None: it has not started, or never did."""
    try:
        shim, shim_started, pid, started, at = (folder / "started").read_text().split()
    except OSError:
        return None
    return Started(Process(int(shim), shim_started), Process(int(pid), started), float(at))


def read_ended(folder: Path) -> Ended | None:
    """None: it still runs, or its supervisor was killed."""
    try:
        code, at, reason = (folder / "ended").read_text().split(" ", 2)
    except OSError:
        return None
    return Ended(int(code), float(at), reason)
