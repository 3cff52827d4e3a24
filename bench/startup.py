# SPDX-License-Identifier: Apache-2.0
"""From exec to answers, and what an idle cloud costs: simulated, and (as root) real."""

from __future__ import annotations

import compileall
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import uvloop

import lichen
from bench.lib import BIN, Cloud, Report, cloud_of, down, folder, median, memory, number, processes, up, wait_for
from bench.openstack import Client
from lichen.cli.reach import is_answering
from lichen.client.local import read_local

REST = 5.0
"""Seconds after which a cloud is idle."""


def run(report: Report) -> None:
    compileall.compile_dir(str(Path(lichen.__file__).parent), quiet=1)  # as pip does when it installs
    bare = median([timed([sys.executable, "-c", "pass"]) for _ in range(9)])
    plain = f"python -c pass {bare:.3f} s"
    took = median([timed([str(BIN / "lichen"), "--help"]) for _ in range(9)])
    report.row("lichen --help", took, "s", beside=plain, budget=("≤", 0.15))
    with folder() as home:
        first, *again = [start_simulated(home / "d") for _ in range(6)]
        started(report, "simulated, first start → APIs answer", first, plain)
        started(report, "simulated, later starts (median of 5)", median(again), plain)
    with folder() as home:
        from_nothing(report, home)
        idle(report, "simulated", cloud_of(home / "d"), 1, 130)
        down(home)
    if os.geteuid() != 0:
        report.say("real: LEFT OUT, it needs root: sudo scripts/bench startup")
        return
    real(report, plain)


def from_nothing(report: Report, home: Path) -> None:
    """One command, without a configuration, until a user of the cloud has a token."""
    start = time.perf_counter()
    up(home)
    uvloop.run(log_in(cloud_of(home / "d")))
    peer = "OpenStack 124 s, 340 lines"
    report.row("from nothing: `lichen up --simulate`, a login", time.perf_counter() - start, "s", peer=peer,
               beside="1 command, no configuration", budget=("≤", 60))  # fmt: skip


async def log_in(cloud: Cloud) -> None:
    (await Client.login(cloud)).close()


def started(report: Report, what: str, seconds: float, plain: str) -> None:
    report.row(what, seconds, "s", beside=plain, peer="k8s 2.0 s; OpenStack 18–22 s", budget=("≤", 1.0))


def timed(command: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - start


def start_simulated(data_dir: Path) -> float:
    """Seconds from exec of the daemon until both APIs answer; then it is stopped."""
    command = [sys.executable, "-m", "lichen.daemon", "start", "--simulate", "--persist", "--data-dir", str(data_dir)]
    return start_and_stop(command, data_dir)


def start_and_stop(command: list[str], data_dir: Path) -> float:
    ports = ["--kubernetes-port", "0", "--openstack-port", "0", "--node-port", "0"]
    start = time.perf_counter()
    with tempfile.TemporaryFile() as output, subprocess.Popen([*command, *ports], stderr=output) as process:
        try:
            wait_for(lambda: process.poll() is not None or answering(data_dir, process.pid), pause=0.005)
            took = time.perf_counter() - start
        finally:
            process.terminate()
            if process.wait(60) != 0:
                output.seek(0)
                raise RuntimeError(f"{' '.join(command)}:\n{output.read().decode()[-3000:]}")
    return took


def answering(data_dir: Path, pid: int) -> bool:
    found = read_local(data_dir)
    return found is not None and found.pid == pid and all(is_answering(found))


def real(report: Report, plain: str) -> None:
    with folder() as home:
        up(home, simulate=False)
        try:
            time.sleep(REST)
            idle(report, "real", cloud_of(home / "d"), 5, 280)
        finally:
            down(home)
        try:
            command = [sys.executable, "-m", "lichen.daemon", "start", "--data-dir", str(home / "d")]
            took = start_and_stop(command, home / "d")
            started(report, "real, later start → APIs answer", took, plain)
        finally:
            down_stopped(home)


def down_stopped(home: Path) -> None:
    """Put away what a real cloud leaves running when its supervisor ends: containerd, its networks."""
    command = [sys.executable, "-m", "lichen.daemon", "clean", "--data-dir", str(home / "d")]
    subprocess.run(command, check=True, capture_output=True)


def idle(report: Report, mode: str, cloud: Cloud, count: int, budget: float) -> None:
    time.sleep(REST)
    found = all_processes(cloud)
    sizes = {pid: memory(pid) for pid in found}
    peer = "k8s 4; OpenStack 41"
    report.row(f"{mode}: processes", len(found), "", peer=peer, budget=("≤", count))
    pss, rss = (sum(size[which] for size in sizes.values()) for which in (0, 1))
    note, peer = f"RSS {number(rss)}", "k8s 513; OpenStack 4,800"
    report.row(f"{mode}: idle memory, PSS", pss, "MiB", note=note, peer=peer, budget=("≤", budget))
    before = sum(cpu_ticks(pid) for pid in found)
    time.sleep(REST)
    busy = (sum(cpu_ticks(pid) for pid in found) - before) / os.sysconf("SC_CLK_TCK") / REST * 100
    report.row(f"{mode}: idle processor time", busy, "% of a core")
    for pid, command in found.items():
        report.say(f"{number(sizes[pid][0]):>6} MiB  {command[:110]}")


def all_processes(cloud: Cloud) -> dict[int, str]:
    """The supervisor's descendants, and what was started apart from them: all that name the data directory."""
    found = processes(cloud.pid)
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) not in found:
            for pid, command in processes(int(entry.name)).items() if names(int(entry.name), cloud) else ():
                found[pid] = command
    return found


def names(pid: int, cloud: Cloud) -> bool:
    try:
        return str(cloud.data_dir).encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def cpu_ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])
