# SPDX-License-Identifier: Apache-2.0
"""ReplicationControllers, which ReplicaSets came after, over a real kernel."""

from __future__ import annotations

from typing import Any

from lichen.kinds.builtin import EVENT, POD, REPLICATION_CONTROLLER, RESOURCE_QUOTA
from lichen.model.data import Object
from lichen.model.meta import controller_of, find_condition, labels_of
from tests.controllers.world import Cloud, a_template


def a_controller(replicas: int) -> Object:
    return {"replicas": replicas, "template": a_template()}


def with_ready(count: int) -> Any:
    return lambda owner: owner["status"].get("readyReplicas", 0) == owner["status"]["replicas"] == count


async def test_it_keeps_as_many_pods_as_its_scale_says(cloud: Cloud):
    made = await cloud.create(REPLICATION_CONTROLLER, "rc", a_controller(2))
    assert made["spec"]["selector"] == labels_of(made) == a_template()["metadata"]["labels"]
    await cloud.until(REPLICATION_CONTROLLER, "rc", with_ready(2))
    await cloud.patch(REPLICATION_CONTROLLER, "rc", {"spec": {"replicas": 1}}, "scale")
    await cloud.until(REPLICATION_CONTROLLER, "rc", with_ready(1))
    await cloud.state.delete(REPLICATION_CONTROLLER, "rc", "demo")
    await cloud.until_all(POD, lambda pods: not pods)


async def test_it_takes_in_pods_that_match_and_lets_go_of_those_that_do_not_any_more(cloud: Cloud):
    labels = a_template()["metadata"]["labels"]
    await cloud.create(POD, "stray", a_template()["spec"], labels=labels)
    await cloud.create(REPLICATION_CONTROLLER, "rc", a_controller(1))
    owned = await cloud.until(POD, "stray", lambda pod: controller_of(pod) is not None)
    assert (controller_of(owned) or {})["kind"] == "ReplicationController"
    assert await cloud.names(POD) == ["stray"]
    await cloud.patch(POD, "stray", {"metadata": {"labels": dict.fromkeys(labels, "other")}})
    await cloud.until(POD, "stray", lambda pod: controller_of(pod) is None)
    await cloud.until(REPLICATION_CONTROLLER, "rc", with_ready(1))


async def test_what_a_quota_refuses_is_a_condition_until_it_is_wanted_no_more(cloud: Cloud):
    await cloud.create(RESOURCE_QUOTA, "q", {"hard": {"pods": "1"}})
    await cloud.create(REPLICATION_CONTROLLER, "rc", a_controller(2))
    failing = await cloud.until(REPLICATION_CONTROLLER, "rc", lambda rc: find_condition(rc, "ReplicaFailure"))
    condition = find_condition(failing, "ReplicaFailure") or {}
    assert condition["reason"] == "FailedCreate"
    assert "exceeded quota: q" in condition["message"]
    told = await cloud.until_all(EVENT, lambda found: [e for e in found if e["reason"] == "FailedCreate"])
    assert len([e for e in told if e["reason"] == "FailedCreate"]) == 1
    await cloud.patch(REPLICATION_CONTROLLER, "rc", {"spec": {"replicas": 1}})
    await cloud.until(REPLICATION_CONTROLLER, "rc", lambda rc: find_condition(rc, "ReplicaFailure") is None)
