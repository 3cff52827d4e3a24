# SPDX-License-Identifier: Apache-2.0
"""A Job runs pods until enough of them succeeded. Semantics: Kubernetes batch/v1.

What ended is counted from the pods that are there, and never counted down: a Job keeps its ended pods until it goes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from lichen.kinds.builtin import JOB, POD
from lichen.model.data import Object
from lichen.model.meta import annotations_of, find_condition, is_deleting, name_of, namespace_of, uid_of, with_condition
from lichen.planning.indexes import parse_indexes, write_indexes
from lichen.planning.steps import Create, Delete, Note, Step
from lichen.planning.times import backoff, rfc3339, seconds_of
from lichen.planning.workload import has_ended, is_active, is_ready, phase_of, pod_from_template

INDEX = "batch.kubernetes.io/job-completion-index"
RETRY_BASE, RETRY_LIMIT = 10.0, 600.0
BURST = 500


@dataclass(frozen=True, slots=True)
class JobPlan:
    """again: seconds after which to look again, None for when something changes."""

    steps: list[Step]
    status: Object
    again: float | None = None


@dataclass(slots=True)
class _Look:
    """A Job and its pods, counted."""

    job: Object
    pods: Sequence[Object]
    now: float
    active: list[Object] = field(init=False)
    ending: int = field(init=False)
    done: set[int] = field(init=False)
    succeeded: int = field(init=False)
    failed: int = field(init=False)

    def __post_init__(self) -> None:
        spec, status = self.job["spec"], self.job.get("status") or {}
        self.active = [pod for pod in self.pods if is_active(pod)]
        self.ending = sum(is_deleting(pod) and not has_ended(pod) for pod in self.pods)
        winners = [pod for pod in self.pods if phase_of(pod) == "Succeeded"]
        self.done = parse_indexes(status.get("completedIndexes") or "")
        if self.is_indexed:
            self.done |= {i for p in winners if (i := index_of(p)) is not None and i < (spec.get("completions") or 0)}
            self.succeeded = len(self.done)
        else:
            self.succeeded = max(len(winners), status.get("succeeded", 0))
        losers = sum(phase_of(pod) == "Failed" for pod in self.pods)
        self.failed = max(losers, status.get("failed", 0))

    @property
    def is_indexed(self) -> bool:
        return bool(self.job["spec"].get("completionMode") == "Indexed")

    @property
    def began(self) -> float:
        return seconds_of((self.job.get("status") or {}).get("startTime"))


def is_finished(job: Object) -> bool:
    return outcome(job) != ""


def outcome(job: Object) -> str:
    """Complete, Failed, or "" while it is neither."""
    return next((t for t in ("Complete", "Failed") if (find_condition(job, t) or {}).get("status") == "True"), "")


def index_of(pod: Object) -> int | None:
    text = annotations_of(pod).get(INDEX, "")
    return int(text) if text.isdecimal() else None


def plan_job(job: Object, pods: Sequence[Object], now: float) -> JobPlan:
    """From the pods it owns to what its spec wants."""
    status = job.get("status") or {}
    if is_deleting(job):
        return JobPlan([], {})
    if is_finished(job):
        return _expire(job, pods, now)
    look = _Look(job, pods, now)
    if job["spec"].get("suspend"):
        return _suspend(look)
    conditions = status.get("conditions") or []
    steps: list[Step] = []
    if (find_condition(job, "Suspended") or {}).get("status") == "True":
        conditions = with_condition(
            conditions, _condition("Suspended", "False", "JobResumed", "Job resumed"), rfc3339(now)
        )
        steps.append(Note(job, "Resumed", "Job resumed"))
    verdict = _verdict(look)
    if verdict is not None:
        return _finish(look, conditions, verdict)
    more, again = _start(look)
    counts = _counts(look) | {"startTime": status.get("startTime") or rfc3339(now), "conditions": conditions or None}
    limit = job["spec"].get("activeDeadlineSeconds")
    waits = [w for w in (again, (look.began or now) + limit - now + 0.1 if limit else None) if w is not None]
    return JobPlan(steps + more, counts, min(waits, default=None))


def _verdict(look: _Look) -> Object | None:
    """The condition that ends a Job, if something does."""
    spec = look.job["spec"]
    for said in (find_condition(look.job, "FailureTarget"), find_condition(look.job, "SuccessCriteriaMet")):
        if said is not None and said["status"] == "True":
            kind = "Failed" if said["type"] == "FailureTarget" else "Complete"
            return _condition(kind, "True", said.get("reason", ""), said.get("message", ""))
    limit = spec.get("activeDeadlineSeconds")
    if limit and look.began and look.now - look.began >= limit:
        return _condition("Failed", "True", "DeadlineExceeded", "Job was active longer than specified deadline")
    if look.failed > spec.get("backoffLimit", 6) or _restarts_too_often(look):
        return _condition("Failed", "True", "BackoffLimitExceeded", "Job has reached the specified backoff limit")
    completions = spec.get("completions")
    enough = look.succeeded >= completions if completions is not None else look.succeeded > 0 and not look.active
    if enough:
        message = "Reached expected number of succeeded pods"
        return _condition("Complete", "True", "CompletionsReached", message)
    return None


def _restarts_too_often(look: _Look) -> bool:
    """Containers that are restarted in place count too."""
    if look.job["spec"]["template"]["spec"].get("restartPolicy") != "OnFailure":
        return False
    limit = look.job["spec"].get("backoffLimit", 6)
    count = sum(
        c.get("restartCount", 0)
        for pod in look.active
        for key in ("initContainerStatuses", "containerStatuses")
        for c in (pod.get("status") or {}).get(key) or []
    )
    return bool(count > 0 and count >= limit)


def _start(look: _Look) -> tuple[list[Step], float | None]:
    """The pods that may start now, and the seconds until more may."""
    spec = look.job["spec"]
    busy = len(look.active)
    if spec.get("podReplacementPolicy") == "Failed":
        busy += look.ending
    wanted = min(spec.get("parallelism", 1), _left(look))
    if busy > wanted:
        return [_delete(pod) for pod in look.active[: busy - wanted]], None
    missing = min(wanted - busy, BURST)
    if missing <= 0:
        return [], None
    wait = _held_back(look)
    if wait > 0:
        return [], wait
    return [Create(POD, job_pod(look.job, index)) for index in _free_indexes(look, missing)], None


def _left(look: _Look) -> int:
    """How many more successes are wanted."""
    completions = look.job["spec"].get("completions")
    if completions is not None:
        return max(int(completions) - look.succeeded, 0)
    return len(look.active) if look.succeeded else int(look.job["spec"].get("parallelism", 1))


def _free_indexes(look: _Look, count: int) -> list[int | None]:
    if not look.is_indexed:
        return [None] * count
    taken = look.done | {i for pod in look.active if (i := index_of(pod)) is not None}
    free = [i for i in range(look.job["spec"].get("completions") or 0) if i not in taken]
    return [*free[:count]]


def _held_back(look: _Look) -> float:
    """Seconds until a try may follow the last failure; each failure doubles them."""
    losers = [pod for pod in look.pods if phase_of(pod) == "Failed"]
    if not losers:
        return 0.0
    return max(max(map(_ended_at, losers)) + backoff(len(losers), base=RETRY_BASE, limit=RETRY_LIMIT) - look.now, 0.0)


def _ended_at(pod: Object) -> float:
    ends = [
        seconds_of((c.get("state") or {}).get("terminated", {}).get("finishedAt"))
        for c in (pod.get("status") or {}).get("containerStatuses") or []
    ]
    return max(ends, default=0.0) or seconds_of(pod["metadata"].get("creationTimestamp"))


def job_pod(job: Object, index: int | None) -> Object:
    """A pod of the Job; with an index it knows it: annotation, label, host name, JOB_COMPLETION_INDEX."""
    more = {} if index is None else {"generateName": f"{name_of(job)}-{index}-"}
    pod = pod_from_template(job, job["spec"]["template"], **more)
    labels = {"job-name": name_of(job), "controller-uid": uid_of(job)}
    pod["metadata"]["labels"] = {**(pod["metadata"].get("labels") or {}), **labels}
    if index is None:
        return pod
    pod["metadata"]["labels"][INDEX] = str(index)
    pod["metadata"]["annotations"] = {**(pod["metadata"].get("annotations") or {}), INDEX: str(index)}
    pod["spec"].setdefault("hostname", f"{name_of(job)}-{index}")
    source = {"fieldRef": {"apiVersion": "v1", "fieldPath": f"metadata.annotations['{INDEX}']"}}
    for container in (*pod["spec"]["containers"], *(pod["spec"].get("initContainers") or [])):
        others = [e for e in container.get("env") or [] if e["name"] != "JOB_COMPLETION_INDEX"]
        container["env"] = [*others, {"name": "JOB_COMPLETION_INDEX", "valueFrom": source}]
    return pod


def _suspend(look: _Look) -> JobPlan:
    held = (look.job.get("status") or {}).get("conditions") or []
    condition = _condition("Suspended", "True", "JobSuspended", "Job suspended")
    steps: list[Step] = [_delete(pod) for pod in look.active]
    if (find_condition(look.job, "Suspended") or {}).get("status") != "True":
        steps.append(Note(look.job, "Suspended", "Job suspended"))
    status = _counts(look) | {"startTime": None, "conditions": _with(held, condition, look.now)}
    return JobPlan(steps, status)


def _finish(look: _Look, conditions: list[Object], verdict: Object) -> JobPlan:
    """What still runs is ended first; then the Job is over."""
    complete = verdict["type"] == "Complete"
    early = {**verdict, "type": "SuccessCriteriaMet" if complete else "FailureTarget"}
    conditions = _with(conditions, early, look.now)
    status = _counts(look) | {"startTime": (look.job.get("status") or {}).get("startTime") or rfc3339(look.now)}
    if look.active or look.ending:
        return JobPlan([_delete(pod) for pod in look.active], status | {"conditions": conditions})
    status["conditions"] = _with(conditions, verdict, look.now)
    if complete:
        status["completionTime"] = rfc3339(look.now)
        note = Note(look.job, "Completed", "Job completed")
    else:
        note = Note(look.job, verdict["reason"], verdict["message"], warning=True)
    return JobPlan([note], status, look.job["spec"].get("ttlSecondsAfterFinished"))


def _expire(job: Object, pods: Sequence[Object], now: float) -> JobPlan:
    """Nothing runs for a Job that is over; with a time to live it goes."""
    steps: list[Step] = [_delete(pod) for pod in pods if is_active(pod)]
    lifetime = job["spec"].get("ttlSecondsAfterFinished")
    if lifetime is None:
        return JobPlan(steps, {})
    ended = (find_condition(job, outcome(job)) or {}).get("lastTransitionTime")
    left = seconds_of(ended) + lifetime - now
    if left > 0:
        return JobPlan(steps, {}, left)
    return JobPlan([*steps, Delete(JOB, name_of(job), namespace_of(job), uid_of(job))], {})


def _counts(look: _Look) -> Object:
    return {
        "active": len(look.active),
        "ready": sum(map(is_ready, look.active)),
        "terminating": look.ending,
        "succeeded": look.succeeded,
        "failed": look.failed,
        "completedIndexes": write_indexes(look.done) or None,
        "uncountedTerminatedPods": {},
    }


def _with(conditions: list[Object], condition: Object, now: float) -> list[Object]:
    held = next((c for c in conditions if c["type"] == condition["type"]), None)
    if held is not None and held["status"] == condition["status"]:
        return conditions
    return with_condition(conditions, {**condition, "lastProbeTime": rfc3339(now)}, rfc3339(now))


def _condition(type_: str, status: str, reason: str, message: str) -> Object:
    return {"type": type_, "status": status, "reason": reason, "message": message}


def _delete(pod: Object) -> Step:
    return Delete(POD, name_of(pod), namespace_of(pod), uid_of(pod))
