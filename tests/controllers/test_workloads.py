# SPDX-License-Identifier: Apache-2.0
"""StatefulSets, DaemonSets, Jobs and CronJobs over a real kernel."""

from __future__ import annotations

from typing import Any

from lichen.kinds.builtin import (
    CONTROLLER_REVISION,
    CRON_JOB,
    DAEMON_SET,
    EVENT,
    JOB,
    NODE,
    PERSISTENT_VOLUME_CLAIM,
    POD,
    STATEFUL_SET,
)
from lichen.model.data import Object
from lichen.model.meta import annotations_of, find_condition, is_deleting, name_of, uid_of
from lichen.model.state import PatchType
from lichen.runtime.clock import ManualClock
from tests.controllers.world import Cloud, a_cloud, a_template, a_workload


def settled(replicas: int) -> Any:
    """What `kubectl rollout status` waits for."""

    def test(owner: Object) -> bool:
        status = owner["status"]
        return (
            status.get("observedGeneration") == owner["metadata"]["generation"]
            and status.get("readyReplicas", 0) == status.get("updatedReplicas", 0) == replicas == status["replicas"]
            and status.get("currentRevision") == status.get("updateRevision")
        )

    return test


def spread(nodes: int) -> Any:
    def test(owner: Object) -> bool:
        status = owner["status"]
        counts = ("desiredNumberScheduled", "updatedNumberScheduled", "numberAvailable", "numberReady")
        return status.get("observedGeneration") == owner["metadata"]["generation"] and all(
            status.get(key) == nodes for key in counts
        )

    return test


def new_image(image: str) -> Object:
    return {"spec": {"template": {"spec": {"containers": [{"name": "main", "image": image}]}}}}


def images(pods: list[Object]) -> set[str]:
    return {pod["spec"]["containers"][0]["image"] for pod in pods if not is_deleting(pod)}


async def undo(cloud: Cloud, kind: Any, name: str, revision: int) -> None:
    """What `kubectl rollout undo --to-revision` does."""
    revisions = await cloud.all(CONTROLLER_REVISION)
    (found,) = [r for r in revisions if r["revision"] == revision]
    await cloud.state.patch(kind, name, "demo", found["data"], type=PatchType.STRATEGIC)


async def test_a_stateful_set_makes_rolls_back_and_scales_pods_with_lasting_names(cloud: Cloud):
    await cloud.create(STATEFUL_SET, "db", a_workload(3, serviceName="db"))
    await cloud.until(STATEFUL_SET, "db", settled(3))
    assert await cloud.names(POD) == ["db-0", "db-1", "db-2"]
    created = [pod["metadata"]["resourceVersion"] for pod in await cloud.all(POD)]
    assert len(set(created)) == 3
    await cloud.patch(STATEFUL_SET, "db", new_image("busybox:v2"))
    await cloud.until(STATEFUL_SET, "db", settled(3))
    assert images(await cloud.all(POD)) == {"busybox:v2"}
    assert sorted(r["revision"] for r in await cloud.all(CONTROLLER_REVISION)) == [1, 2]
    await undo(cloud, STATEFUL_SET, "db", 1)
    await cloud.until(STATEFUL_SET, "db", lambda s: settled(3)(s) and s["metadata"]["generation"] == 3)
    assert images(await cloud.all(POD)) == {"busybox:v1"}
    assert sorted(r["revision"] for r in await cloud.all(CONTROLLER_REVISION)) == [2, 3]
    await cloud.patch(STATEFUL_SET, "db", {"spec": {"replicas": 1}})
    await cloud.until(STATEFUL_SET, "db", settled(1))
    assert await cloud.names(POD) == ["db-0"]


async def test_a_deleted_pod_of_a_stateful_set_comes_back_under_its_name(cloud: Cloud):
    await cloud.create(STATEFUL_SET, "db", a_workload(2, serviceName="db"))
    await cloud.until(STATEFUL_SET, "db", settled(2))
    before = await cloud.get(POD, "db-0")
    await cloud.state.delete(POD, "db-0", "demo")
    await cloud.until(POD, "db-0", lambda pod: uid_of(pod) != uid_of(before))
    await cloud.until(STATEFUL_SET, "db", settled(2))


async def test_claims_of_a_stateful_set_are_made_with_its_pods(cloud: Cloud):
    storage = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    claim = {"metadata": {"name": "data"}, "spec": storage}
    await cloud.create(STATEFUL_SET, "db", a_workload(1, serviceName="db", volumeClaimTemplates=[claim]))
    await cloud.until(PERSISTENT_VOLUME_CLAIM, "data-db-0", bool)
    pod = await cloud.until(POD, "db-0", bool)
    assert {"name": "data", "persistentVolumeClaim": {"claimName": "data-db-0"}} in pod["spec"]["volumes"]


async def test_a_daemon_set_is_on_every_node_rolls_and_goes_back(cloud: Cloud):
    spec = {"selector": {"matchLabels": {"app": "web"}}, "template": a_template()}
    await cloud.create(DAEMON_SET, "log", spec)
    await cloud.until(DAEMON_SET, "log", spread(2))
    assert sorted(p["spec"]["nodeName"] for p in await cloud.all(POD)) == ["n1", "n2"]
    await cloud.node("n3")
    await cloud.until(DAEMON_SET, "log", spread(3))
    await cloud.patch(DAEMON_SET, "log", new_image("busybox:v2"))
    await cloud.until(DAEMON_SET, "log", spread(3))
    assert images(await cloud.all(POD)) == {"busybox:v2"}
    await undo(cloud, DAEMON_SET, "log", 1)
    await cloud.until(DAEMON_SET, "log", lambda s: spread(3)(s) and s["metadata"]["generation"] == 3)
    assert images(await cloud.all(POD)) == {"busybox:v1"}


