# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest

from lichen.kinds.builtin import POD
from lichen.planning.replica_set import plan_replica_set, replica_set_status
from lichen.planning.steps import Create, Delete
from lichen.planning.workload import deletion_rank, next_available


def a_replica_set(replicas: int = 2, **status: Any) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {"name": "web-1", "namespace": "shop", "uid": "rs-uid", "generation": 1},
        "spec": {
            "replicas": replicas,
            "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": []}},
        },
        "status": status,
    }


def a_pod(
    name: str, *, ready: bool = True, phase: str = "Running", node: str = "n1", **metadata: Any
) -> dict[str, Any]:
    conditions = [{"type": "Ready", "status": "True" if ready else "False"}]
    return {
        "metadata": {"name": name, "namespace": "shop", "uid": f"{name}-uid", "labels": {"app": "web"}, **metadata},
        "spec": {"nodeName": node} if node else {},
        "status": {"phase": phase, "conditions": conditions},
    }


def steps_on_pods(replica_set: dict[str, Any], pods: list[dict[str, Any]]) -> list[Any]:
    return [step for step in plan_replica_set(replica_set, pods) if step.kind == POD]


def test_missing_pods_are_made_from_the_template_and_owned():
    created = steps_on_pods(a_replica_set(2), [])
    assert [type(step) for step in created] == [Create, Create]
    assert created[0].object["metadata"] == {
        "labels": {"app": "web"},
        "generateName": "web-1-",
        "namespace": "shop",
        "ownerReferences": [
            {
                "apiVersion": "apps/v1",
                "kind": "ReplicaSet",
                "name": "web-1",
                "uid": "rs-uid",
                "controller": True,
                "blockOwnerDeletion": True,
            }
        ],
    }


def test_enough_pods_need_nothing():
    assert steps_on_pods(a_replica_set(2), [a_pod("a"), a_pod("b")]) == []


def test_an_ended_pod_is_replaced():
    assert len(steps_on_pods(a_replica_set(1), [a_pod("a", phase="Failed")])) == 1


def test_a_pod_on_its_way_out_is_replaced():
    assert len(steps_on_pods(a_replica_set(1), [a_pod("a", deletionTimestamp="2026-01-01T00:00:00Z")])) == 1


def test_surplus_pods_go_the_unready_first():
    pods = [a_pod("good"), a_pod("bad", ready=False)]
    assert steps_on_pods(a_replica_set(1), pods) == [Delete(POD, "bad", "shop", "bad-uid")]


def test_a_replica_set_on_its_way_out_makes_no_pods():
    replica_set = a_replica_set(2)
    replica_set["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert steps_on_pods(replica_set, []) == []


def test_status_counts_what_is_ready():
    assert replica_set_status(a_replica_set(2), [a_pod("a"), a_pod("b", ready=False)], now=0) == {
        "replicas": 2,
        "fullyLabeledReplicas": 2,
        "readyReplicas": 1,
        "availableReplicas": 1,
        "observedGeneration": 1,
        "conditions": None,
    }


def test_a_pod_is_available_after_it_was_ready_for_a_while():
    replica_set = a_replica_set(1)
    replica_set["spec"]["minReadySeconds"] = 30
    pod = a_pod("a")
    pod["status"]["conditions"][0]["lastTransitionTime"] = "1970-01-01T00:01:40Z"
    assert replica_set_status(replica_set, [pod], now=120)["availableReplicas"] == 0
    assert next_available([pod], 30, now=120) == 10
    assert replica_set_status(replica_set, [pod], now=130)["availableReplicas"] == 1
    assert next_available([pod], 30, now=130) is None


def test_why_pods_could_not_be_made_is_a_condition():
    status = replica_set_status(a_replica_set(1), [], now=0, failure="exceeded quota")
    assert [(c["type"], c["message"]) for c in status["conditions"]] == [("ReplicaFailure", "exceeded quota")]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (a_pod("x", node=""), a_pod("y")),
        (a_pod("x", ready=False), a_pod("y")),
        (a_pod("x", annotations={"controller.kubernetes.io/pod-deletion-cost": "-5"}), a_pod("y")),
        (a_pod("x", ready=False), a_pod("y", annotations={"controller.kubernetes.io/pod-deletion-cost": "much"})),
        (a_pod("x", creationTimestamp="2026-01-02T00:00:00Z"), a_pod("y", creationTimestamp="2026-01-01T00:00:00Z")),
    ],
    ids=[
        "unplaced before placed",
        "unready before ready",
        "cheap before dear",
        "garbage is no cost",
        "young before old",
    ],
)
def test_pods_go_in_order(first: dict[str, Any], second: dict[str, Any]):
    assert deletion_rank(first) < deletion_rank(second)


def test_a_refusal_is_told_alike_whatever_name_was_made_up_for_the_pod():
    told = [
        replica_set_status(a_replica_set(), [], 0, f'pods "web-1-{end}" is forbidden: exceeded quota: q')["conditions"]
        for end in ("x7k2p", "9bzzq")
    ]
    assert told[0] == told[1]
    assert told[0][0]["message"] == 'pods "web-1-" is forbidden: exceeded quota: q'
