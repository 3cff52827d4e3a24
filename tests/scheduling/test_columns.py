# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest

from lichen.scheduling.columns import Columns
from lichen.scheduling.request import Request, pod_request, server_request
from lichen.scheduling.verdicts import plain


def a_node(name: str, cpu: str = "4", memory: str = "8Gi", *, ready: str = "True", **spec: Any) -> dict[str, Any]:
    labels = spec.pop("labels", {})
    return {
        "metadata": {"name": name, "labels": labels},
        "spec": spec,
        "status": {
            "allocatable": {"cpu": cpu, "memory": memory, "pods": "10"},
            "conditions": [{"type": "Ready", "status": ready}],
        },
    }


def a_pod(name: str = "p", cpu: str = "1", memory: str = "1Gi", *, labels: Any = None, **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "namespace": "shop", "uid": name, "labels": labels or {}},
        "spec": {"containers": [{"resources": {"requests": {"cpu": cpu, "memory": memory}}}], **spec},
    }


def columns(*nodes: dict[str, Any]) -> Columns:
    made = Columns()
    for node in nodes:
        made.set_node(node)
    return made


def put(made: Columns, node: str, pod: dict[str, Any]) -> Request:
    request = pod_request(pod)
    made.assume(node, request)
    return request


def test_the_emptier_node_is_chosen():
    made = columns(a_node("a"), a_node("b"))
    put(made, "a", a_pod("x"))
    assert made.place(pod_request(a_pod("y"))).node == "b"


def test_what_does_not_fit_anywhere_is_counted_by_reason():
    made = columns(
        a_node("small", memory="1Gi"),
        a_node("tainted", taints=[{"key": "gpu", "value": "yes", "effect": "NoSchedule"}]),
        a_node("cordoned", unschedulable=True),
        a_node("silent", ready="Unknown"),
    )
    placement = made.place(pod_request(a_pod(memory="2Gi")))
    assert placement.node == ""
    assert placement.sentence(len(made)) == (
        "0/4 nodes are available: 1 Insufficient memory, 1 node(s) had untolerated taint {gpu: yes}, "
        "1 node(s) were not ready, 1 node(s) were unschedulable."
    )


def test_without_nodes_the_sentence_says_so():
    assert columns().place(pod_request(a_pod())).sentence(0) == "0/0 nodes are available: there is no node."


def test_a_tolerated_taint_does_not_hinder():
    made = columns(a_node("a", taints=[{"key": "gpu", "value": "yes", "effect": "NoSchedule"}]))
    tolerations = [{"key": "gpu", "operator": "Equal", "value": "yes", "effect": "NoSchedule"}]
    assert made.place(pod_request(a_pod(tolerations=tolerations))).node == "a"


def test_a_selector_picks_by_label_and_follows_label_changes():
    made = columns(a_node("a"), a_node("b", labels={"disk": "ssd"}))
    wants = pod_request(a_pod(nodeSelector={"disk": "ssd"}))
    assert made.place(wants).node == "b"
    made.set_node(a_node("b"))
    made.set_node(a_node("a", labels={"disk": "ssd"}))
    assert made.place(wants).node == "a"


def test_required_node_affinity_is_kept():
    terms = {"nodeSelectorTerms": [{"matchExpressions": [{"key": "zone", "operator": "In", "values": ["z2"]}]}]}
    affinity = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}}
    made = columns(a_node("a", labels={"zone": "z1"}), a_node("b", labels={"zone": "z2"}))
    assert made.place(pod_request(a_pod(affinity=affinity))).node == "b"


