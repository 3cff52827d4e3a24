# SPDX-License-Identifier: Apache-2.0
"""How many pods a PodDisruptionBudget lets go."""

from __future__ import annotations

from typing import Any

import pytest

from lichen.planning.disruption import disruption_status
from lichen.planning.times import rfc3339

Object = dict[str, Any]
NOW = 1_800_000_000.0
READY = [{"type": "Ready", "status": "True"}]


def a_pod(name: str, ready: bool = True, owner: str = "rs", **metadata: Any) -> Object:
    owners = [{"uid": owner, "name": owner, "apiVersion": "apps/v1", "kind": "ReplicaSet", "controller": True}]
    status = {"phase": "Running", "conditions": READY if ready else []}
    meta = {"name": name, "uid": name, "ownerReferences": owners if owner else [], **metadata}
    return {"metadata": meta, "spec": {}, "status": status}


def a_budget(noted: Object | None = None, **spec: Any) -> Object:
    return {"metadata": {"name": "b", "generation": 3}, "spec": spec, "status": {"disruptedPods": noted or {}}}


def counts(budget: Object, pods: list[Object], replicas: int = 4) -> tuple[int, int, int, int]:
    """(expected, healthy, desired, allowed)."""
    status = disruption_status(budget, pods, {"rs": ("deployment", replicas)}, NOW)
    keys = ("expectedPods", "currentHealthy", "desiredHealthy", "disruptionsAllowed")
    return tuple(status[key] for key in keys)  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("spec", "counted"),
    [
        ({"minAvailable": 2}, (3, 3, 2, 1)),
        ({"minAvailable": 3}, (3, 3, 3, 0)),
        ({"minAvailable": "50%"}, (4, 3, 2, 1)),
        ({"maxUnavailable": 1}, (4, 3, 3, 0)),
        ({"maxUnavailable": 2}, (4, 3, 2, 1)),
        ({"maxUnavailable": "30%"}, (4, 3, 2, 1)),
        ({"maxUnavailable": "100%"}, (4, 3, 0, 3)),
        ({}, (3, 3, 1, 2)),
    ],
)
def test_of_three_healthy_pods_where_four_are_wanted(spec: Object, counted: tuple[int, int, int, int]):
    assert counts(a_budget(**spec), [a_pod(f"p{number}") for number in range(3)]) == counted


def test_what_is_not_ready_or_goes_is_not_healthy():
    pods = [a_pod("a"), a_pod("b", ready=False), a_pod("c", deletionTimestamp=rfc3339(NOW))]
    assert counts(a_budget(minAvailable=1), pods) == (3, 1, 1, 0)


def test_what_was_evicted_counts_as_gone_for_two_minutes():
    pods = [a_pod("a"), a_pod("b")]
    fresh, old = {"a": rfc3339(NOW - 10)}, {"a": rfc3339(NOW - 200)}
    assert counts(a_budget(fresh, minAvailable=1), pods) == (2, 1, 1, 0)
    assert counts(a_budget(old, minAvailable=1), pods) == (2, 2, 1, 1)


def test_a_pod_that_nothing_manages_is_one():
    pods = [a_pod("a", owner=""), a_pod("b", owner="")]
    assert counts(a_budget(maxUnavailable=1), pods) == (2, 2, 1, 1)


def test_it_says_why_in_a_condition():
    condition = disruption_status(a_budget(minAvailable=1), [], {}, NOW)["conditions"][0]
    assert (condition["type"], condition["status"], condition["reason"], condition["observedGeneration"]) == (
        "DisruptionAllowed",
        "False",
        "InsufficientPods",
        3,
    )
