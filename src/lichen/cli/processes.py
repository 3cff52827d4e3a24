# SPDX-License-Identifier: Apache-2.0
"""A cloud's own processes as /proc shows them: found by their command line, which names the cloud's data directory."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROLES = {"start": "supervisor", "openstack": "openstack-api"}
_ORDER = ("supervisor", "kernel", "controllers", "node", "openstack-api")


@dataclass(frozen=True, slots=True)
class Process:
    """memory: resident bytes, those that it shares with others included; age: seconds since its start."""

    role: str
    pid: int
    memory: int
    age: float


def processes_of(data_dir: str, proc: Path = Path("/proc")) -> list[Process]:
    """In the order of their start-up; what ends meanwhile is left out."""
    found = [process for entry in proc.iterdir() if (process := _process(entry, data_dir)) is not None]
    return sorted(found, key=lambda p: (_ORDER.index(p.role) if p.role in _ORDER else len(_ORDER), p.pid))


def _process(entry: Path, data_dir: str) -> Process | None:
    if not entry.name.isdigit():
        return None
    try:
        role = _role((entry / "cmdline").read_bytes().decode(errors="replace").split("\0"), data_dir)
        if not role:
            return None
        memory = int((entry / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        begun = int((entry / "stat").read_text().rpartition(")")[2].split()[19]) / os.sysconf("SC_CLK_TCK")
        up = float((entry.parent / "uptime").read_text().split()[0])
    except (OSError, IndexError):
        return None
    return Process(role, int(entry.name), memory, max(up - begun, 0.0))


def _role(command: list[str], data_dir: str) -> str:
    """The role that `python -m lichen.daemon ROLE … --data-dir D` names; "" of any other command."""
    if command[1:3] != ["-m", "lichen.daemon"] or data_dir not in _after(command, "--data-dir"):
        return ""  # also what only runs such a command: sudo, timeout, a profiler
    return ROLES.get(command[3], command[3])


def _after(command: list[str], word: str) -> Iterator[str]:
    """Whatever follows a word directly."""
    return (second for first, second in itertools.pairwise(command) if first == word)
