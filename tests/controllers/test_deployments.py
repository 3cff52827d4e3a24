# SPDX-License-Identifier: Apache-2.0
"""Deployments, ReplicaSets and their pods, with a real kernel."""

from __future__ import annotations

from typing import Any

from lichen.kinds.builtin import DEPLOYMENT, EVENT, POD, REPLICA_SET, RESOURCE_QUOTA
from lichen.model.data import Object
from lichen.model.meta import controller_of, find_condition, is_deleting, name_of
from tests.controllers.world import Cloud, a_workload

REVISION = "deployment.kubernetes.io/revision"


def count(number: int) -> Any:
    return lambda found: len(found) == number


def rolled(replicas: int) -> Any:
    """What `kubectl rollout status` waits for."""

    def test(deployment: Object) -> bool:
        status = deployment["status"]
        return status.get("observedGeneration") == deployment["metadata"]["generation"] and all(
            status.get(key) == replicas for key in ("replicas", "updatedReplicas", "availableReplicas")
        )

    return test


def images(pods: list[Object]) -> set[str]:
    return {pod["spec"]["containers"][0]["image"] for pod in pods if not is_deleting(pod)}


def new_image(image: str) -> Object:
    return {"spec": {"template": {"spec": {"containers": [{"name": "main", "image": image}]}}}}


async def test_a_deployment_makes_a_replica_set_that_makes_pods(cloud: Cloud):
    await cloud.create(DEPLOYMENT, "web", a_workload(3))
    await cloud.until(DEPLOYMENT, "web", rolled(3))
    (replica_set,) = await cloud.all(REPLICA_SET)
    pods = await cloud.all(POD)
    assert {(controller_of(pod) or {})["name"] for pod in pods} == {name_of(replica_set)}
    assert len(pods) == 3


async def test_no_pod_is_made_twice_however_often_it_is_scaled(cloud: Cloud):
    await cloud.create(DEPLOYMENT, "web", a_workload(1))
    for number in (20, 3, 17, 12):
        await cloud.patch(DEPLOYMENT, "web", {"spec": {"replicas": number}})
    await cloud.until(DEPLOYMENT, "web", rolled(12))
    events = await cloud.until_all(EVENT, lambda found: any(e["reason"] == "SuccessfulCreate" for e in found))
    made = sum(e["reason"] == "SuccessfulCreate" for e in events)
    assert made <= 20
    assert len(await cloud.all(POD)) == 12


async def test_a_deleted_pod_is_replaced(cloud: Cloud):
    await cloud.create(DEPLOYMENT, "web", a_workload(1))
    await cloud.until(DEPLOYMENT, "web", rolled(1))
    (pod,) = await cloud.all(POD)
    await cloud.state.delete(POD, name_of(pod), "demo")
    await cloud.until_all(POD, lambda found: [name_of(p) for p in found] not in ([], [name_of(pod)]))
    await cloud.until(DEPLOYMENT, "web", rolled(1))


async def test_a_roll_never_has_fewer_or_more_pods_than_it_may(cloud: Cloud):
    rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    await cloud.create(DEPLOYMENT, "web", a_workload(4, strategy=rolling))
    await cloud.until(DEPLOYMENT, "web", rolled(4))
    seen: list[tuple[int, int]] = []

    def note(pods: list[Object]) -> bool:
        ready = sum(not is_deleting(p) and (find_condition(p, "Ready") or {}).get("status") == "True" for p in pods)
        seen.append((ready, sum(not is_deleting(p) for p in pods)))
        return images(pods) == {"busybox:v2"} and ready == 4

    await cloud.patch(DEPLOYMENT, "web", new_image("busybox:v2"))
    await cloud.until_all(POD, note)
    assert min(ready for ready, _ in seen) == 4
    assert max(total for _, total in seen) <= 5
    await cloud.until(DEPLOYMENT, "web", rolled(4))


async def test_going_back_to_the_old_template_takes_the_old_replica_set(cloud: Cloud):
    await cloud.create(DEPLOYMENT, "web", a_workload(2))
    first = (await cloud.until_all(REPLICA_SET, count(1)))[0]
    await cloud.until(DEPLOYMENT, "web", rolled(2))
    await cloud.patch(DEPLOYMENT, "web", new_image("busybox:v2"))
    await cloud.until_all(REPLICA_SET, count(2))
    await cloud.until(DEPLOYMENT, "web", rolled(2))
    await cloud.patch(DEPLOYMENT, "web", {"spec": {"template": {"spec": first["spec"]["template"]["spec"]}}})
    deployment = await cloud.until(
        DEPLOYMENT, "web", lambda d: rolled(2)(d) and d["metadata"]["annotations"].get(REVISION) == "3"
    )
    assert images(await cloud.all(POD)) == {"busybox:v1"}
    revisions = {name_of(rs): rs["metadata"]["annotations"][REVISION] for rs in await cloud.all(REPLICA_SET)}
    assert len(revisions) == 2
    assert revisions[name_of(first)] == deployment["metadata"]["annotations"][REVISION] == "3"


