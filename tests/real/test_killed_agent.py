# SPDX-License-Identifier: Apache-2.0
"""A real node agent, killed at moments while machines and pods are made and removed, on a real cloud: what runs is what
is wanted, each started once, and nothing else is left."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.cloud import Here, a_cloud, until
from tests.real.machine import tiny_image

pytestmark = [pytest.mark.real, pytest.mark.timeout(400)]
MOMENTS = (0.05, 0.15, 0.3, 0.5)
"""Seconds after the request at which the agent dies: somewhere in the plan."""
DEMO = ("-n", "demo")


@pytest.fixture(scope="module")
def cloud() -> Iterator[Here]:
    with a_cloud(simulate=False, tiny=tiny_image()) as here:
        image = ["--disk-format", "qcow2", "--container-format", "bare", "--file", str(tiny_image())]
        here.openstack_ok("image", "create", "tiny", *image)
        yield here


def processes(cloud: Here, *words: str) -> list[tuple[int, list[str]]]:
    """Those of this cloud whose arguments have all of `words`."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError):
                line = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
                if any(str(cloud.data_dir) in part for part in line) and all(word in line for word in words):
                    found.append((int(folder.name), line))
    return found


def kill_the_agent(cloud: Here, after: float) -> None:
    time.sleep(after)
    until("an agent runs", lambda: processes(cloud, "lichen.daemon", "node"), 30)
    old = processes(cloud, "lichen.daemon", "node")[0][0]
    os.kill(old, signal.SIGKILL)
    until("another agent runs", lambda: [p for p, _ in processes(cloud, "lichen.daemon", "node") if p != old], 30)


def guests(cloud: Here) -> list[str]:
    """The id of each QEMU process that runs."""
    running = (line for _, line in processes(cloud) if line[0].rpartition("/")[2].startswith("qemu-system"))
    return sorted(
        part.partition("guest=")[2].partition(",")[0] for line in running for part in line if "guest=" in part
    )


def taps(cloud: Here) -> set[str]:
    """Ids of the ports of project demo that have an interface on this machine."""
    ids = {port["spec"]["id"] for port in cloud.object(*DEMO, "ports")["items"]}
    said = [path.read_text() for path in Path("/sys/class/net").glob("*/ifalias") if path.exists()]
    return {id for id in ids if any(id in alias for alias in said)}


def mounts(cloud: Here) -> str:
    loops = subprocess.run(["losetup", "-n", "-O", "BACK-FILE"], capture_output=True, text=True, check=True).stdout
    lines = (loops + Path("/proc/mounts").read_text()).splitlines()
    mine = [str(cloud.data_dir / folder) for folder in ("volumes", "mounts")]
    return "\n".join(line for line in lines if any(folder in line for folder in mine))


def a_server(name: str) -> dict[str, Any]:
    spec = {"flavor": "m1.tiny", "image": "tiny"}
    return {"apiVersion": "compute.lichen.dev/v1", "kind": "Server", "metadata": {"name": name, "namespace": "demo"},
            "spec": spec}  # fmt: skip


def a_pod(name: str) -> dict[str, Any]:
    """It counts its starts on its claim."""
    script = "date >> /data/starts; sync; exec sleep 1000"
    mount = {"name": "d", "mountPath": "/data"}
    container = {"name": "c", "image": "busybox", "command": ["sh", "-c", script], "volumeMounts": [mount]}
    first = {"name": "first", "image": "busybox", "command": ["true"]}
    volumes = [{"name": "d", "persistentVolumeClaim": {"claimName": name}}]
    spec = {
        "terminationGracePeriodSeconds": 1,
        "initContainers": [first],
        "containers": [container],
        "volumes": volumes,
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "demo"}, "spec": spec}


def a_claim(name: str) -> dict[str, Any]:
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    meta = {"name": name, "namespace": "demo"}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": meta, "spec": spec}


@pytest.mark.parametrize("moment", MOMENTS)
def test_machines_and_pods_are_made_once_and_go_whole_though_the_agent_is_killed(cloud: Here, moment: float):
    name = f"k{int(moment * 100)}"
    for thing in (a_server(name), a_claim(name), a_pod(name)):
        cloud.kubectl_ok("create", "-f", "-", input=thing)
    kill_the_agent(cloud, moment)
    ready = cloud.kubectl("wait", "--for=condition=Ready", f"server/{name}", f"pod/{name}", *DEMO, "--timeout=60s")
    assert ready.code == 0, ready.err + cloud.kubectl_ok("describe", "pod", name, *DEMO)[-4000:]
    server = cloud.object(*DEMO, "server", name)
    assert guests(cloud) == [server["spec"]["id"]]
    assert len(taps(cloud)) == 2
    assert not server["status"].get("restarts")
    assert len(cloud.kubectl_ok("exec", name, *DEMO, "--", "cat", "/data/starts").splitlines()) == 1
    cloud.kubectl_ok("delete", "--wait=false", f"server/{name}", f"pod/{name}", f"pvc/{name}", *DEMO)
    kill_the_agent(cloud, moment)
    until("all is gone", lambda: not cloud.object(*DEMO, "servers,pods,pvc,volumes,ports")["items"], 90)
    assert guests(cloud) == []
    assert mounts(cloud) == ""
    for folder in ("run/guests", "guests", "volumes"):
        path = cloud.data_dir / folder
        assert not path.exists() or sorted(p.name for p in path.iterdir() if "probe" not in p.name) == [], folder
