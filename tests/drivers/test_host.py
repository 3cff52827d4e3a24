# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
from pathlib import Path

import pytest

from lichen.drivers import host
from lichen.model.usage import Usage


def test_work_is_all_but_idling_and_waiting_and_memory_what_is_not_available(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "stat").write_text("cpu  100 1 50 9000 800 2 3 4 70 0\ncpu0 1 1 1 1\n")
    (tmp_path / "meminfo").write_text("MemTotal:  1000 kB\nMemFree:  10 kB\nMemAvailable:  400 kB\n")
    monkeypatch.setattr(host, "PROC", tmp_path)
    assert host.usage() == Usage(160 * 1_000_000_000 // os.sysconf("SC_CLK_TCK"), 600 << 10)


def test_this_machine_works_and_has_memory_in_use():
    before = host.usage()
    sum(number * number for number in range(3_000_000))
    after = host.usage()
    assert after.cpu > before.cpu
    assert after.memory > 1 << 20
