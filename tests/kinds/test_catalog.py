# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import subprocess
import sys

import pytest

from lichen.kinds import catalog
from lichen.kinds.builtin import CONFIG_MAP, DEPLOYMENT, NODE, POD, RESOURCE_QUOTA, SERVICE
from lichen.kinds.columns import age, duration
from lichen.kinds.compute.server import Server
from lichen.kinds.faults import Faults
from lichen.kinds.network.subnet import Subnet
from lichen.kinds.ruleset import rules_of
from lichen.model.data import Object
from lichen.model.kind import Kind

NOW = 1_000_000.0


def row(kind: Kind, obj: Object, *, wide: bool = False) -> dict[str, object]:
    obj.setdefault("metadata", {}).setdefault("name", "x")
    return {c.name: c.cell(obj, NOW) for c in catalog.columns_of(kind) if wide or not c.priority}


def test_kinds_are_found_by_resource_and_by_kind() -> None:
    pod = catalog.by_resource("", "v1", "pods")
    assert pod is catalog.by_kind("v1", "Pod")
    assert (pod, pod.short if pod else ()) == (POD, ("po",))
    assert catalog.by_kind("compute.lichen.dev/v1", "Server") == Server.KIND
    assert catalog.by_resource("", "v1", "none") is None


def test_every_kind_shows_a_bare_object() -> None:
    for kind in catalog.all_kinds():
        assert "x" in {str(value).removesuffix(" (default)") for value in row(kind, {}, wide=True).values()}


def test_importing_the_catalog_reads_no_schema() -> None:
    code = "import sys, lichen.kinds.catalog as c, lichen.kinds.bundle as b; sys.exit(b._raw.cache_info().currsize)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_refs_of_a_schema_are_all_resolved() -> None:
    whole = catalog.default_catalog()
    found = {name for kind in catalog.all_kinds() for name in whole.definitions_of(kind)}
    assert "io.k8s.api.core.v1.Container" in found


def test_a_schema_keeps_what_kubectl_explains_and_merges_by() -> None:
    spec = catalog.default_catalog().definition("io.k8s.api.core.v1.PodSpec")["properties"]["containers"]
    assert spec["x-kubernetes-patch-merge-key"] == "name"
    assert spec["x-kubernetes-list-map-keys"] == ["name"]
    assert spec["description"].startswith("List of containers")
    cidr = catalog.schema_of(Subnet.KIND)["properties"]["spec"]["properties"]["cidr"]
    assert cidr["description"].startswith("Range of addresses, as 10.0.0.0/24")


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "0s"), (119, "119s"), (120, "2m"), (185, "3m5s"), (600, "10m"), (3 * 3600, "3h"), (3 * 3600 + 60, "3h1m"),
     (9 * 3600 + 60, "9h"), (3 * 86400, "3d"), (3 * 86400 + 3600, "3d1h"), (100 * 86400, "100d"),
     (800 * 86400, "2y70d"), (-1, "0s"), (-100, "<invalid>")],
)  # fmt: skip
def test_durations_are_shortened_as_kubectl_does(seconds: int, shown: str) -> None:
    assert duration(seconds) == shown


def test_ages_of_what_has_no_time_are_unknown() -> None:
    assert [age(None, NOW), age("soon", NOW)] == ["<unknown>", "<unknown>"]


def test_a_pods_row_tells_the_most_telling() -> None:
    waiting = {"ready": False, "restartCount": 3, "state": {"waiting": {"reason": "CrashLoopBackOff"}}}
    pod = {
        "spec": {"containers": [{}, {}], "nodeName": "n1"},
        "status": {"phase": "Running", "podIP": "10.0.0.1", "containerStatuses": [{"ready": True}, waiting]},
    }
    shown = row(POD, pod, wide=True)
    assert (shown["Ready"], shown["Status"], shown["Restarts"]) == ("1/2", "CrashLoopBackOff", "3")
    assert (shown["IP"], shown["Node"], shown["Nominated Node"]) == ("10.0.0.1", "n1", "<none>")


def test_a_pod_that_goes_is_terminating() -> None:
    assert row(POD, {"metadata": {"deletionTimestamp": "x"}, "status": {"phase": "Running"}})["Status"] == "Terminating"


def test_workloads_nodes_and_services_show_their_figures() -> None:
    deployment = {"spec": {"replicas": 3}, "status": {"readyReplicas": 2, "updatedReplicas": 3, "availableReplicas": 2}}
    shown = row(DEPLOYMENT, deployment)
    assert (shown["Ready"], shown["Up-to-date"], shown["Available"]) == ("2/3", 3, 2)
    node = {"spec": {"unschedulable": True}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}}
    assert row(NODE, node)["Status"] == "Ready,SchedulingDisabled"
    port = {"port": 80, "nodePort": 30001, "protocol": "TCP"}
    service = {"spec": {"type": "NodePort", "clusterIP": "10.96.0.9", "ports": [port]}}
    assert row(SERVICE, service)["Port(s)"] == "80:30001/TCP"
    assert row(CONFIG_MAP, {"data": {"a": "b"}, "binaryData": {"c": ""}})["Data"] == 2


