# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

from lichen.kinds.builtin import NODE, POD
from lichen.planning.nodes import NOT_READY, UNREACHABLE, plan_node
from lichen.planning.steps import Delete, Patch

NOW = "2026-01-01T00:00:00Z"


def a_node(ready: str = "True", taints: list[Any] | None = None) -> dict[str, Any]:
    return {
        "metadata": {"name": "n1"},
        "spec": {"taints": taints} if taints else {},
        "status": {"conditions": [{"type": "Ready", "status": ready}]},
    }


def a_pod(**spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "p", "namespace": "shop", "uid": "u"}, "spec": spec}


def taints(key: str) -> list[dict[str, str]]:
    return [{"key": key, "effect": "NoSchedule"}, {"key": key, "effect": "NoExecute", "timeAdded": NOW}]


def test_a_node_that_renews_its_lease_is_let_be():
    assert plan_node(a_node(), 100.0, [], 110.0, NOW) == []


def test_a_node_without_a_spec_is_a_node():
    node = {"metadata": {"name": "n1"}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}}
    assert plan_node(node, None, [], 110.0, NOW) == []


def test_a_silent_node_becomes_unknown_and_tainted():
    status, spec = plan_node(a_node(), 100.0, [], 200.0, NOW)
    assert isinstance(status, Patch)
    assert status.patch["status"]["conditions"][0]["status"] == "Unknown"
    assert spec == Patch(NODE, "n1", "", {"spec": {"taints": taints(UNREACHABLE)}})


def test_a_node_that_says_it_is_not_ready_takes_no_new_work():
    assert plan_node(a_node("False"), 100.0, [], 110.0, NOW) == [
        Patch(NODE, "n1", "", {"spec": {"taints": taints(NOT_READY)}})
    ]


def test_a_node_that_is_back_loses_its_taints_and_keeps_others():
    other = {"key": "mine", "effect": "NoSchedule"}
    assert plan_node(a_node(taints=[other, *taints(UNREACHABLE)]), 100.0, [], 110.0, NOW) == [
        Patch(NODE, "n1", "", {"spec": {"taints": [other]}})
    ]


def test_pods_leave_a_silent_node_after_five_minutes():
    node = a_node("Unknown", taints(UNREACHABLE))
    assert plan_node(node, 0.0, [a_pod()], 300.0, NOW) == []
    assert plan_node(node, 0.0, [a_pod()], 341.0, NOW) == [Delete(POD, "p", "shop", "u")]


def test_a_pod_may_say_how_long_it_bears_silence():
    node = a_node("Unknown", taints(UNREACHABLE))
    hasty = a_pod(tolerations=[{"key": UNREACHABLE, "effect": "NoExecute", "tolerationSeconds": 5}])
    patient = a_pod(tolerations=[{"key": UNREACHABLE, "operator": "Exists", "effect": "NoExecute"}])
    assert plan_node(node, 0.0, [hasty], 50.0, NOW) == [Delete(POD, "p", "shop", "u")]
    assert plan_node(node, 0.0, [patient], 9000.0, NOW) == []