def _together(kind: str) -> dict[str, Any]:
    term = {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"app": "web"}}}
    return {kind: {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}


def test_pods_that_avoid_each_other_never_share_a_node():
    made = columns(a_node("a"), a_node("b"))
    apart = {"labels": {"app": "web"}, "affinity": _together("podAntiAffinity")}
    put(made, "a", a_pod("x", **apart))
    assert made.place(pod_request(a_pod("y", **apart))).node == "b"
    put(made, "b", a_pod("y", **apart))
    assert made.place(pod_request(a_pod("z", **apart))).node == ""
    assert made.place(pod_request(a_pod("plain", labels={"app": "web"}))).node == ""


def test_pods_that_seek_each_other_share_a_node():
    made = columns(a_node("a"), a_node("b"))
    put(made, "b", a_pod("x", labels={"app": "web"}))
    assert made.place(pod_request(a_pod("y", affinity=_together("podAffinity")))).node == "b"


def test_pods_of_one_owner_spread():
    made = columns(*(a_node(f"n{i}", cpu="64", memory="256Gi") for i in range(3)))
    owner = {"kind": "ReplicaSet", "name": "rs", "uid": "rs", "controller": True}
    chosen = []
    for i in range(3):
        pod = a_pod(f"p{i}", "10m", "1Mi")
        pod["metadata"]["ownerReferences"] = [owner]
        placement = made.place(pod_request(pod))
        made.assume(placement.node, pod_request(pod))
        chosen.append(placement.node)
    assert sorted(chosen) == ["n0", "n1", "n2"]


def test_a_workload_is_counted_once_and_released_whole():
    made = columns(a_node("a", cpu="1"))
    request = put(made, "a", a_pod("x"))
    made.assume("a", request)
    assert made.place(pod_request(a_pod("y"))).node == ""
    made.release(request.key)
    assert made.place(pod_request(a_pod("y"))).node == "a"


def test_what_runs_on_a_node_not_yet_seen_counts_when_it_appears():
    made = columns()
    put(made, "late", a_pod("x", cpu="4"))
    made.set_node(a_node("late"))
    assert made.place(pod_request(a_pod("y"))).node == ""


def test_a_removed_node_takes_no_more():
    made = columns(a_node("a"), a_node("b"))
    made.remove_node("a")
    assert {made.place(pod_request(a_pod(f"p{i}"))).node for i in range(3)} == {"b"}


def test_a_server_asks_for_its_flavors_memory_and_a_share_of_its_cpus():
    server = {
        "metadata": {"name": "vm", "namespace": "shop", "uid": "u"},
        "spec": {"flavor": "m", "resources": {"vcpus": 2, "memory": 512}, "availabilityZone": "z1"},
    }
    request = server_request(server)
    assert (request.cpu, request.memory) == (500, 512 << 20)
    made = columns(a_node("a"), a_node("b", labels={"topology.kubernetes.io/zone": "z1"}))
    assert made.place(request).node == "b"


def test_many_nodes_grow_the_columns():
    made = columns(*(a_node(f"n{i}") for i in range(100)))
    assert len(made) == 100
    assert made.place(pod_request(a_pod())).node


def zoned(name: str, zone: str) -> dict[str, Any]:
    return a_node(name, labels={"zone": zone})


def spread_over(key: str, when: str = "DoNotSchedule", **more: Any) -> list[Any]:
    selector = {"matchLabels": {"app": "web"}}
    return [{"topologyKey": key, "maxSkew": 1, "whenUnsatisfiable": when, "labelSelector": selector, **more}]


def web(name: str = "p", **spec: Any) -> dict[str, Any]:
    return a_pod(name, cpu="100m", labels={"app": "web"}, **spec)


def test_a_spread_keeps_its_skew_and_says_so_when_it_cannot():
    made = columns(zoned("a1", "a"), zoned("a2", "a"), zoned("b1", "b"))
    put(made, "a1", web("1"))
    assert made.place(pod_request(web(topologySpreadConstraints=spread_over("zone")))).node == "b1"
    full = columns(zoned("a1", "a"), a_node("b1", cpu="50m", labels={"zone": "b"}))
    put(full, "a1", web("1"))
    placement = full.place(pod_request(web(topologySpreadConstraints=spread_over("zone"))))
    assert placement.rejected == {
        "Insufficient cpu": 1,
        "node(s) didn't match pod topology spread constraints": 1,
    }


def test_a_node_without_the_topology_cannot_keep_a_spread():
    made = columns(a_node("bare"), zoned("a1", "a"))
    put(made, "a1", web("1"))
    assert made.place(pod_request(web(topologySpreadConstraints=spread_over("zone")))).node == "a1"


def test_too_few_domains_hold_a_spread_to_its_skew():
    made = columns(zoned("a1", "a"))
    put(made, "a1", web("1"))
    assert made.place(pod_request(web(topologySpreadConstraints=spread_over("zone")))).node == "a1"
    assert made.place(pod_request(web(topologySpreadConstraints=spread_over("zone", minDomains=2)))).node == ""


def test_a_spread_that_is_only_wished_never_refuses():
    made = columns(zoned("a1", "a"), zoned("b1", "b"))
    put(made, "a1", web("1"))
    soft = spread_over("zone", "ScheduleAnyway")
    assert made.place(pod_request(web(topologySpreadConstraints=soft))).node == "b1"
    alone = columns(zoned("a1", "a"))
    put(alone, "a1", web("1"))
    assert alone.place(pod_request(web(topologySpreadConstraints=soft))).node == "a1"


def preferring(key: str, **affinity: Any) -> dict[str, Any]:
    return {key: {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 50, **affinity}]}}


