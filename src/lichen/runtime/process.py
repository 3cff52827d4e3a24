# SPDX-License-Identifier: Apache-2.0
"""What a process takes: the figures that Prometheus's own libraries call `process_*`.

Not by `prometheus_client`: it takes 5 MiB in each process that loads it, and only a process itself may count its
descriptors.
"""

from __future__ import annotations

import os
import resource
from functools import cache
from pathlib import Path

from lichen.model.metrics import Shown

_PROC = Path("/proc/self")


def process_figures() -> list[Shown]:
    """Processor time, memory, descriptors and start of this process."""
    fields = (_PROC / "stat").read_text().rpartition(")")[2].split()
    ticks = os.sysconf("SC_CLK_TCK")
    return [
        _one("process_cpu_seconds_total", "Processor seconds.", (int(fields[11]) + int(fields[12])) / ticks, "counter"),
        _one("process_virtual_memory_bytes", "Virtual memory, in bytes.", int(fields[20])),
        _one("process_resident_memory_bytes", "Resident memory, in bytes.", int(fields[21]) * resource.getpagesize()),
        _one("process_start_time_seconds", "Unix second of its start.", _boot() + int(fields[19]) / ticks),
        _one("process_open_fds", "Open file descriptors.", len(os.listdir(_PROC / "fd"))),
        _one("process_max_fds", "Most file descriptors.", resource.getrlimit(resource.RLIMIT_NOFILE)[0]),
    ]


def _one(name: str, help: str, value: float, type: str = "gauge") -> Shown:
    return Shown(type, name, help, [], [([], [value])])


@cache
def _boot() -> int:
    lines = Path("/proc/stat").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("btime ")).split()[1])
