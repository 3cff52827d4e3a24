# SPDX-License-Identifier: Apache-2.0
"""kubectl drain takes pods away only as fast as their disruption budgets allow."""

from __future__ import annotations

import json

from tests.conformance.cloud import Ended, Here, until
from tests.daemon.test_through_kubernetes import a_deployment

EVICTION = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"namespace": "demo"}}


def demo(cloud: Here, *arguments: str, **more: object) -> str:
    return cloud.kubectl_ok("-n", "demo", *arguments, **more)  # type: ignore[arg-type]


def pods_of(cloud: Here, app: str) -> list[str]:
    return [pod["metadata"]["name"] for pod in cloud.object("-n", "demo", "pods", "-l", f"app={app}")["items"]]


def evict(cloud: Here, name: str) -> Ended:
    """POST an eviction as `kubectl drain` does."""
    body = {**EVICTION, "metadata": {"name": name, "namespace": "demo"}}
    path = f"/api/v1/namespaces/demo/pods/{name}/eviction"
    return cloud.kubectl("create", "--raw", path, "-f", "-", input=json.dumps(body))


def test_a_budget_says_how_many_may_go_and_refuses_more(cloud: Here):
    demo(cloud, "apply", "-f", "-", input=a_deployment("kept", 3))
    demo(cloud, "rollout", "status", "deploy/kept", "--timeout=30s")
    demo(cloud, "create", "pdb", "kept", "--selector=app=kept", "--min-available=3")
    demo(cloud, "wait", "pdb/kept", "--for=jsonpath={.status.currentHealthy}=3", "--timeout=30s")
    columns = demo(cloud, "get", "pdb", "kept").splitlines()
    assert columns[0].split("  ")[0] == "NAME" and "ALLOWED DISRUPTIONS" in columns[0]
    assert columns[1].split()[1:4] == ["3", "N/A", "0"]
    before = pods_of(cloud, "kept")
    refused = evict(cloud, before[0])
    assert refused.code == 1
    assert "Cannot evict pod as it would violate the pod's disruption budget." in refused.err
    assert set(pods_of(cloud, "kept")) == set(before)
    demo(cloud, "patch", "pdb", "kept", "--type=merge", "-p", '{"spec":{"minAvailable":2}}')
    demo(cloud, "wait", "pdb/kept", "--for=jsonpath={.status.disruptionsAllowed}=1", "--timeout=30s")
    assert evict(cloud, before[0]).code == 0
    until("another takes its place", lambda: before[0] not in pods_of(cloud, "kept"))
    demo(cloud, "wait", "pdb/kept", "--for=jsonpath={.status.currentHealthy}=3", "--timeout=30s")
    demo(cloud, "delete", "deploy/kept", "pdb/kept")


def test_a_drained_node_is_left_pod_by_pod(cloud: Here):
    demo(cloud, "apply", "-f", "-", input=a_deployment("moved", 6))
    demo(cloud, "create", "pdb", "moved", "--selector=app=moved", "--max-unavailable=1")
    demo(cloud, "rollout", "status", "deploy/moved", "--timeout=30s")
    demo(cloud, "wait", "pdb/moved", "--for=jsonpath={.status.disruptionsAllowed}=1", "--timeout=30s")
    try:
        out = cloud.kubectl("drain", "node-1", "--pod-selector=app=moved", "--timeout=60s")
        assert out.code == 0, out.err
        assert "node/node-1 drained" in out.out
        left = cloud.object("-n", "demo", "pods", "-l", "app=moved", "--field-selector=spec.nodeName=node-1")
        assert left["items"] == []
    finally:
        cloud.kubectl_ok("uncordon", "node-1")
        demo(cloud, "delete", "deploy/moved", "pdb/moved")
