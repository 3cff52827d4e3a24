# SPDX-License-Identifier: Apache-2.0
"""A real cloud of one machine: VMs and containers on one network, each part of it killed, down and up again.

The tests run in the order they are written, on one cloud: each finds what the earlier ones left running.
"""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lichen.daemon.settings import load_settings
from lichen.drivers.cgroups import hierarchies
from tests.conformance.cloud import Here, a_cloud, until
from tests.real.machine import tiny_image

pytestmark = [pytest.mark.real, pytest.mark.timeout(300), pytest.mark.xdist_group("first-light")]

GREETING = "hello from pod"
PATIENCE = 90.0


# --- what runs on this machine ----------------------------------------------------------------------------------------


def processes(*words: str) -> dict[int, str]:
    """Command lines that hold every word, by process id."""
    found = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and int(folder.name) != os.getpid():
            try:
                line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if line and all(word in line for word in words):
                found[int(folder.name)] = line
    return found


def the_one(*words: str) -> int:
    found = processes(*words)
    assert len(found) == 1, (words, found)
    return next(iter(found))


def role(cloud: Here, name: str) -> int:
    return the_one(f"lichen.daemon {name} ", str(cloud.data_dir))


def machine(cloud: Here) -> int:
    """The QEMU of the server."""
    return the_one("qemu-system", server(cloud)["spec"]["id"])


def in_pod(pod: dict[str, Any]) -> int:
    """The first process of the pod's container."""
    identity = pod["status"]["containerStatuses"][0]["containerID"].rpartition("/")[2]
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                inside = identity in (folder / "cgroup").read_text()
            except OSError:
                continue
            if inside:
                status = (folder / "status").read_text()
                pids = next(line for line in status.splitlines() if line.startswith("NSpid")).split()[1:]
                if pids[-1] == "1":
                    return int(folder.name)
    raise AssertionError(f"no process of container {identity}")


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    until(f"process {pid} is gone", lambda: not is_alive(pid), 10)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def belongings(cloud: Here) -> dict[str, set[str]]:
    """What this cloud has on this machine, by the marks of its settings."""
    settings = load_settings(cloud.data_dir)
    place, prefix, group = str(cloud.data_dir), settings.prefix, settings.cgroup
    links = {line.split(": ")[1].partition("@")[0] for line in output("ip", "-o", "link").splitlines()}
    named = {line.split()[0] for line in output("ip", "netns").splitlines() if line}
    tables = output("nft", "list", "tables").splitlines()
    return {
        "processes": set(processes(place).values()),
        "interfaces": {link for link in links if link.startswith(prefix) and link != "lo"},
        "network namespaces": {name for name in named if name.startswith((group, prefix))},
        "tables": {table for table in tables if group in table or table.split()[-1].startswith(prefix)},
        "mounts": {line for line in Path("/proc/mounts").read_text().splitlines() if place in line},
        "cgroups": {str(path) for path in Path("/sys/fs/cgroup").glob(f"**/{group}") if path.is_dir()},
    }


# --- what runs in the cloud -------------------------------------------------------------------------------------------


def server(cloud: Here) -> dict[str, Any]:
    found: dict[str, Any] = cloud.object("-n", "demo", "server", "vm")
    return found


def pods(cloud: Here) -> list[dict[str, Any]]:
    """The deployment's pods once both are ready, by name."""

    def ready() -> list[dict[str, Any]] | None:
        items = cloud.object("-n", "demo", "pods", "-l", "app=web")["items"]
        good = [
            pod
            for pod in items
            if not pod["metadata"].get("deletionTimestamp")
            and any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions") or ())
        ]
        return good if len(good) == 2 else None

    found = until("two pods are ready", ready, PATIENCE)
    assert found
    return sorted(found, key=lambda pod: str(pod["metadata"]["name"]))


def console(cloud: Here) -> str:
    return str(cloud.sdk().compute.get_server_console_output(server(cloud)["spec"]["id"])["output"])


def restarts(cloud: Here) -> tuple[int, dict[str, int]]:
    """How often the server and each pod were started again."""
    every = cloud.object("-A", "pods")["items"]
    counts = {p["metadata"]["name"]: p["status"]["containerStatuses"][0]["restartCount"] for p in every}
    return server(cloud)["status"]["restarts"], counts


