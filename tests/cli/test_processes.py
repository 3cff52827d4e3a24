# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest

from lichen.cli.processes import processes_of

KERNEL = ["/opt/lichen/bin/python", "-m", "lichen.daemon", "kernel", "--data-dir", "/var/lib/lichen"]


def a_machine_with(proc: Path, *commands: list[str]) -> Path:
    (proc / "uptime").write_text("100.0 1.0\n")
    for pid, command in enumerate(commands, start=1):
        (proc / str(pid)).mkdir()
        (proc / str(pid) / "cmdline").write_bytes("\0".join([*command, ""]).encode())
        (proc / str(pid) / "statm").write_text("10 5 1 1 0 1 0\n")
        (proc / str(pid) / "stat").write_text(f"{pid} (python) S " + " ".join(["1"] * 40))
    return proc


def test_a_process_of_the_cloud_is_known_by_its_command(tmp_path: Path):
    (found,) = processes_of("/var/lib/lichen", a_machine_with(tmp_path, KERNEL))
    assert (found.role, found.pid) == ("kernel", 1)


@pytest.mark.parametrize(
    "command",
    [["timeout", "5", *KERNEL], ["sudo", *KERNEL], [*KERNEL[:-1], "/elsewhere"], ["sh"]],
)  # fmt: skip
def test_what_only_mentions_such_a_command_is_none_of_the_cloud(tmp_path: Path, command: list[str]):
    assert processes_of("/var/lib/lichen", a_machine_with(tmp_path, command)) == []
