# SPDX-License-Identifier: Apache-2.0
"""How many pods may be taken away on purpose."""

from __future__ import annotations

from typing import Any

import pytest

from lichen.model.data import Object
from lichen.planning.disruption import Verdict, disruption_status, judge_eviction, next_look

NOW = 1_000_000.0
LATER = "1970-01-12T13:46:40Z"
"""NOW, as text."""


def a_pod(name: str, *, ready: bool = True, phase: str = "Running", deleting: bool = False) -> Object:
    metadata: Object = {"name": name, "namespace": "demo", "uid": f"uid-{name}"}
    if deleting:
        metadata["deletionTimestamp"] = LATER
    condition = {"type": "Ready", "status": "True" if ready else "False", "lastTransitionTime": LATER}
    return {"metadata": metadata, "spec": {}, "status": {"phase": phase, "conditions": [condition]}}


def a_budget(status: Object | None = None, **spec: Any) -> Object:
    metadata = {"name": "keep", "namespace": "demo", "generation": 2}
    return {"metadata": metadata, "spec": {"selector": {}, **spec}, "status": status or {}}


def of_three(pod: Object) -> tuple[str, int] | None:
    return "web", 3


THREE = [a_pod("a"), a_pod("b"), a_pod("c")]


@pytest.mark.parametrize(
    ("spec", "pods", "numbers"),
    [
        ({"minAvailable": 2}, THREE, (3, 3, 2, 1)),
        ({"minAvailable": 3}, THREE, (3, 3, 3, 0)),
        ({}, THREE, (3, 3, 1, 2)),
        ({"minAvailable": "50%"}, THREE, (3, 3, 2, 1)),
        ({"maxUnavailable": 1}, THREE, (3, 3, 2, 1)),
        ({"maxUnavailable": "34%"}, THREE, (3, 3, 1, 2)),
        ({"maxUnavailable": 5}, THREE, (3, 3, 0, 3)),
        ({"maxUnavailable": 1}, THREE[:2], (3, 2, 2, 0)),
        ({"minAvailable": 1}, [a_pod("a"), a_pod("b", ready=False)], (2, 1, 1, 0)),
        ({"minAvailable": 1}, [a_pod("a"), a_pod("b", deleting=True)], (2, 1, 1, 0)),
        ({"minAvailable": 0}, [], (0, 0, 0, 0)),
    ],
)
def test_what_may_go_is_what_is_healthy_beyond_what_must_be(spec: Object, pods: list[Object], numbers: tuple[int, ...]):
    status = disruption_status(a_budget(**spec), pods, of_three, NOW)
    names = ("expectedPods", "currentHealthy", "desiredHealthy", "disruptionsAllowed")
    assert tuple(status[name] for name in names) == numbers
    assert status["observedGeneration"] == 2
    said = status["conditions"][0]
    allowed = numbers[3] > 0
    assert (said["type"], said["status"]) == ("DisruptionAllowed", "True" if allowed else "False")
    assert said["reason"] == ("SufficientPods" if allowed else "InsufficientPods")


def test_a_share_of_pods_that_nobody_counts_allows_nothing_and_says_why():
    status = disruption_status(a_budget(maxUnavailable=1), THREE, lambda pod: None, NOW)
    assert status["disruptionsAllowed"] == 0
    assert status["conditions"][0]["reason"] == "SyncFailed"
    assert "pod a (uid-a)" in status["conditions"][0]["message"]


def test_an_evicted_pod_is_not_healthy_before_it_is_seen_to_go():
    status = disruption_status(a_budget({"disruptedPods": {"a": LATER}}, minAvailable=1), THREE, of_three, NOW + 1)
    assert (status["currentHealthy"], status["disruptionsAllowed"]) == (2, 1)
    assert next_look(status, NOW + 1) == 119.0


def test_an_evicted_pod_that_stays_counts_again_after_a_while():
    status = disruption_status(a_budget({"disruptedPods": {"a": LATER}}, minAvailable=1), THREE, of_three, NOW + 121)
    assert (status["currentHealthy"], status["disruptedPods"]) == (3, {"a": None})
    assert next_look(status, NOW + 121) is None


def a_status(**more: Any) -> Object:
    return {"observedGeneration": 2, "currentHealthy": 3, "desiredHealthy": 2, "disruptionsAllowed": 1, **more}


def test_an_eviction_takes_one_of_the_budget():
    paid = judge_eviction(THREE[0], [a_budget(a_status())], NOW).budget
    assert paid is not None
    assert (paid["disruptionsAllowed"], paid["disruptedPods"]) == (0, {"a": LATER})
    assert paid["conditions"][0]["reason"] == "InsufficientPods"


def test_a_budget_that_is_spent_refuses_in_numbers():
    refused = judge_eviction(THREE[0], [a_budget(a_status(currentHealthy=2, disruptionsAllowed=0))], NOW)
    assert refused == Verdict(refusal="The disruption budget keep needs 2 healthy pods and has 2 currently")


def test_a_budget_that_was_changed_and_not_looked_at_since_refuses_for_now():
    refused = judge_eviction(THREE[0], [a_budget(a_status(observedGeneration=1))], NOW)
    assert refused.retry == 10
    assert "still being processed" in refused.refusal


def test_two_budgets_over_one_pod_refuse_for_good():
    refused = judge_eviction(THREE[0], [a_budget(a_status()), a_budget(a_status())], NOW)
    assert (refused.budget, refused.retry) == (None, None)


@pytest.mark.parametrize("pod", [a_pod("x", phase="Succeeded"), a_pod("x", phase="Pending"), a_pod("x", deleting=True)])
def test_a_pod_that_does_no_work_costs_nothing(pod: Object):
    assert judge_eviction(pod, [a_budget(a_status(disruptionsAllowed=0))], NOW) == Verdict()


def test_a_pod_that_is_not_ready_costs_nothing_while_the_others_are_enough():
    sick, enough = a_pod("x", ready=False), a_status(currentHealthy=2, disruptionsAllowed=0)
    assert judge_eviction(sick, [a_budget(enough)], NOW) == Verdict()
    short = a_status(currentHealthy=1, disruptionsAllowed=0)
    assert judge_eviction(sick, [a_budget(short)], NOW).refusal
    assert judge_eviction(sick, [a_budget(short, unhealthyPodEvictionPolicy="AlwaysAllow")], NOW) == Verdict()