async def test_a_daemon_runs_on_a_cordoned_node_and_leaves_one_that_it_does_not_tolerate(cloud: Cloud):
    await cloud.patch(NODE, "n1", {"spec": {"unschedulable": True}})
    await cloud.create(DAEMON_SET, "log", {"selector": {"matchLabels": {"app": "web"}}, "template": a_template()})
    await cloud.until(DAEMON_SET, "log", spread(2))
    await cloud.patch(NODE, "n2", {"spec": {"taints": [{"key": "gpu", "effect": "NoExecute"}]}})
    await cloud.until(DAEMON_SET, "log", spread(1))
    assert [p["spec"]["nodeName"] for p in await cloud.all(POD)] == ["n1"]


def a_job(**spec: Any) -> Object:
    return {"template": {"spec": {**a_template()["spec"], "restartPolicy": "Never"}}, **spec}


def done(kind: str) -> Any:
    return lambda job: (find_condition(job, kind) or {}).get("status") == "True"


async def running(cloud: Cloud, count: int) -> list[Object]:
    def all_running(pods: list[Object]) -> bool:
        return sum(p["status"].get("phase") == "Running" for p in pods) == count

    pods = await cloud.until_all(POD, all_running)
    return [p for p in pods if p["status"].get("phase") == "Running"]


async def test_a_job_runs_until_enough_pods_succeeded(cloud: Cloud):
    await cloud.create(JOB, "work", a_job(completions=3, parallelism=2))
    for pod in await running(cloud, 2):
        await cloud.ends(pod)
    (last,) = await running(cloud, 1)
    await cloud.ends(last)
    job = await cloud.until(JOB, "work", done("Complete"))
    assert (job["status"]["succeeded"], job["status"].get("active", 0)) == (3, 0)
    assert len(await cloud.names(POD, labels="job-name=work")) == 3
    await cloud.until_all(EVENT, lambda found: any(e["reason"] == "Completed" for e in found))


async def test_an_indexed_job_gives_each_pod_its_number(cloud: Cloud):
    await cloud.create(JOB, "work", a_job(completions=3, parallelism=3, completionMode="Indexed"))
    pods = await running(cloud, 3)
    index = "batch.kubernetes.io/job-completion-index"
    assert sorted(annotations_of(pod)[index] for pod in pods) == ["0", "1", "2"]
    for pod in pods:
        await cloud.ends(pod)
    job = await cloud.until(JOB, "work", done("Complete"))
    assert job["status"]["completedIndexes"] == "0-2"


async def test_a_job_that_fails_too_often_has_failed(cloud: Cloud):
    await cloud.create(JOB, "work", a_job(backoffLimit=0))
    (pod,) = await running(cloud, 1)
    await cloud.ends(pod, "Failed")
    job = await cloud.until(JOB, "work", done("Failed"))
    assert (find_condition(job, "Failed") or {})["reason"] == "BackoffLimitExceeded"


async def test_a_suspended_job_waits_and_goes_on(cloud: Cloud):
    await cloud.create(JOB, "work", a_job(suspend=True))
    await cloud.until(JOB, "work", done("Suspended"))
    assert await cloud.names(POD) == []
    await cloud.patch(JOB, "work", {"spec": {"suspend": False}})
    (pod,) = await running(cloud, 1)
    await cloud.patch(JOB, "work", {"spec": {"suspend": True}})
    await cloud.until_gone(POD, name_of(pod))
    await cloud.patch(JOB, "work", {"spec": {"suspend": False}})
    (pod,) = await running(cloud, 1)
    await cloud.ends(pod)
    await cloud.until(JOB, "work", done("Complete"))


async def test_a_job_ends_at_its_deadline_and_goes_after_its_time_to_live(cloud: Cloud):
    await cloud.create(JOB, "work", a_job(activeDeadlineSeconds=1, ttlSecondsAfterFinished=1))
    await running(cloud, 1)
    await cloud.until(JOB, "work", done("Failed"))
    await cloud.until_gone(JOB, "work")
    await cloud.until_all(POD, lambda pods: not pods)


async def test_a_cron_job_makes_jobs_in_time_and_keeps_few():
    clock = ManualClock(1_800_000_000.0)
    async with a_cloud(nodes=1, clock=clock) as cloud:
        spec = {"schedule": "*/5 * * * *", "jobTemplate": {"spec": a_job()}, "successfulJobsHistoryLimit": 1}
        await cloud.create(CRON_JOB, "report", spec)
        seen: set[str] = set()
        for number in range(1, 4):
            for _ in range(10):
                await cloud.renew("n1")
                await clock.run(30)
            (pod,) = await running(cloud, 1)
            await cloud.ends(pod)
            await cloud.until_all(JOB, lambda jobs: all(map(done("Complete"), jobs)))
            seen |= set(await cloud.names(JOB))
            assert len(seen) == number
        await cloud.until_all(JOB, lambda jobs: len(jobs) == 1)
        cron = await cloud.until(CRON_JOB, "report", lambda c: c["status"].get("lastSuccessfulTime"))
        assert cron["status"]["lastScheduleTime"]
        assert not cron["status"].get("active")