def test_a_preferred_node_is_taken_before_an_emptier_one():
    made = columns(a_node("plain", cpu="64", memory="64Gi"), a_node("ssd", labels={"disk": "ssd"}))
    put(made, "ssd", a_pod("x"))
    term = {"matchExpressions": [{"key": "disk", "operator": "In", "values": ["ssd"]}]}
    affinity = preferring("nodeAffinity", preference=term)
    assert made.place(pod_request(a_pod(affinity=affinity))).node == "ssd"


def test_pods_may_prefer_to_be_near_or_away():
    made = columns(a_node("a"), a_node("b"))
    put(made, "a", web("1"))
    term = {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"app": "web"}}}
    assert made.place(pod_request(a_pod(affinity=preferring("podAffinity", podAffinityTerm=term)))).node == "a"
    put(made, "b", a_pod("heavy", cpu="3"))
    assert made.place(pod_request(a_pod(affinity=preferring("podAntiAffinity", podAffinityTerm=term)))).node == "b"


def test_a_node_that_would_rather_not_is_taken_last():
    made = columns(a_node("shy", taints=[{"key": "k", "effect": "PreferNoSchedule"}]), a_node("open", cpu="2"))
    assert made.place(pod_request(a_pod())).node == "open"
    put(made, "open", a_pod("x", cpu="2"))
    assert made.place(pod_request(a_pod())).node == "shy"


def test_a_port_of_the_host_is_given_once():
    made = columns(a_node("a"), a_node("b"))

    def listening(name: str) -> dict[str, Any]:
        pod = a_pod(name, cpu="100m")
        pod["spec"]["containers"][0]["ports"] = [{"containerPort": 80, "hostPort": 80}]
        return pod

    put(made, "a", listening("1"))
    assert made.place(pod_request(listening("2"))).node == "b"
    put(made, "b", listening("2"))
    rejected = made.place(pod_request(listening("3"))).rejected
    assert rejected == {"node(s) didn't have free ports for the requested pod ports": 2}


def important(name: str, priority: int, **spec: Any) -> dict[str, Any]:
    return a_pod(name, priority=priority, **spec)


def test_the_fewest_and_the_least_important_give_way():
    made = columns(a_node("a", cpu="4"), a_node("b", cpu="4"))
    for name, node, priority in (("1", "a", 5), ("2", "a", 5), ("3", "b", 1), ("4", "b", 9)):
        put(made, node, important(name, priority, cpu="2"))
    node, victims = made.victims(pod_request(important("new", 100, cpu="2")))
    assert (node, [v.key[2] for v in victims]) == ("b", ["3"])
    assert made.place(pod_request(a_pod(cpu="1"))).node == ""


def test_nobody_gives_way_to_the_less_important_or_in_vain():
    made = columns(a_node("a", cpu="2"))
    put(made, "a", important("1", 5, cpu="2"))
    assert made.victims(pod_request(important("new", 5, cpu="2"))) == ("", [])
    assert made.victims(pod_request(important("new", 100, cpu="3"))) == ("", [])


@pytest.mark.parametrize(
    ("reason", "label"),
    [
        ("Insufficient cpu", "Insufficient cpu"),
        ("node(s) had untolerated taint {dedicated: batch}", "node(s) had untolerated taint"),
        (
            "node(s) could not be judged by the workload's rules: x",
            "node(s) could not be judged by the workload's rules",
        ),
        ("volume data has no node yet", "volume(s) had no node yet"),
    ],
)
def test_a_reason_counts_without_the_names_in_it(reason: str, label: str):
    assert plain(reason) == label
