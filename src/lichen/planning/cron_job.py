# SPDX-License-Identifier: Apache-2.0
"""A CronJob makes a Job whenever its schedule says so. Semantics: Kubernetes batch/v1."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass

from lichen.kinds.apps.cron import Schedule
from lichen.kinds.builtin import JOB
from lichen.model.data import Object
from lichen.model.meta import is_deleting, name_of, namespace_of, owner_reference, revision_of, uid_of
from lichen.planning.job import is_finished, outcome
from lichen.planning.steps import Create, Delete, Note, Step
from lichen.planning.times import rfc3339, seconds_of

SCHEDULED_AT = "batch.kubernetes.io/cronjob-scheduled-timestamp"


@dataclass(frozen=True, slots=True)
class CronPlan:
    """again: seconds until the schedule's next time."""

    steps: list[Step]
    status: Object
    again: float | None


def plan_cron_job(owner: Object, jobs: Sequence[Object], now: float) -> CronPlan:
    """jobs: those it owns."""
    if is_deleting(owner):
        return CronPlan([], {}, None)
    active = [job for job in jobs if not is_finished(job)]
    steps = _forget(owner, jobs)
    status = _status(owner, jobs, active)
    if owner["spec"].get("suspend"):
        return CronPlan(steps, status, None)
    try:
        schedule = Schedule.parse(owner["spec"]["schedule"], owner["spec"].get("timeZone") or "")
    except ValueError as error:
        return CronPlan([*steps, Note(owner, "UnparseableSchedule", str(error), warning=True)], status, None)
    due = _due(owner, schedule, now)
    following = schedule.after(now)
    again = None if following is None else following - now
    if due is None or any(name_of(job) == job_name(owner, due) for job in jobs):
        return CronPlan(steps, status, again)
    policy = owner["spec"].get("concurrencyPolicy", "Allow")
    if active and policy == "Forbid":
        said = "Not starting job because prior execution is running and concurrency policy is Forbid"
        return CronPlan([*steps, Note(owner, "JobAlreadyActive", said)], status, again)
    if policy == "Replace":
        steps += [Delete(JOB, name_of(job), namespace_of(job), uid_of(job)) for job in active]
    return CronPlan([*steps, Create(JOB, cron_job(owner, due))], status | {"lastScheduleTime": rfc3339(due)}, again)


def job_name(owner: Object, due: float) -> str:
    """The same time always gives the same name: no Job is made twice."""
    return f"{name_of(owner)[:52]}-{int(due) // 60}"


def cron_job(owner: Object, due: float) -> Object:
    template = deepcopy(owner["spec"]["jobTemplate"])
    given = template.get("metadata") or {}
    annotations = {**(given.get("annotations") or {}), SCHEDULED_AT: rfc3339(due)}
    return {
        "apiVersion": JOB.api_version,
        "kind": JOB.kind,
        "metadata": {
            "name": job_name(owner, due),
            "namespace": namespace_of(owner),
            **({"labels": given["labels"]} if given.get("labels") else {}),
            "annotations": annotations,
            "ownerReferences": [owner_reference(owner)],
        },
        "spec": template["spec"],
    }


def _due(owner: Object, schedule: Schedule, now: float) -> float | None:
    """The latest time that has come, was not served, and is not too late to be."""
    last = seconds_of((owner.get("status") or {}).get("lastScheduleTime"))
    since = last or seconds_of(owner["metadata"].get("creationTimestamp"))
    deadline = owner["spec"].get("startingDeadlineSeconds")
    if deadline is not None:
        since = max(since, now - deadline - 1)
    found = schedule.latest(since, now)
    return None if found is None or (deadline is not None and now - found > deadline) else found


def _status(owner: Object, jobs: Sequence[Object], active: Sequence[Object]) -> Object:
    held = (owner.get("status") or {}).get("lastSuccessfulTime")
    ends = [job["status"].get("completionTime", "") for job in jobs if outcome(job) == "Complete"]
    return {
        "active": [_reference(job) for job in sorted(active, key=name_of)] or None,
        "lastSuccessfulTime": max([*ends, held or ""]) or None,
    }


def _reference(job: Object) -> Object:
    return {
        "apiVersion": JOB.api_version,
        "kind": JOB.kind,
        "name": name_of(job),
        "namespace": namespace_of(job),
        "uid": uid_of(job),
        "resourceVersion": str(revision_of(job)),
    }


def _forget(owner: Object, jobs: Sequence[Object]) -> list[Step]:
    """Jobs that are over go, the oldest first, beyond the limit of their outcome."""
    steps: list[Step] = []
    for ended, key, default in (("Complete", "successfulJobsHistoryLimit", 3), ("Failed", "failedJobsHistoryLimit", 1)):
        over = sorted((j for j in jobs if outcome(j) == ended and not is_deleting(j)), key=_began)
        surplus = max(len(over) - owner["spec"].get(key, default), 0)
        steps += [Delete(JOB, name_of(j), namespace_of(j), uid_of(j)) for j in over[:surplus]]
    return steps


def _began(job: Object) -> tuple[str, str]:
    return job["status"].get("startTime", ""), name_of(job)
