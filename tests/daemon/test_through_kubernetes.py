# SPDX-License-Identifier: Apache-2.0
"""A whole simulated cloud through kubectl: workloads that really roll, on kinds built in and Lichen's own."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest

from tests.conformance.cloud import Here, a_qcow2, until

SCRIPT = "echo up $HOSTNAME; while true; do echo tick; sleep 1; done"


def a_deployment(name: str, replicas: int = 2, **spec: Any) -> dict[str, Any]:
    labels = {"app": name}
    container = {"name": "c", "image": "busybox", "command": ["sh", "-c", SCRIPT]}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "demo"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
            **spec,
        },
    }


def a_server(name: str, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "compute.lichen.dev/v1",
        "kind": "Server",
        "metadata": {"name": name, "namespace": "demo", "labels": {"tier": "web"}},
        "spec": {"flavor": "m1.tiny", "image": "kube-tiny", **spec},
    }


@pytest.fixture(scope="module")
def image(cloud: Here) -> str:
    sdk = cloud.sdk()
    sdk.create_image("kube-tiny", filename=str(a_qcow2(cloud.folder / "k.qcow2")), disk_format="qcow2", wait=True)
    return "kube-tiny"


def demo(cloud: Here, *arguments: str, **more: Any) -> str:
    return cloud.kubectl_ok("-n", "demo", *arguments, **more)


def test_a_deployment_rolls_scales_and_goes(cloud: Here):
    demo(cloud, "apply", "-f", "-", input=a_deployment("web"))
    assert "successfully rolled out" in demo(cloud, "rollout", "status", "deploy/web", "--timeout=30s")
    demo(cloud, "scale", "deploy/web", "--replicas=5")
    demo(cloud, "rollout", "status", "deploy/web", "--timeout=30s")
    pods = cloud.object("-n", "demo", "pods", "-l", "app=web")["items"]
    assert len(pods) == 5
    assert len({pod["spec"]["nodeName"] for pod in pods}) == 3
    assert len({pod["status"]["podIP"] for pod in pods}) == 5
    assert "ReplicaSet/web-" in demo(cloud, "describe", "pods", "-l", "app=web")
    demo(cloud, "delete", "deploy/web")
    until("its pods are collected", lambda: not cloud.object("-n", "demo", "pods", "-l", "app=web")["items"])


def test_a_roll_never_has_fewer_pods_than_it_may(cloud: Here):
    demo(cloud, "apply", "-f", "-", input=a_deployment("steady", 4))
    demo(cloud, "rollout", "status", "deploy/steady", "--timeout=30s")
    line = "jsonpath={.status.availableReplicas}{'\\n'}"
    watch = cloud.start("timeout", "60", "kubectl", "-n", "demo", "get", "deploy/steady", "-w", "-o", line)
    assert watch.stdout is not None
    seen: list[str] = [watch.stdout.readline()]
    reader = threading.Thread(target=lambda: seen.extend(watch.stdout or ()))
    reader.start()
    try:
        demo(cloud, "rollout", "restart", "deploy/steady")
        demo(cloud, "rollout", "status", "deploy/steady", "--timeout=30s")
    finally:
        watch.terminate()
        reader.join()
        watch.wait()
    assert len(seen) > 3
    assert min(int(value) for value in seen) >= 3
    demo(cloud, "delete", "deploy/steady")


def test_logs_follow_and_commands_run_in_a_pod(cloud: Here):
    demo(cloud, "apply", "-f", "-", input=a_deployment("chatty", 1))
    demo(cloud, "wait", "--for=condition=Available", "deploy/chatty", "--timeout=30s")
    follower = cloud.start("timeout", "60", "kubectl", "-n", "demo", "logs", "-f", "deploy/chatty")
    assert follower.stdout is not None
    try:
        lines = [follower.stdout.readline() for _ in range(3)]
    finally:
        follower.terminate()
        follower.communicate()
    assert lines[0].startswith("up ") and lines[1:] == ["tick\n", "tick\n"]
    assert demo(cloud, "exec", "deploy/chatty", "--", "echo", "a b") == "a b\n"
    assert cloud.kubectl("-n", "demo", "exec", "deploy/chatty", "--", "sh", "-c", "exit 7").code == 7
    assert demo(cloud, "exec", "-i", "deploy/chatty", "--", "cat", input="through\n") == "through\n"
    demo(cloud, "delete", "deploy/chatty", "--grace-period=0", "--force")


def test_a_service_leads_to_the_pods_that_are_ready(cloud: Here):
    demo(cloud, "apply", "-f", "-", input=a_deployment("behind", 2))
    demo(cloud, "expose", "deploy/behind", "--port=80", "--target-port=8080")
    demo(cloud, "rollout", "status", "deploy/behind", "--timeout=30s")
    service = cloud.object("-n", "demo", "service", "behind")
    assert service["spec"]["clusterIP"].startswith("10.96.")

    def addresses() -> set[str]:
        slices = cloud.object("-n", "demo", "endpointslices", "-l", "kubernetes.io/service-name=behind")["items"]
        return {ip for part in slices for end in part["endpoints"] or [] for ip in end["addresses"]}

    pods = cloud.object("-n", "demo", "pods", "-l", "app=behind")["items"]
    until("both are behind it", lambda: addresses() == {pod["status"]["podIP"] for pod in pods})
    demo(cloud, "scale", "deploy/behind", "--replicas=0")
    until("none is", lambda: addresses() == set())
    demo(cloud, "delete", "service/behind", "deploy/behind")


def test_a_server_is_an_object_like_any_other(cloud: Here, image: str):
    assert demo(cloud, "apply", "-f", "-", input=a_server("apple")) == "server.compute.lichen.dev/apple created\n"
    assert demo(cloud, "apply", "-f", "-", input=a_server("apple")) == "server.compute.lichen.dev/apple unchanged\n"
    demo(cloud, "wait", "--for=condition=Ready", "server/apple", "--timeout=30s")
    table = demo(cloud, "get", "servers", "-l", "tier=web").splitlines()
    assert table[0].split() == ["NAME", "FLAVOR", "IMAGE", "WANTED", "NODE", "STATUS", "IP", "AGE"]
    assert table[1].split()[:4] == ["apple", "m1.tiny", "kube-tiny", "On"]
    assert "apple" in demo(cloud, "get", "srv", "--field-selector", "status.phase=Running")
    assert "Kind:         Server" in demo(cloud, "describe", "server", "apple")
    demo(cloud, "patch", "server", "apple", "--type=merge", "-p", '{"spec":{"power":"Off"}}')
    demo(cloud, "wait", "--for=jsonpath={.status.phase}=Stopped", "server/apple", "--timeout=30s")
    editor = cloud.folder / "editor"
    editor.write_text('#!/bin/sh\nsed -i "s/power: .*/power: \\"On\\"/" "$1"\n')
    editor.chmod(0o755)
    demo(cloud, "edit", "server", "apple", EDITOR=str(editor))
    demo(cloud, "wait", "--for=jsonpath={.status.phase}=Running", "server/apple", "--timeout=30s")
    demo(cloud, "label", "server", "apple", "tier=db", "--overwrite")
    assert "No resources" in cloud.kubectl("-n", "demo", "get", "servers", "-l", "tier=web").err
    demo(cloud, "delete", "server", "apple", "--timeout=30s")
    assert "NotFound" in cloud.kubectl_refused("-n", "demo", "get", "server", "apple")


def test_a_manifest_of_both_languages_kinds_is_applied_at_once(cloud: Here, image: str):
    items = [a_server("pair", networks=[{"network": "pair"}]), a_deployment("pair", 1)]
    network = {
        "apiVersion": "network.lichen.dev/v1", "kind": "Network", "metadata": {"name": "pair", "namespace": "demo"},
    }  # fmt: skip
    subnet = {
        "apiVersion": "network.lichen.dev/v1", "kind": "Subnet", "metadata": {"name": "pair", "namespace": "demo"},
        "spec": {"network": "pair", "cidr": "10.20.0.0/24"},
    }  # fmt: skip
    items[1]["spec"]["template"]["metadata"]["annotations"] = {"network.lichen.dev/network": "pair"}
    listed = {"apiVersion": "v1", "kind": "List", "items": [network, subnet, *items]}
    assert demo(cloud, "apply", "-f", "-", input=listed).count(" created\n") == 4
    demo(cloud, "wait", "--for=condition=Ready", "server/pair", "--timeout=30s")
    demo(cloud, "rollout", "status", "deploy/pair", "--timeout=30s")
    ports = cloud.object("-n", "demo", "ports")
    ips = {address["ipAddress"] for port in ports["items"] for address in port["spec"]["fixedIps"]}
    assert ips == {"10.20.0.2", "10.20.0.3"}
    in_use = cloud.kubectl_refused("-n", "demo", "delete", "network", "pair")
    assert "ports still in use on the network" in in_use
    demo(cloud, "delete", "server/pair", "deploy/pair", "--timeout=30s")
    until("no port is left", lambda: not cloud.object("-n", "demo", "ports")["items"])
    demo(cloud, "delete", "network/pair", "--timeout=30s")
    assert cloud.object("-n", "demo", "subnets")["items"] == []


def test_kubectl_explains_lists_and_asks_about_every_kind(cloud: Here):
    explained = cloud.kubectl_ok("explain", "server.spec.power")
    assert "ENUM: On Off" in " ".join(explained.split())
    assert "DESCRIPTION: Wanted power state." in " ".join(explained.split())
    assert "FIELD: containers <[]Container>" in cloud.kubectl_ok("explain", "pod.spec.containers")
    resources = cloud.kubectl_ok("api-resources", "-o", "name").split()
    assert {"pods", "deployments.apps", "servers.compute.lichen.dev", "networks.network.lichen.dev"} <= set(resources)
    assert cloud.kubectl_ok("auth", "can-i", "delete", "servers", "-n", "demo") == "yes\n"
    assert json.loads(cloud.kubectl_ok("version", "-o", "json"))["serverVersion"]["gitVersion"].startswith("v1.")
    listable = cloud.kubectl_ok("api-resources", "--verbs=list", "-o", "name").split()
    everything = cloud.kubectl_ok("get", ",".join(listable), "-A", "-o", "name")
    assert "node/node-1" in everything


def test_a_watch_tells_each_change_as_it_happens(cloud: Here):
    demo(cloud, "create", "configmap", "first")
    watch = cloud.start(
        "timeout", "30", "kubectl", "-n", "demo", "get", "configmaps", "-w", "--output-watch-events", "--no-headers",
        "--field-selector", "metadata.name!=kube-root-ca.crt",
    )  # fmt: skip
    try:
        assert watch.stdout is not None
        assert watch.stdout.readline().split()[:2] == ["ADDED", "first"]
        demo(cloud, "create", "configmap", "seen")
        assert watch.stdout.readline().split()[:2] == ["ADDED", "seen"]
        demo(cloud, "delete", "configmap", "seen")
        assert watch.stdout.readline().split()[:2] == ["DELETED", "seen"]
    finally:
        watch.terminate()
        watch.communicate()
