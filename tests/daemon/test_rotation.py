# SPDX-License-Identifier: Apache-2.0
"""The logs of the cloud's processes are set aside before they fill the disk."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lichen.daemon.rotation import KEPT, LONGEST, keep_small
from tests.conformance.cloud import Here, folder_of_its_own, until

SUPERVISOR = """
import sys
from pathlib import Path
from lichen.daemon import supervisor
from lichen.daemon.settings import Settings
supervisor.CHILDREN = ()
supervisor.supervise(Settings(data_dir=Path(sys.argv[1])), {})
"""


def a_long_log(path: Path, word: str = "old") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{word}\n" * (LONGEST // (len(word) + 1) + 1))


def test_a_long_log_is_set_aside_and_a_process_keeps_a_few(tmp_path: Path):
    for word in ("one", "two", "three", "four", "five"):
        a_long_log(tmp_path / "kernel.log", word)
        (tmp_path / "node.log").write_text("short")
        keep_small(tmp_path)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["kernel.log", *(f"kernel.log.{n + 1}" for n in range(KEPT)), "node.log"]
    said = [(tmp_path / f"kernel.log.{n + 1}").read_text()[:5].split("\n")[0] for n in range(KEPT)]
    assert said == ["five", "four", "three"]
    assert (tmp_path / "kernel.log").read_text() == ""


def test_what_cannot_be_set_aside_is_said_and_the_others_are(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    for role in ("kernel", "node"):
        a_long_log(tmp_path / f"{role}.log")
    (tmp_path / "kernel.log.1.part").symlink_to("/dev/full")
    keep_small(tmp_path)
    assert "kernel.log cannot be set aside" in caplog.text
    assert (tmp_path / "node.log.1").stat().st_size >= LONGEST


def test_the_supervisor_looks_after_the_logs_of_its_children(tmp_path: Path):
    a_long_log(tmp_path / "log" / "kernel.log")
    (tmp_path / "run" / "metrics" / "supervisor").mkdir(parents=True)
    supervisor = subprocess.Popen([sys.executable, "-c", SUPERVISOR, str(tmp_path)])
    try:
        until("it is set aside", (tmp_path / "log" / "kernel.log.1").exists)
    finally:
        supervisor.send_signal(signal.SIGTERM)
        assert supervisor.wait(30) == 0


def test_a_simulated_cloud_looks_after_its_own():
    with folder_of_its_own() as folder:
        here = Here(folder)
        a_long_log(here.data_dir / "log" / "daemon.log")
        try:
            assert here.up().code == 0
            until("it is set aside", (here.data_dir / "log" / "daemon.log.1").exists)
        finally:
            here.down()