def workloads(cloud: Here) -> dict[str, int]:
    """Process ids of what tenants run."""
    return {"vm": machine(cloud)} | {pod["metadata"]["name"]: in_pod(pod) for pod in pods(cloud)}


def api_answers(cloud: Here) -> bool:
    """The OpenStack API, down to the kernel."""
    try:
        return bool(cloud.sdk().compute.find_server("vm"))
    except Exception:
        return False


def kubernetes_answers(cloud: Here) -> bool:
    return cloud.kubectl("--request-timeout=5s", "-n", "demo", "get", "server", "vm").code == 0


def sees_each_other(cloud: Here) -> None:
    """The VM has fetched the pods' page at their service, and each pod fetches the VM's page."""
    address = server(cloud)["status"]["addresses"][0]["ip"]
    until("the VM has fetched the pods' page", lambda: GREETING in console(cloud), PATIENCE)
    ask = f"printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 5 {address} 80"
    for pod in pods(cloud):
        command = ("-n", "demo", "exec", pod["metadata"]["name"], "--", "sh", "-c", ask)
        until("a pod fetches the VM's page", lambda c=command: "Hello from vm" in cloud.kubectl(*c).out, 30)  # type: ignore[misc]


def a_deployment() -> dict[str, Any]:
    labels = {"app": "web"}
    script = f'mkdir -p /www; echo "{GREETING}" > /www/index.html; exec httpd -f -p 80 -h /www'
    container = {
        "name": "web", "image": "busybox", "imagePullPolicy": "IfNotPresent", "command": ["sh", "-c", script],
        "readinessProbe": {"tcpSocket": {"port": 80}, "periodSeconds": 1},
    }  # fmt: skip
    return {
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "demo"},
        "spec": {
            "replicas": 2, "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }  # fmt: skip


@pytest.fixture(scope="module")
def cloud() -> Iterator[Here]:
    with a_cloud(simulate=False) as here:
        yield here
        here.down()
        left = {what: found for what, found in belongings(here).items() if found}
        assert left == {}, left


@pytest.fixture(scope="module")
def running(cloud: Here) -> Here:
    """A VM made with the OpenStack API and a Deployment made with the Kubernetes API."""
    cloud.kubectl_ok("apply", "-f", "-", input=a_deployment())
    cloud.kubectl_ok("-n", "demo", "expose", "deployment", "web", "--port=80")
    address = cloud.object("-n", "demo", "service", "web")["spec"]["clusterIP"]
    sdk = cloud.sdk()
    sdk.create_image("lichen-tiny", filename=str(tiny_image()), disk_format="qcow2", wait=True)
    script = f"#!/bin/sh\nuntil fetch http://{address}/; do sleep 1; done\n"
    sdk.compute.create_server(
        name="vm", image_id=sdk.image.find_image("lichen-tiny").id, flavor_id=sdk.compute.find_flavor("m1.tiny").id,
        networks=[{"uuid": sdk.network.find_network("cluster").id}],
        user_data=base64.b64encode(script.encode()).decode(), config_drive=True,
    )  # fmt: skip
    until("the VM runs", lambda: server(cloud)["status"].get("phase") == "Running", PATIENCE)
    return cloud


def test_a_vm_and_containers_on_one_network_reach_each_other(running: Here):
    ports = [p["spec"] for p in running.object("-A", "ports")["items"]]
    network = {p["network"] for p in ports if not p["deviceOwner"].startswith("network:router_")}
    assert network == {"lichen-system/cluster"}
    assert {p["status"]["podIP"].rsplit(".", 2)[0] for p in pods(running)} == {"10.244"}
    assert server(running)["status"]["addresses"][0]["ip"].startswith("10.244.")
    sees_each_other(running)


def test_no_workload_restarts_because_a_part_of_the_control_plane_did(running: Here):
    before, counts = workloads(running), restarts(running)
    for part in ("kernel", "controllers", "node"):
        old = role(running, part)
        kill(old)
        until(
            f"the {part} is another process", lambda p=part: processes(f"lichen.daemon {p} ", str(running.data_dir)), 30
        )  # type: ignore[misc]
        until("kubernetes answers", lambda: kubernetes_answers(running), 30)
        until("openstack answers", lambda: api_answers(running), 30)
        assert role(running, part) != old
    kill(role(running, "openstack"))
    until("openstack answers", lambda: api_answers(running), 30)
    time.sleep(2)
    assert workloads(running) == before
    vm, each = restarts(running)
    api = {name for name in each if name.startswith("openstack-api")}
    assert (vm, {n: c for n, c in each.items() if n not in api}) == (
        counts[0], {n: c for n, c in counts[1].items() if n not in api},
    )  # fmt: skip
    assert sum(each[name] for name in api) == 1
    sees_each_other(running)


def test_a_write_that_was_answered_outlives_the_kernel_and_watches_go_on(running: Here):
    for number in range(3):
        running.kubectl_ok("-n", "demo", "create", "configmap", f"written-{number}")
        kill(role(running, "kernel"))
    names = running.kubectl_ok("-n", "demo", "get", "configmaps", "-o", "name").split()
    assert {f"configmap/written-{number}" for number in range(3)} <= set(names)
    # What the cloud itself watches goes on: a controller and the node see a change made after the kernel's end.
    running.kubectl_ok("-n", "demo", "scale", "deployment/web", "--replicas=3")
    running.kubectl_ok("-n", "demo", "rollout", "status", "deployment/web", "--timeout=60s")
    running.kubectl_ok("-n", "demo", "scale", "deployment/web", "--replicas=2")
    pods(running)


def test_a_killed_vm_comes_back_and_a_killed_container_too(running: Here):
    old, seen = machine(running), console(running).count(GREETING)
    pod = pods(running)[0]
    name, count = pod["metadata"]["name"], pod["status"]["containerStatuses"][0]["restartCount"]
    kill(old)
    kill(in_pod(pod))

    def again() -> bool:
        now = running.object("-n", "demo", "pod", name)["status"]["containerStatuses"][0]
        return bool(now["ready"] and now["restartCount"] == count + 1)

    until("the container runs again", again, PATIENCE)
    until("the VM runs again", lambda: server(running)["status"]["restarts"] == 1, PATIENCE)
    assert machine(running) != old
    until("the VM has fetched a page again", lambda: console(running).count(GREETING) > seen, PATIENCE)


def pages(cloud: Here) -> dict[str, str]:
    """What each process shows of itself, found as Prometheus finds it."""
    labels = [target["labels"] for target in json.loads(cloud.kubectl_ok("get", "--raw", "/metrics/"))]
    return {each["process"]: cloud.kubectl_ok("get", "--raw", each["__metrics_path__"]) for each in labels}


def test_every_process_shows_its_metrics_to_who_may_see_them(running: Here):
    assert api_answers(running)
    shown = pages(running)
    replicas = [name for name in shown if name.startswith("openstack-api-")]
    assert {name for name in shown if name not in replicas} == {"controllers", "kernel", "node", "supervisor"}
    assert all("process_open_fds" in text for text in shown.values())
    assert 'lichen_reconciles_total{controller="deployment",result="success"}' in shown["controllers"]
    assert 'lichen_process_starts_total{process="kernel"}' in shown["supervisor"]
    assert "lichen_openstack_requests_total{" in shown[replicas[0]]
    assert "apiserver_request_total{" in shown["kernel"]
    tenant = running.openstack_ok("token", "issue", "-f", "value", "-c", "id").strip()
    refused = running.request("GET", f"{running.facts.kubernetes_url}/metrics/node", Authorization=f"Bearer {tenant}")
    assert refused.status == 403


def groups_of_process_pods(cloud: Here) -> set[str]:
    """Names of the control groups that pods of class `process` have, in whichever hierarchy."""
    below = Path(load_settings(cloud.data_dir).cgroup) / "process"
    return {path.name for root in hierarchies() for path in (root / below).glob("pod*")}


def test_openstack_is_a_deployment_that_scales_and_rolls(running: Here):
    kubectl = running.kubectl_ok
    before = workloads(running)
    kubectl("-n", "lichen-system", "scale", "deployment/openstack-api", "--replicas=2")
    kubectl("-n", "lichen-system", "rollout", "status", "deployment/openstack-api", "--timeout=60s")
    assert len(processes("lichen.daemon openstack ", str(running.data_dir))) == 2
    until(
        "both show their metrics", lambda: len([p for p in pages(running) if p.startswith("openstack-api-")]) == 2, 30
    )
    assert api_answers(running)
    kubectl("-n", "lichen-system", "rollout", "restart", "deployment/openstack-api")
    kubectl("-n", "lichen-system", "rollout", "status", "deployment/openstack-api", "--timeout=60s")
    assert api_answers(running)
    kubectl("-n", "lichen-system", "scale", "deployment/openstack-api", "--replicas=1")
    until("one is left", lambda: len(processes("lichen.daemon openstack ", str(running.data_dir))) == 1, 30)
    until("no group of the others is left", lambda: len(groups_of_process_pods(running)) == 1, 30)
    assert api_answers(running)
    assert workloads(running) == before


def test_a_vm_is_stopped_by_one_language_and_started_by_the_other(running: Here):
    sdk = running.sdk()
    identity = server(running)["spec"]["id"]
    running.kubectl_ok("-n", "demo", "patch", "server", "vm", "--type=merge", "-p", '{"spec":{"power":"Off"}}')
    until("nova sees it off", lambda: sdk.compute.get_server(identity).status == "SHUTOFF", PATIENCE)
    assert not processes("qemu-system", identity)
    sdk.compute.start_server(identity)
    running.kubectl_ok(
        "-n", "demo", "wait", "--for=jsonpath={.status.phase}=Running", "server/vm", "--timeout=60s"
    )  # fmt: skip
    assert machine(running)


def test_a_request_is_found_in_the_logs_from_the_api_to_the_machine(running: Here):
    identity = server(running)["spec"]["id"]
    start = next(a for a in running.sdk().compute.server_actions(identity) if a.action == "start")
    lines = running.kubectl_ok("-n", "lichen-system", "logs", "deployment/openstack-api").splitlines()
    for log in (running.data_dir / "log").glob("*.log"):
        lines += log.read_text().splitlines()
    found = [json.loads(line) for line in lines if start.request_id in line and line.startswith("{")]
    assert {"openstack", "kernel", "node"} <= {line["role"] for line in found}
    done = [line["message"] for line in found if line["role"] == "node" and identity in line["message"]]
    assert any("StartGuest" in message for message in done)
    assert not any("StopGuest" in message for message in done)


def test_a_killed_supervisor_takes_the_control_plane_along_and_up_finds_the_workloads(running: Here):
    before = workloads(running)
    for _ in range(3):
        kill(running.facts.pid)
        for part in ("kernel", "controllers", "node"):
            until(f"the {part} ends", lambda p=part: not processes(f"lichen.daemon {p} ", str(running.data_dir)), 30)  # type: ignore[misc]
        assert running.up().code == 0
        until("kubernetes answers", lambda: kubernetes_answers(running), 30)
    assert workloads(running) == before
    told = json.loads(running.kubectl_ok("-n", "lichen-system", "get", "events", "-o", "json"))["items"]
    assert "BackOff" not in {event["reason"] for event in told}  # that they ended with their host is no failure


def test_down_leaves_nothing_and_up_finds_everything_again(running: Here):
    had = belongings(running)
    assert had["processes"] and had["interfaces"] and had["cgroups"]
    images, identity = running.openstack_json("image", "list"), server(running)["spec"]["id"]
    stopped = running.down()
    assert stopped.code == 0, stopped.err
    assert {what: left for what, left in belongings(running).items() if left} == {}
    assert running.up().code == 0
    assert running.openstack_json("image", "list") == images
    assert server(running)["spec"]["id"] == identity
    names = json.loads(running.kubectl_ok("-n", "demo", "get", "configmaps", "-o", "json"))["items"]
    assert {"written-0", "written-1", "written-2"} <= {item["metadata"]["name"] for item in names}
    pods(running)
    until("the VM runs", lambda: server(running)["status"]["phase"] == "Running" and machine(running), PATIENCE)
    seen = console(running).count(GREETING)
    until("the VM has fetched a page again", lambda: console(running).count(GREETING) > seen, PATIENCE)
