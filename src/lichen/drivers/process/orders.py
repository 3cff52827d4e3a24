# SPDX-License-Identifier: Apache-2.0
"""What the host of processes is told, and what it leaves behind to be found."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict


class Order(TypedDict):
    """One process to run. cgroup: folders of its control group.

    mounts: host's path, where the process sees it too, whether it may only be read.
    listen: what the listening socket that comes with it is called; "" for none.
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
    cgroup: list[str]


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


def process_of(pid: int) -> Process:
    """One that runs, or has not been reaped. OSError."""
    return Process(pid, Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])


@dataclass(frozen=True, slots=True)
class Started:
    """An attempt's process, the host that keeps it, and when it began, in unix seconds."""

    host: Process
    process: Process
    at: float


@dataclass(frozen=True, slots=True)
class Ended:
    """How an attempt ended. reason: why it could not even be started."""

    code: int
    at: float
    reason: str = ""


def write_started(folder: Path, started: Started) -> None:
    host, process = started.host, started.process
    _write_whole(folder / "started", f"{host.pid} {host.started} {process.pid} {process.started} {started.at}")


def write_ended(folder: Path, ended: Ended) -> None:
    _write_whole(folder / "ended", f"{ended.code} {ended.at} {ended.reason}")


def _write_whole(path: Path, text: str) -> None:
    """A reader sees all of it or nothing."""
    new = path.with_suffix(".new")
    new.write_text(text)
    new.rename(path)


def read_started(folder: Path) -> Started | None:
    """None: it has not started, or never did."""
    try:
        host, host_started, pid, started, at = (folder / "started").read_text().split()
    except OSError:
        return None
    return Started(Process(int(host), host_started), Process(int(pid), started), float(at))


def read_ended(folder: Path) -> Ended | None:
    """None: it still runs, or its host was killed."""
    try:
        code, at, reason = (folder / "ended").read_text().split(" ", 2)
    except OSError:
        return None
    return Ended(int(code), float(at), reason)
