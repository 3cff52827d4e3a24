# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

from lichen.kinds.builtin import NODE, POD
from lichen.planning.nodes import NOT_READY, UNREACHABLE, plan_node
from lichen.planning.steps import Delete, Note, Patch, Step
from lichen.planning.times import rfc3339, seconds_of

NOW = "2026-01-01T00:00:00Z"
T0 = seconds_of(NOW)
STAYS = [
    {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
    for key in (UNREACHABLE, NOT_READY)
]


def a_node(ready: str = "True", taints: list[Any] | None = None) -> dict[str, Any]:
    return {
        "metadata": {"name": "n1"},
        "spec": {"taints": taints} if taints else {},
        "status": {"conditions": [{"type": "Ready", "status": ready}]},
    }


def a_pod(tolerations: list[Any] | None = None, ready: str = "False") -> dict[str, Any]:
    return {
        "metadata": {"name": "p", "namespace": "shop", "uid": "u"},
        "spec": {"tolerations": STAYS if tolerations is None else tolerations},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": ready}]},
    }


def taints(key: str, added: str = NOW) -> list[dict[str, str]]:
    return [{"key": key, "effect": "NoSchedule"}, {"key": key, "effect": "NoExecute", "timeAdded": added}]


def steps(node: Any, silent: float | None, pods: Any = (), now: float = T0, **more: Any) -> list[Step]:
    return [s for s in plan_node(node, silent, pods, now, **more).steps if not isinstance(s, Note)]


LEFT = [Delete(POD, "p", "shop", "u")]


def test_a_node_that_renews_its_lease_is_let_be_and_looked_at_when_it_could_be_lost():
    assert plan_node(a_node(), 10.0, [], T0) == ([], 30.1)


def test_a_node_without_a_spec_is_a_node():
    node = {key: value for key, value in a_node().items() if key != "spec"}
    assert steps(node, None) == []


def test_a_silent_node_becomes_unknown_and_tainted():
    status, spec = steps(a_node(), 100.0)
    assert isinstance(status, Patch)
    assert status.patch["status"]["conditions"][0]["status"] == "Unknown"
    assert spec == Patch(NODE, "n1", "", {"spec": {"taints": taints(UNREACHABLE)}})


def test_pods_of_a_silent_node_are_not_ready_for_anyone():
    patches = steps(a_node("Unknown", taints(UNREACHABLE)), 100.0, [a_pod(ready="True")])
    assert [(p.name, p.patch["status"]["conditions"][0]["status"]) for p in patches if isinstance(p, Patch)] == [
        ("p", "False")
    ]


def test_a_node_that_says_it_is_not_ready_takes_no_new_work():
    assert steps(a_node("False"), 10.0) == [Patch(NODE, "n1", "", {"spec": {"taints": taints(NOT_READY)}})]


def test_a_node_that_is_back_loses_its_taints_and_keeps_others():
    other = {"key": "mine", "effect": "NoSchedule"}
    assert steps(a_node(taints=[other, *taints(UNREACHABLE)]), 10.0) == [
        Patch(NODE, "n1", "", {"spec": {"taints": [other]}})
    ]


def test_pods_leave_a_silent_node_after_five_minutes():
    node = a_node("Unknown", taints(UNREACHABLE))
    assert plan_node(node, 200.0, [a_pod()], T0 + 200) == ([], 100.1)
    assert steps(node, 300.0, [a_pod()], T0 + 300) == LEFT


def test_nobody_leaves_for_a_silence_that_nobody_listened_to():
    node = a_node("Unknown", taints(UNREACHABLE, rfc3339(T0 - 9000)))
    assert steps(node, 41.0, [a_pod()], T0 + 41, since=T0) == []
    assert steps(node, 300.0, [a_pod()], T0 + 300, since=T0) == LEFT


def test_nobody_leaves_when_no_node_at_all_is_heard():
    node = a_node("Unknown", taints(UNREACHABLE))
    assert steps(node, 9000.0, [a_pod()], T0 + 9000, cut_off=True) == []


def test_a_pod_may_say_how_long_it_bears_silence():
    node = a_node("Unknown", taints(UNREACHABLE))
    hasty = a_pod([{"key": UNREACHABLE, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 5}])
    patient = a_pod([{"key": UNREACHABLE, "operator": "Exists", "effect": "NoExecute"}])
    assert steps(node, 50.0, [hasty], T0 + 50) == LEFT
    assert steps(node, 9000.0, [patient], T0 + 9000) == []


def test_a_taint_that_does_not_suffer_execution_drives_out_whoever_does_not_tolerate_it():
    node = a_node(taints=[{"key": "gpu", "value": "broken", "effect": "NoExecute", "timeAdded": NOW}])
    assert steps(node, 1.0, [a_pod()]) == LEFT
    assert steps(node, 1.0, [a_pod([{"operator": "Exists"}])]) == []


def test_a_taint_without_a_time_gets_one_to_count_from():
    node = a_node(taints=[{"key": "gpu", "effect": "NoExecute"}])
    assert steps(node, 1.0) == [
        Patch(NODE, "n1", "", {"spec": {"taints": [{"key": "gpu", "effect": "NoExecute", "timeAdded": NOW}]}})
    ]