def test_a_quota_shows_what_is_used_of_what() -> None:
    status = {"hard": {"pods": "20", "limits.cpu": "4", "requests.cpu": "8"}, "used": {"pods": "3", "limits.cpu": "1"}}
    shown = row(RESOURCE_QUOTA, {"status": status})
    assert (shown["Request"], shown["Limit"]) == ("pods: 3/20, requests.cpu: 0/8", "limits.cpu: 1/4")


def test_own_kinds_show_the_fields_that_declare_a_column() -> None:
    server = {"spec": {"flavor": "m1", "power": "On"}, "status": {"phase": "Running", "ips": "10.0.0.5"}}
    shown = row(Server.KIND, server)
    assert (shown["Flavor"], shown["Wanted"], shown["Status"], shown["IP"]) == ("m1", "On", "Running", "10.0.0.5")


def faults_of(kind: Kind, obj: Object) -> list[tuple[str, str]]:
    faults = Faults()
    rules_of(kind).default(obj)
    rules_of(kind).validate(obj, faults)
    return [(fault.field, fault.message.partition(":")[0]) for fault in faults]


def a_pod(**container: object) -> Object:
    return {"metadata": {"name": "x"}, "spec": {"containers": [{"name": "c", "image": "b", **container}]}}


@pytest.mark.parametrize(
    ("container", "fault"),
    [
        ({"name": "C"}, ("spec.containers[0].name", "Invalid value")),
        ({"image": ""}, ("spec.containers[0].image", "Required value")),
        ({"imagePullPolicy": "Often"}, ("spec.containers[0].imagePullPolicy", "Unsupported value")),
        ({"ports": [{"containerPort": 0}]}, ("spec.containers[0].ports[0].containerPort", "Invalid value")),
        (
            {"ports": [{"containerPort": 1, "name": "a"}, {"containerPort": 2, "name": "a"}]},
            ("spec.containers[0].ports[1].name", "Duplicate value"),
        ),
        ({"env": [{"name": "a=b"}]}, ("spec.containers[0].env[0].name", "Invalid value")),
        ({"volumeMounts": [{"name": "v", "mountPath": "/"}]}, ("spec.containers[0].volumeMounts[0].name", "Not found")),
        (
            {"resources": {"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}},
            ("spec.containers[0].resources.requests", "Invalid value"),
        ),
        ({"livenessProbe": {}}, ("spec.containers[0].livenessProbe", "Required value")),
    ],
)
def test_faults_of_containers_name_their_field(container: Object, fault: tuple[str, str]) -> None:
    assert faults_of(POD, a_pod(**container)) == [fault]


def test_container_names_are_unique_among_all_of_a_pod() -> None:
    pod = a_pod()
    pod["spec"]["initContainers"] = [{"name": "c", "image": "b"}]
    assert faults_of(POD, pod) == [("spec.containers[0].name", "Duplicate value")]


def test_images_are_pulled_as_their_tag_says() -> None:
    images = ("a", "a:latest", "r:5000/a", "a:1", "r:5000/a:1", "a@sha256:00")
    pods = [a_pod(image=image) for image in images]
    for pod in pods:
        rules_of(POD).default(pod)
    assert [p["spec"]["containers"][0]["imagePullPolicy"] for p in pods] == ["Always"] * 3 + ["IfNotPresent"] * 3


def test_a_deployments_selector_selects_its_pods() -> None:
    template = {"metadata": {"labels": {"app": "db"}}, "spec": a_pod()["spec"]}
    obj = {"spec": {"selector": {"matchLabels": {"app": "web"}}, "template": template, "replicas": -1}}
    assert faults_of(DEPLOYMENT, obj) == [
        ("spec.replicas", "Invalid value"),
        ("spec.template.metadata.labels", "Invalid value"),
    ]


def test_a_service_of_many_ports_names_them() -> None:
    obj = {"spec": {"ports": [{"port": 80}, {"port": 81}]}}
    assert [field for field, _ in faults_of(SERVICE, obj)] == ["spec.ports[0].name", "spec.ports[1].name"]


def test_no_kinds_name_hides_a_short_name_of_another() -> None:
    names = {name for kind in catalog.all_kinds() for name in (kind.plural, kind.singular or kind.kind.lower())}
    hidden = [(short, kind.resource) for kind in catalog.all_kinds() for short in kind.short if short in names]
    assert hidden == []
