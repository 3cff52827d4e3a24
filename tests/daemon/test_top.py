# SPDX-License-Identifier: Apache-2.0
"""`kubectl top` on a whole simulated cloud."""

from __future__ import annotations

import json

from tests.conformance.cloud import Here, until
from tests.daemon.test_through_kubernetes import demo


def a_worker(name: str) -> dict:
    resources = {"requests": {"cpu": "250m"}, "limits": {"memory": "64Mi"}}
    container = {"name": "c", "image": "nginx", "resources": resources}
    labels = {"app": name}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": labels},
        "spec": {"containers": [container]},
    }


def test_what_pods_use_is_listed(cloud: Here):
    demo(cloud, "apply", "-f", "-", input=a_worker("busy"))
    demo(cloud, "wait", "--for=condition=Ready", "pod/busy", "--timeout=20s")
    until("what it uses is known", lambda: "busy" in cloud.kubectl("-n", "demo", "top", "pod", "-l", "app=busy").out)
    name, cpu, memory = demo(cloud, "top", "pod", "busy", "--no-headers").split()
    assert (name, memory) == ("busy", "32Mi")
    assert 240 <= int(cpu.removesuffix("m")) <= 260
    assert "busy" in cloud.kubectl_ok("top", "pod", "-A", "--containers", "--sort-by=cpu").splitlines()[1]


def test_what_nodes_use_is_listed_beside_what_they_have(cloud: Here):
    head, *rows = cloud.kubectl_ok("top", "node").splitlines()
    assert head.split() == ["NAME", "CPU(cores)", "CPU(%)", "MEMORY(bytes)", "MEMORY(%)"]
    assert [row.split()[0] for row in rows] == ["node-1", "node-2", "node-3"]


def test_it_is_neither_watched_nor_written(cloud: Here):
    path = "/apis/metrics.k8s.io/v1beta1/nodes"
    assert "does not allow this method" in cloud.kubectl_refused("delete", "--raw", f"{path}/node-1")
    assert "does not allow this method" in cloud.kubectl_refused("get", "--raw", f"{path}?watch=1")
    assert json.loads(cloud.kubectl_ok("get", "--raw", f"{path}/node-1"))["kind"] == "NodeMetrics"
    assert '"none" not found' in cloud.kubectl_refused("get", "--raw", f"{path}/none")
