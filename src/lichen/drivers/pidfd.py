# SPDX-License-Identifier: Apache-2.0
"""A process that is not our child: found by its pid file and arguments, watched by a pidfd."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import NamedTuple


class ProcessId(NamedTuple):
    """A process id that cannot be mistaken for a later process of the same number."""

    pid: int
    ticks: int


def find(pidfile: Path, argument: str) -> ProcessId | None:
    """The living process that wrote `pidfile`, if `argument` is one of its arguments: a number that was given to
    another process since, or by another boot, finds nothing."""
    try:
        pid = int(pidfile.read_text())
        ticks = _start_ticks(pid)
    except (FileNotFoundError, ValueError):
        return None
    return ProcessId(pid, ticks) if ticks is not None and argument in arguments(pid) else None


def arguments(pid: int) -> list[str]:
    """The command line of a process, empty if it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="surrogateescape").split("\0")[:-1]
    except (FileNotFoundError, ProcessLookupError):
        return []


def is_alive(process: ProcessId) -> bool:
    """Whether that very process still runs (a zombie does not)."""
    return _start_ticks(process.pid) == process.ticks


def _start_ticks(pid: int) -> int | None:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in "ZX" else int(fields[19])


class Watch:
    """Waits for the end of a process without asking: `ended` is set by its pidfd."""

    def __init__(self, process: ProcessId) -> None:
        self.process = process
        self.ended = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._fd = -1
        try:
            self._fd = os.pidfd_open(process.pid)
        except ProcessLookupError:
            self.ended.set()
            return
        if not is_alive(process):
            self.close()
            self.ended.set()
            return
        self._loop.add_reader(self._fd, self._end)

    def _end(self) -> None:
        self.close()
        self.ended.set()

    def close(self) -> None:
        """Stop watching; the process is left alone."""
        if self._fd >= 0:
            self._loop.remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1

    def kill(self) -> None:
        """SIGKILL, to this very process only."""
        if self._fd >= 0:
            signal.pidfd_send_signal(self._fd, signal.SIGKILL)