async def test_recreate_starts_nothing_new_before_the_last_old_pod_is_gone(cloud: Cloud):
    await cloud.create(DEPLOYMENT, "web", a_workload(2, strategy={"type": "Recreate"}))
    await cloud.until(DEPLOYMENT, "web", rolled(2))
    cloud.lingering = lambda pod: True
    await cloud.patch(DEPLOYMENT, "web", new_image("busybox:v2"))
    await cloud.until_all(POD, lambda pods: all(map(is_deleting, pods)))
    await cloud.settle()
    old = await cloud.all(POD)
    assert {p["spec"]["containers"][0]["image"] for p in old} == {"busybox:v1"}
    cloud.lingering = lambda pod: False
    for pod in old:
        await cloud.state.delete(POD, name_of(pod), "demo", grace_seconds=0)
    await cloud.until(DEPLOYMENT, "web", rolled(2))
    assert images(await cloud.all(POD)) == {"busybox:v2"}


async def test_a_roll_without_progress_is_given_up_in_words(cloud: Cloud):
    await cloud.create(DEPLOYMENT, "web", a_workload(1, progressDeadlineSeconds=1))
    await cloud.until(DEPLOYMENT, "web", rolled(1))
    cloud.healthy = lambda pod: "v1" in pod["spec"]["containers"][0]["image"]
    await cloud.patch(DEPLOYMENT, "web", new_image("busybox:broken"))

    def given_up(deployment: Object) -> bool:
        condition = find_condition(deployment, "Progressing") or {}
        return bool(condition.get("reason") == "ProgressDeadlineExceeded" and condition["status"] == "False")

    await cloud.until(DEPLOYMENT, "web", given_up)
    assert "busybox:v1" in images(await cloud.all(POD))
    await cloud.patch(DEPLOYMENT, "web", new_image("busybox:v1"))
    deployment = await cloud.until(DEPLOYMENT, "web", rolled(1))
    assert (find_condition(deployment, "Progressing") or {})["status"] == "True"


async def test_a_pod_is_available_only_after_it_was_ready_for_a_while(cloud: Cloud):
    await cloud.create(DEPLOYMENT, "web", a_workload(1, minReadySeconds=2))
    await cloud.until(DEPLOYMENT, "web", lambda d: d["status"].get("readyReplicas") == 1)
    assert not (await cloud.get(DEPLOYMENT, "web"))["status"].get("availableReplicas")
    await cloud.until(DEPLOYMENT, "web", rolled(1))


async def test_orphans_that_match_are_taken_in_and_what_matches_no_more_is_let_go(cloud: Cloud):
    orphan = {"containers": [{"name": "main", "image": "busybox:v1"}]}
    await cloud.create(POD, "stray", orphan, labels={"app": "web"})
    replica_set = await cloud.create(REPLICA_SET, "web", a_workload(1))
    pod = await cloud.until(POD, "stray", controller_of)
    assert (controller_of(pod) or {})["uid"] == replica_set["metadata"]["uid"]
    assert await cloud.names(POD) == ["stray"]
    await cloud.patch(POD, "stray", {"metadata": {"labels": {"app": "other"}}})
    await cloud.until_all(POD, count(2))
    assert controller_of(await cloud.get(POD, "stray")) is None


async def test_why_pods_cannot_be_made_is_said_on_the_deployment(cloud: Cloud):
    await cloud.create(RESOURCE_QUOTA, "few", {"hard": {"pods": "1"}})
    await cloud.create(DEPLOYMENT, "web", a_workload(3))
    deployment = await cloud.until(DEPLOYMENT, "web", lambda d: find_condition(d, "ReplicaFailure"))
    assert "exceeded quota" in (find_condition(deployment, "ReplicaFailure") or {})["message"]
    assert len(await cloud.all(POD)) == 1
    await cloud.patch(RESOURCE_QUOTA, "few", {"spec": {"hard": {"pods": "5"}}})
    deployment = await cloud.until(DEPLOYMENT, "web", rolled(3))
    assert find_condition(deployment, "ReplicaFailure") is None


async def test_a_paused_deployment_waits_with_its_roll(cloud: Cloud):
    await cloud.create(DEPLOYMENT, "web", a_workload(1))
    await cloud.until(DEPLOYMENT, "web", rolled(1))
    await cloud.patch(DEPLOYMENT, "web", {"spec": {"paused": True, **new_image("busybox:v2")["spec"]}})
    await cloud.until(
        DEPLOYMENT, "web", lambda d: (find_condition(d, "Progressing") or {})["reason"] == "DeploymentPaused"
    )
    assert images(await cloud.all(POD)) == {"busybox:v1"}
    await cloud.patch(DEPLOYMENT, "web", {"spec": {"paused": False}})
    await cloud.until(DEPLOYMENT, "web", rolled(1))
    assert images(await cloud.all(POD)) == {"busybox:v2"}


async def test_a_replica_set_of_another_that_has_the_name_does_not_stop_a_deployment(cloud: Cloud):
    await cloud.create(DEPLOYMENT, "web", a_workload(1))
    (taken,) = await cloud.until_all(REPLICA_SET, count(1))
    await cloud.state.delete(DEPLOYMENT, "web", "demo")
    await cloud.until_all(REPLICA_SET, count(0))
    await cloud.create(REPLICA_SET, name_of(taken), a_workload(0, app="mine"))
    await cloud.create(DEPLOYMENT, "web", a_workload(1))
    deployment = await cloud.until(DEPLOYMENT, "web", rolled(1))
    assert deployment["status"]["collisionCount"] == 1


async def test_the_revision_survives_garbage_in_annotations(cloud: Cloud):
    await cloud.create(DEPLOYMENT, "web", a_workload(1), annotations={REVISION: "many"})
    await cloud.until(DEPLOYMENT, "web", lambda d: d["metadata"]["annotations"][REVISION] == "1")
