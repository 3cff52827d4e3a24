# SPDX-License-Identifier: Apache-2.0
"""`lichen status`: its parts on their own, and the whole of it on a simulated cloud."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lichen.cli.processes import Process, processes_of
from lichen.cli.status import duration
from lichen.cli.troubles import Trouble, loud_lines, troubles_of
from tests.conformance.cloud import Here, folder_of_its_own, until

PAGE = os.sysconf("SC_PAGE_SIZE")
TICKS = os.sysconf("SC_CLK_TCK")


@pytest.fixture
def here() -> Iterator[Here]:
    with folder_of_its_own() as folder:
        place = Here(folder)
        try:
            yield place
        finally:
            place.down()


def a_process(proc: Path, pid: int, *command: str, begun: float = 0.0) -> None:
    folder = proc / str(pid)
    folder.mkdir(parents=True)
    (proc / "uptime").write_text("100.0 50.0\n")
    (folder / "cmdline").write_bytes(b"\0".join(word.encode() for word in (*command, "")))
    (folder / "statm").write_text("9 7 1\n")
    (folder / "stat").write_text(f"{pid} (a (b) c) S {' '.join(['0'] * 18)} {int(begun * TICKS)} 0\n")


def an_object(kind: str, *conditions: dict[str, Any], **status: Any) -> dict[str, Any]:
    namespace = {} if kind == "Node" else {"namespace": "shop"}
    return {
        "kind": kind,
        "metadata": {"name": "it", **namespace},
        "spec": {},
        "status": {"conditions": list(conditions), **status},
    }


def test_a_clouds_processes_are_those_that_name_its_data_directory(tmp_path: Path):
    python = ("python", "-m", "lichen.daemon")
    a_process(tmp_path, 30, *python, "openstack", "--data-dir", "/d", begun=90)
    a_process(tmp_path, 20, *python, "kernel", "--data-dir", "/d", begun=40)
    a_process(tmp_path, 10, *python, "start", "--data-dir", "/d", "--listen", "127.0.0.1")
    a_process(tmp_path, 11, *python, "kernel", "--data-dir", "/elsewhere")
    a_process(tmp_path, 12, "vi", "/d")
    (tmp_path / "self").mkdir()
    assert processes_of("/d", tmp_path) == [
        Process("supervisor", 10, 7 * PAGE, 100.0),
        Process("kernel", 20, 7 * PAGE, 60.0),
        Process("openstack-api", 30, 7 * PAGE, 10.0),
    ]


def test_a_process_that_ends_while_it_is_looked_at_is_left_out(tmp_path: Path):
    a_process(tmp_path, 10, "python", "-m", "lichen.daemon", "start", "--data-dir", "/d")
    (tmp_path / "10" / "statm").unlink()
    assert processes_of("/d", tmp_path) == []


def test_what_is_well_or_on_its_way_is_no_trouble():
    ready = {"type": "Ready", "status": "True"}
    assert list(troubles_of(an_object("Node", ready))) == []
    assert list(troubles_of(an_object("Server", ready, phase="Running"))) == []
    creating = {"state": {"waiting": {"reason": "ContainerCreating"}}}
    assert list(troubles_of(an_object("Pod", phase="Pending", containerStatuses=[creating]))) == []
    leaving = an_object("Server", phase="Error", fault="gone")
    leaving["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert list(troubles_of(leaving)) == []


def test_a_node_that_is_silent_or_cordoned_is_told():
    lost = {"type": "Ready", "status": "Unknown", "message": "The node agent stopped posting node status."}
    node = an_object("Node", lost)
    node["spec"]["unschedulable"] = True
    assert list(troubles_of(node)) == [
        Trouble("node it", "The node agent stopped posting node status.", "lichen explain node/it"),
        Trouble("node it", "it is cordoned: nothing new is placed on it", "lichen explain node/it"),
    ]


def test_a_server_in_error_says_its_fault_and_one_without_a_node_why():
    assert list(troubles_of(an_object("Server", phase="Error", fault="image is\n no disk"))) == [
        Trouble("server shop/it", "image is no disk", "lichen explain server/it -n shop")
    ]
    refused = {"type": "Scheduled", "status": "False", "message": "0/1 nodes are available: 1 Insufficient memory."}
    [trouble] = troubles_of(an_object("Server", refused))
    assert trouble.why == "0/1 nodes are available: 1 Insufficient memory."
    placed = an_object("Server", refused)
    placed["spec"]["node"] = "vm"
    assert list(troubles_of(placed)) == []


def test_a_pod_says_what_its_containers_wait_for():
    waiting = {"state": {"waiting": {"reason": "ErrImagePull", "message": "no " + "x" * 300}}}
    [trouble] = troubles_of(an_object("Pod", phase="Pending", containerStatuses=[waiting]))
    assert trouble.what == "pod shop/it"
    assert trouble.why.startswith("no xxx") and trouble.why.endswith("…") and len(trouble.why) < 200


def test_what_a_node_tries_in_vain_is_told_of_whatever_it_concerns_also_of_what_is_to_go():
    stalled = {"type": "Stalled", "status": "True", "message": "Node vm tries again and again: no."}
    for kind in ("Node", "Server", "Pod", "Volume", "VolumeSnapshot", "VolumeAttachment", "Image"):
        obj = an_object(kind, stalled)
        obj["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
        assert [trouble.why for trouble in troubles_of(obj)] == ["Node vm tries again and again: no."]


def test_an_attachment_says_its_fault_and_an_image_why_it_is_killed():
    assert [t.why for t in troubles_of(an_object("VolumeAttachment", fault="no room"))] == ["no room"]
    assert [t.why for t in troubles_of(an_object("Image", phase="killed", fault="no disk"))] == ["no disk"]


def test_a_volume_in_error_and_a_project_that_cannot_go_are_told():
    assert [t.why for t in troubles_of(an_object("Volume", phase="Error", fault="no room"))] == ["no room"]
    held = {"type": "NamespaceFinalizersRemaining", "status": "True", "message": "x/never in configmaps/stuck"}
    project = {"kind": "Namespace", "metadata": {"name": "shop"}, "status": {"conditions": [held]}}
    assert list(troubles_of(project)) == []
    project["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    [trouble] = troubles_of(project)
    assert trouble == Trouble("namespace shop", "x/never in configmaps/stuck", "lichen explain namespace/shop")


def test_the_last_warnings_of_all_processes_come_in_order_of_time(tmp_path: Path):
    def log(role: str, *lines: tuple[str, str]) -> None:
        entries = [json.dumps({"time": t, "level": v, "role": role, "logger": "l", "message": t}) for t, v in lines]
        (tmp_path / f"{role}.log").write_text("\n".join(["Traceback of something", *entries, ""]))

    log("kernel", ("1", "warning"), ("3", "error"), ("4", "info"))
    log("node", ("2", "warning"))
    assert [(line.time, line.role) for line in loud_lines(tmp_path, 2)] == [("2", "node"), ("3", "kernel")]
    assert loud_lines(tmp_path / "none", 2) == []


def test_durations_are_said_in_one_unit():
    assert [duration(s) for s in (0.4, 119, 120, 7199, 7200, 172_799, 172_800)] == [
        "0 s", "119 s", "2 min", "119 min", "2 h", "47 h", "2 d"
    ]  # fmt: skip


def test_status_shows_a_clouds_processes_contents_and_troubles(here: Here):
    assert here.up("--nodes", "2").code == 0
    container = {"name": "c", "image": "busybox", "resources": {"requests": {"memory": "900Gi"}}}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "big"}, "spec": {"containers": [container]}}
    here.kubectl_ok("-n", "demo", "apply", "-f", "-", input=pod)

    def shown() -> str:
        ended = here.lichen("status", "--data-dir", str(here.data_dir))
        assert ended.code == 0, ended.err
        return ended.out

    until("the trouble is shown", lambda: "pod demo/big: 0/2 nodes are available: 2 Insufficient memory." in shown())
    out = shown()
    assert "simulating 2 node(s)" in out and f"pid {here.facts.pid}" in out
    assert "Nodes          2 Ready\n    • node-1    16 CPU     64.0 GiB   guests simulated\n" in out
    assert "Pods           1 Pending\n" in out
    assert "Troubles       1\n" in out
    assert f"\n      lichen explain pod/big -n demo --data-dir {here.data_dir}\n" in out
    assert "\033" not in out, "no colours where nobody looks"


def test_colours_are_for_terminals(here: Here):
    assert here.up().code == 0
    command = f"lichen status --data-dir {here.data_dir}"
    assert "\033[32manswers\033[0m" in here.run("script", "-qec", command, "/dev/null", TERM="xterm").out
    assert "\033" not in here.run("script", "-qec", command, "/dev/null", TERM="xterm", NO_COLOR="1").out
