# SPDX-License-Identifier: Apache-2.0
"""What is used of this machine, from /proc."""

from __future__ import annotations

import os
from pathlib import Path

from lichen.model.usage import Usage

PROC = Path("/proc")
_IDLE = (3, 4)
"""Columns of /proc/stat that are no work: idle, iowait."""


def usage() -> Usage:
    """Of all processors together, and of memory what is not available to new programs."""
    ticks = [int(word) for word in (PROC / "stat").read_text().split("\n", 1)[0].split()[1:9]]
    busy = sum(ticks) - sum(ticks[column] for column in _IDLE)
    memory = dict(line.split(":", 1) for line in (PROC / "meminfo").read_text().splitlines())
    used = _kib(memory["MemTotal"]) - _kib(memory["MemAvailable"])
    return Usage(busy * 1_000_000_000 // os.sysconf("SC_CLK_TCK"), used << 10)


def _kib(text: str) -> int:
    return int(text.split()[0])
