# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest

from lichen.kinds.builtin import REPLICA_SET
from lichen.planning.deployment import (
    DESIRED,
    HASH_LABEL,
    REVISION,
    plan_deployment,
    surge_and_unavailable,
    template_hash,
)
from lichen.planning.deployment_status import deadline_in, deployment_status
from lichen.planning.steps import Create, Delete, Patch

NOW = "2026-01-01T00:00:00Z"
TEMPLATE = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": "v2"}]}}


def a_deployment(replicas: int = 4, strategy: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "shop", "uid": "d", "generation": 1, "annotations": {REVISION: "2"}},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "web"}},
            "strategy": strategy or {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 1}},
            "template": TEMPLATE,
            **spec,
        },
    }


def a_set(name: str, wanted: int, available: int, *, revision: int, template: Any = None) -> dict[str, Any]:
    digest = template_hash(template) if template else name
    return {
        "metadata": {
            "name": f"web-{name}",
            "namespace": "shop",
            "uid": f"{name}-uid",
            "labels": {"app": "web", HASH_LABEL: digest},
            "annotations": {REVISION: str(revision), DESIRED: "4"},
        },
        "spec": {"replicas": wanted, "template": template or {"spec": name}},
        "status": {"replicas": wanted, "readyReplicas": available, "availableReplicas": available},
    }


def new_set(wanted: int, available: int) -> dict[str, Any]:
    return a_set("new", wanted, available, revision=2, template=TEMPLATE)


def old_set(wanted: int, available: int) -> dict[str, Any]:
    return a_set("old", wanted, available, revision=1)


def scales(deployment: dict[str, Any], *sets: dict[str, Any]) -> dict[str, int]:
    """How each ReplicaSet is scaled by one pass."""
    steps = plan_deployment(deployment, sets)
    return {
        step.name: step.patch["spec"]["replicas"]
        for step in steps
        if isinstance(step, Patch) and step.kind == REPLICA_SET and "spec" in step.patch
    }


def test_a_first_replica_set_starts_at_full_scale():
    created = next(step for step in plan_deployment(a_deployment(4), []) if isinstance(step, Create))
    assert created.object["spec"]["replicas"] == 4
    assert created.object["metadata"]["name"] == f"web-{template_hash(TEMPLATE)}"
    assert created.object["spec"]["selector"]["matchLabels"] == {"app": "web", HASH_LABEL: template_hash(TEMPLATE)}


def test_a_new_template_starts_with_what_the_surge_allows():
    created = next(s for s in plan_deployment(a_deployment(4), [old_set(4, 4)]) if isinstance(s, Create))
    assert created.object["spec"]["replicas"] == 1
    assert created.object["metadata"]["annotations"][REVISION] == "2"


def test_old_pods_go_as_far_as_availability_allows():
    assert scales(a_deployment(4), new_set(1, 0), old_set(4, 4)) == {"web-old": 3}


def test_new_pods_come_as_old_ones_go():
    assert scales(a_deployment(4), new_set(1, 0), old_set(3, 3)) == {"web-new": 2}


def test_broken_old_pods_go_first():
    assert scales(a_deployment(4), new_set(1, 1), old_set(4, 2)) == {"web-old": 2}
    assert scales(a_deployment(4), new_set(2, 0), old_set(3, 1)) == {}


def test_a_count_observed_before_the_last_scale_takes_no_more_pods():
    stale = {**old_set(3, 3), "status": {"replicas": 4, "readyReplicas": 4, "availableReplicas": 4}}
    assert scales(a_deployment(4), new_set(2, 0), stale) == {}


def test_a_roll_ends_with_all_new_and_no_old():
    assert scales(a_deployment(4), new_set(4, 4), old_set(1, 1)) == {"web-old": 0}
    assert scales(a_deployment(4), new_set(4, 4), old_set(0, 0)) == {}


def test_scaling_without_a_roll_goes_straight_there():
    assert scales(a_deployment(7), new_set(4, 4)) == {"web-new": 7}
    assert scales(a_deployment(0), new_set(4, 4)) == {"web-new": 0}


def test_recreate_lets_all_old_pods_go_before_any_new_one():
    recreate = {"type": "Recreate"}
    created = next(s for s in plan_deployment(a_deployment(4, recreate), [old_set(4, 4)]) if isinstance(s, Create))
    assert created.object["spec"]["replicas"] == 0
    assert scales(a_deployment(4, recreate), new_set(0, 0), old_set(4, 4)) == {"web-old": 0}
    assert scales(a_deployment(4, recreate), new_set(0, 0), old_set(0, 0)) == {"web-new": 4}


def test_a_paused_deployment_scales_but_does_not_roll():
    assert scales(a_deployment(5, paused=True), new_set(2, 2), old_set(2, 2)) == {"web-new": 3}


def test_history_beyond_the_limit_is_forgotten_the_oldest_first():
    sets = [a_set(f"old{n}", 0, 0, revision=n) for n in range(1, 4)]
    steps = plan_deployment(a_deployment(1, revisionHistoryLimit=1), [new_set(1, 1), *sets])
    assert [s.name for s in steps if isinstance(s, Delete)] == ["web-old1", "web-old2"]


