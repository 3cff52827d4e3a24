# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

from lichen.planning.daemon_set import daemon_set_status, node_of, plan_daemon_set
from lichen.planning.revisions import HASH
from lichen.planning.steps import Create, Delete

UPDATE = {"metadata": {"name": "log-new", "labels": {HASH: "new"}}}
NODES = ("n1", "n2", "n3")


def a_set(**rolling: Any) -> dict[str, Any]:
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1, "maxSurge": 0, **rolling}}
    template = {"metadata": {"labels": {"app": "log"}}, "spec": {"containers": [{"name": "c"}]}}
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": "log", "namespace": "shop", "uid": "d", "generation": 1},
        "spec": {"selector": {"matchLabels": {"app": "log"}}, "template": template, "updateStrategy": strategy},
    }


def a_pod(node: str, revision: str = "new", *, ready: bool = True, phase: str = "Running", **metadata: Any) -> Any:
    return {
        "metadata": {
            "name": f"{revision}-{node}",
            "namespace": "shop",
            "uid": "u",
            "labels": {HASH: revision},
            **metadata,
        },
        "spec": {"nodeName": node},
        "status": {"phase": phase, "conditions": [{"type": "Ready", "status": "True" if ready else "False"}]},
    }


def steps(owner: Any, *pods: Any, wanted: Any = NODES, allowed: Any = NODES) -> list[tuple[str, str]]:
    """(what, node or pod) of each step."""
    found = plan_daemon_set(owner, pods, UPDATE, 0.0, wanted=wanted, allowed=allowed)
    return [
        ("make", node_of(s.object)) if isinstance(s, Create) else ("end", s.name)
        for s in found
        if isinstance(s, Create | Delete)
    ]


def test_every_node_gets_a_pod_that_can_only_go_there():
    assert steps(a_set()) == [("make", "n1"), ("make", "n2"), ("make", "n3")]
    assert steps(a_set(), a_pod("n2")) == [("make", "n1"), ("make", "n3")]


def test_a_daemon_bears_what_a_node_may_suffer():
    (made, *_) = plan_daemon_set(a_set(), [], UPDATE, 0.0, wanted=["n1"], allowed=["n1"])
    assert isinstance(made, Create)
    keys = {t["key"] for t in made.object["spec"]["tolerations"]}
    assert {"node.kubernetes.io/not-ready", "node.kubernetes.io/unschedulable"} <= keys


def test_where_it_may_not_stay_a_pod_goes_and_where_it_may_it_stays():
    pods = [a_pod(node) for node in NODES]
    assert steps(a_set(), *pods, wanted=["n1"], allowed=["n1", "n2"]) == [("end", "new-n3")]


def test_a_failed_pod_goes_first_and_comes_again():
    assert steps(a_set(), a_pod("n1", phase="Failed"), wanted=["n1"]) == [("end", "new-n1")]


def test_a_second_pod_on_a_node_goes():
    pods = [a_pod("n1", creationTimestamp="1"), {**a_pod("n1", creationTimestamp="2")}]
    pods[1]["metadata"]["name"] = "second"
    assert steps(a_set(), *pods, wanted=["n1"]) == [("end", "second")]


def test_a_roll_takes_as_many_at_a_time_as_may_be_away():
    old = [a_pod(node, "old") for node in NODES]
    assert steps(a_set(), *old) == [("end", "old-n1")]
    assert steps(a_set(maxUnavailable=2), *old) == [("end", "old-n1"), ("end", "old-n2")]
    assert steps(a_set(maxUnavailable="50%"), *old) == [("end", "old-n1"), ("end", "old-n2")]
    assert steps(a_set(), a_pod("n1", ready=False), *old[1:]) == []


def test_old_pods_that_do_not_serve_go_at_once():
    broken = [a_pod(node, "old", ready=False) for node in NODES]
    assert len(steps(a_set(), *broken)) == 3


def test_with_a_surge_the_new_pod_comes_before_the_old_one_goes():
    old = [a_pod(node, "old") for node in NODES]
    owner = a_set(maxSurge=1, maxUnavailable=0)
    assert steps(owner, *old) == [("make", "n1")]
    assert steps(owner, *old, a_pod("n1", ready=False)) == []
    assert steps(owner, *old, a_pod("n1"))[0] == ("end", "old-n1")


def test_on_delete_nothing_rolls():
    owner = a_set()
    owner["spec"]["updateStrategy"] = {"type": "OnDelete"}
    assert steps(owner, *(a_pod(node, "old") for node in NODES)) == []


def test_the_status_counts_nodes():
    pods = [a_pod("n1"), a_pod("n2", "old", ready=False), a_pod("n9")]
    status = daemon_set_status(a_set(), pods, UPDATE, 0.0, wanted=NODES)
    assert status == {
        "desiredNumberScheduled": 3,
        "currentNumberScheduled": 2,
        "numberMisscheduled": 1,
        "numberReady": 1,
        "numberAvailable": 1,
        "numberUnavailable": 2,
        "updatedNumberScheduled": 1,
        "observedGeneration": 1,
    }
