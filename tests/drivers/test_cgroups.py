# SPDX-License-Identifier: Apache-2.0
"""Control groups on both versions, over folders that stand in for the kernel's."""

from __future__ import annotations

from pathlib import Path

import pytest

from lichen.drivers import cgroups
from lichen.model.usage import Usage


@pytest.fixture
def v2(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Version 2: one hierarchy."""
    (tmp_path / "a/b").mkdir(parents=True)
    for folder in (tmp_path, tmp_path / "a", tmp_path / "a/b"):
        (folder / "cgroup.controllers").write_text("cpu memory\n")
        (folder / "cgroup.procs").write_text("")
        (folder / "cgroup.subtree_control").write_text("")
    for name in ("cpu.max", "cpu.weight", "memory.max"):
        (tmp_path / "a/b" / name).write_text("")
    monkeypatch.setattr(cgroups, "ROOT", tmp_path)
    return tmp_path


@pytest.fixture
def v1(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Version 1: one hierarchy for each controller."""
    for name in ("cpu", "memory", "cpuset"):
        (tmp_path / name / "a").mkdir(parents=True)
        for folder in (tmp_path / name, tmp_path / name / "a"):
            (folder / "cgroup.procs").write_text("")
    for name in ("cpuset.cpus", "cpuset.mems"):
        (tmp_path / "cpuset" / name).write_text("0-1")
        (tmp_path / "cpuset/a" / name).write_text("\n")
    for name in ("cpu.cfs_period_us", "cpu.cfs_quota_us", "cpu.shares"):
        (tmp_path / "cpu/a" / name).write_text("")
    (tmp_path / "memory/a/memory.limit_in_bytes").write_text("")
    (tmp_path / "cpuacct").symlink_to("cpu")
    monkeypatch.setattr(cgroups, "ROOT", tmp_path)
    return tmp_path


def test_version_2_hands_its_controllers_down_and_takes_the_process(v2: Path) -> None:
    cgroups.join("a/b", 42)
    assert (v2 / "a/b/cgroup.procs").read_text() == "42"
    assert (v2 / "a/cgroup.subtree_control").read_text() == "+memory"
    assert (v2 / "a/b/cgroup.subtree_control").read_text() == ""


def test_version_2_limits(v2: Path) -> None:
    cgroups.limit("a/b", cpu_millis=250, cpu_shares=1024, memory_bytes=4096)
    values = [(v2 / "a/b" / name).read_text() for name in ("cpu.max", "cpu.weight", "memory.max")]
    assert values == ["25000 100000", "39", "4096"]


def test_version_1_takes_the_process_in_each_hierarchy_and_fills_cpusets(v1: Path) -> None:
    cgroups.join("a", 42)
    assert {name: (v1 / name / "a/cgroup.procs").read_text() for name in ("cpu", "memory", "cpuset")} == {
        "cpu": "42",
        "memory": "42",
        "cpuset": "42",
    }
    assert (v1 / "cpuset/a/cpuset.cpus").read_text() == "0-1"


def test_version_1_limits(v1: Path) -> None:
    cgroups.limit("a", cpu_millis=250, cpu_shares=1024, memory_bytes=4096)
    cpu = [(v1 / "cpu/a" / name).read_text() for name in ("cpu.cfs_period_us", "cpu.cfs_quota_us", "cpu.shares")]
    assert cpu == ["100000", "25000", "1024"]
    assert (v1 / "memory/a/memory.limit_in_bytes").read_text() == "4096"


def test_every_process_below_a_group_is_counted(v1: Path) -> None:
    (v1 / "cpu/a/cgroup.procs").write_text("1\n2\n")
    (v1 / "memory/a/cgroup.procs").write_text("2\n3\n")
    assert cgroups.pids("a") == {1, 2, 3}


async def test_removing_a_group_that_is_gone_succeeds(v1: Path) -> None:
    await cgroups.remove("never/was")


def test_what_a_group_uses_is_told_on_version_2(v2: Path) -> None:
    (v2 / "a/b/cpu.stat").write_text("usage_usec 2500\nuser_usec 2000\n")
    (v2 / "a/b/memory.current").write_text("9000\n")
    (v2 / "a/b/memory.stat").write_text("anon 5000\ninactive_file 4000\n")
    assert cgroups.usage("a/b") == Usage(cpu=2_500_000, memory=5000)
    assert cgroups.usage("a/gone") is None


def test_what_a_group_uses_is_told_on_version_1(v1: Path) -> None:
    (v1 / "cpu/a/cpuacct.usage").write_text("123456\n")
    (v1 / "memory/a/memory.usage_in_bytes").write_text("9000\n")
    (v1 / "memory/a/memory.stat").write_text("inactive_file 1\ntotal_inactive_file 2000\n")
    assert cgroups.usage("a") == Usage(cpu=123456, memory=7000)