def test_going_back_to_an_old_template_makes_it_the_newest_revision():
    current = a_set("back", 0, 0, revision=1, template=TEMPLATE)
    steps = plan_deployment(a_deployment(1), [current, a_set("newer", 1, 1, revision=5)])
    promoted = [s for s in steps if isinstance(s, Patch) and s.patch.get("metadata")]
    assert {s.name: s.patch["metadata"]["annotations"] for s in promoted} == {
        "web-back": {REVISION: "6", DESIRED: "1"},
        "web": {REVISION: "6"},
    }


def status_of(deployment: dict[str, Any], *sets: dict[str, Any], now: float = 1000.0) -> dict[str, Any]:
    return deployment_status(deployment, sets, now)


def conditions(status: dict[str, Any]) -> dict[str, tuple[str, str]]:
    return {c["type"]: (c["status"], c["reason"]) for c in status["conditions"]}


def test_a_finished_roll_reports_what_rollout_status_waits_for():
    status = status_of(a_deployment(2), new_set(2, 2))
    assert {key: status[key] for key in ("replicas", "updatedReplicas", "availableReplicas", "observedGeneration")} == {
        "replicas": 2,
        "updatedReplicas": 2,
        "availableReplicas": 2,
        "observedGeneration": 1,
    }
    assert conditions(status) == {
        "Available": ("True", "MinimumReplicasAvailable"),
        "Progressing": ("True", "NewReplicaSetAvailable"),
    }


def test_a_roll_without_progress_is_given_up_after_its_deadline():
    deployment = a_deployment(2, progressDeadlineSeconds=60)
    deployment["status"] = status_of(deployment, new_set(2, 1))
    assert conditions(deployment["status"])["Progressing"] == ("True", "ReplicaSetUpdated")
    assert deadline_in(deployment, 1000.0) == 61.0
    assert conditions(status_of(deployment, new_set(2, 1), now=1059.0))["Progressing"][0] == "True"
    late = status_of(deployment, new_set(2, 1), now=1061.0)
    assert conditions(late)["Progressing"] == ("False", "ProgressDeadlineExceeded")
    assert deadline_in({**deployment, "status": late}, 1061.0) is None
    assert conditions(status_of({**deployment, "status": late}, new_set(2, 2), now=1100.0))["Progressing"][0] == "True"


def test_progress_moves_the_deadline():
    deployment = a_deployment(3, progressDeadlineSeconds=60)
    deployment["status"] = status_of(deployment, new_set(3, 1))
    deployment["status"] = status_of(deployment, new_set(3, 2), now=1050.0)
    assert conditions(status_of(deployment, new_set(3, 2), now=1100.0))["Progressing"][0] == "True"


def test_a_status_that_is_true_is_the_same_again():
    deployment = a_deployment(3)
    deployment["status"] = {k: v for k, v in status_of(deployment, new_set(3, 1)).items() if v is not None}
    again = status_of(deployment, new_set(3, 1), now=2000.0)
    assert again["conditions"] == deployment["status"]["conditions"]


def test_a_failure_of_the_new_replica_set_shows_and_goes():
    failing = new_set(2, 0)
    failing["status"]["conditions"] = [
        {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "no"}
    ]
    deployment = a_deployment(2)
    deployment["status"] = status_of(deployment, failing)
    assert conditions(deployment["status"])["ReplicaFailure"] == ("True", "FailedCreate")
    assert "ReplicaFailure" not in conditions(status_of(deployment, new_set(2, 0)))


def test_a_cause_noted_on_the_deployment_goes_to_its_replica_set():
    deployment = a_deployment(1)
    deployment["metadata"]["annotations"]["kubernetes.io/change-cause"] = "v2"
    steps = plan_deployment(deployment, [])
    created = next(s for s in steps if isinstance(s, Create))
    assert created.object["metadata"]["annotations"]["kubernetes.io/change-cause"] == "v2"


def test_a_deployment_on_its_way_out_is_let_be():
    deployment = a_deployment(2)
    deployment["metadata"]["deletionTimestamp"] = NOW
    assert plan_deployment(deployment, []) == []


@pytest.mark.parametrize(
    ("replicas", "surge", "unavailable", "expected"),
    [
        (4, "25%", "25%", (1, 1)),
        (10, "25%", "25%", (3, 2)),
        (1, "25%", "25%", (1, 0)),
        (3, 0, 0, (0, 1)),
        (2, 2, 0, (2, 0)),
    ],
)
def test_shares_round_the_surge_up_and_the_loss_down(replicas: int, surge: Any, unavailable: Any, expected: Any):
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}
    assert surge_and_unavailable(a_deployment(replicas, strategy)) == expected


def test_the_template_hash_ignores_the_order_of_keys():
    assert template_hash({"a": 1, "b": 2}) == template_hash({"b": 2, "a": 1}) != template_hash({"a": 1, "b": 3})
