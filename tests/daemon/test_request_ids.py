# SPDX-License-Identifier: Apache-2.0
"""One id from the API to the guest: in the log lines of the dialect, the kernel, the controllers and the node."""

from __future__ import annotations

import json
import re
from typing import Any

from lichen.model.names import ASKED_BY
from tests.conformance.cloud import Here, a_qcow2, until

REQUEST = "req-5f0c3a8e-7a43-4c8f-9d55-0a3f6f4b8a10"


def lines_of(cloud: Here, request: str) -> list[Any]:
    """What the cloud's one process logged of a request."""
    text = (cloud.data_dir / "log" / "daemon.log").read_text()
    lines = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    return [line for line in lines if line.get("request") == request]


def said(cloud: Here, request: str) -> set[str]:
    return {f"{line['logger']}: {line['message']}" for line in lines_of(cloud, request)}


def asked_by(obj: Any) -> str:
    return str(obj["metadata"]["annotations"][ASKED_BY])


def test_a_servers_request_is_followed_from_openstack_to_its_guest(cloud: Here):
    disk = a_qcow2(cloud.folder / "traced.qcow2")
    cloud.openstack_ok("image", "create", "--file", str(disk), "--disk-format", "qcow2", "traced")
    cloud.openstack_ok(
        "server", "create", "--image", "traced", "--flavor", "m1.tiny", "--network", "cluster", "--wait", "traced"
    )
    events = cloud.openstack_json("server", "event", "list", "traced")
    (request,) = [event["Request ID"] for event in events if event["Action"] == "create"]
    assert asked_by(cloud.object("-n", "demo", "server", "traced")) == request
    found = said(cloud, request)
    assert any(line.startswith("lichen.scheduler: Server/demo/traced is placed on node-") for line in found)
    assert any(re.fullmatch("lichen.agent.counting: server demo/traced, .*: StartGuest\\(\\)", line) for line in found)


def test_a_pods_request_is_that_of_its_deployment_and_of_each_that_changes_it(cloud: Here):
    cloud.kubectl_ok("-n", "demo", "create", "deployment", "traced", "--image", "busybox:1")
    cloud.kubectl_ok("-n", "demo", "rollout", "status", "deployment/traced", "--timeout=60s")
    first = asked_by(cloud.object("-n", "demo", "deployment", "traced"))
    (pod,) = cloud.object("-n", "demo", "pods", "-l", "app=traced")["items"]
    name = pod["metadata"]["name"]
    assert asked_by(pod) == first
    found = said(cloud, first)
    assert f"lichen.controllers.base: pods/demo/{name} is made for replicaset demo/{name.rpartition('-')[0]}" in found
    assert any(line.startswith(f"lichen.scheduler: Pod/demo/{name} is placed on node-") for line in found)
    assert f"lichen.agent.counting: pod demo/{name}, {pod['metadata']['uid']}: StartSandbox()" in found
    until(
        "who asked is in the access log, which is written behind the answers",
        lambda: any(line.startswith("lichen.access: ") and '"code":201' in line for line in said(cloud, first)),
    )
    cloud.kubectl_ok("-n", "demo", "scale", "deployment", "traced", "--replicas=0")
    second = asked_by(cloud.object("-n", "demo", "deployment", "traced"))
    assert second != first
    until("its pod is ended", lambda: any("RemoveSandbox" in line for line in said(cloud, second)))


def test_a_client_may_choose_the_id_and_cannot_forge_it_by_annotation(cloud: Here):
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "chosen", "annotations": {ASKED_BY: "forged", "mine": "kept"}},
        "spec": {"containers": [{"name": "c", "image": "busybox:1"}]},
    }
    made = cloud.request(
        "POST", f"{cloud.facts.kubernetes_url}/api/v1/namespaces/demo/pods", pod, Audit_Id=REQUEST,
        Authorization=f"Bearer {cloud.credentials.admin_token}",
    )  # fmt: skip
    assert (made.status, made.headers["audit-id"]) == (201, REQUEST)
    assert made.json["metadata"]["annotations"] == {ASKED_BY: REQUEST, "mine": "kept"}
    cloud.kubectl_ok("-n", "demo", "annotate", "pod", "chosen", f"{ASKED_BY}-")
    assert asked_by(cloud.object("-n", "demo", "pod", "chosen")) == REQUEST
    until(
        "its node names it",
        lambda: any("demo/chosen, " in line and "StartContainer" in line for line in said(cloud, REQUEST)),
    )
