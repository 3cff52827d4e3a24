# SPDX-License-Identifier: Apache-2.0
"""What a node does about one pod, as a kubelet would: from the Pod and what really runs to a list of steps.

    steps = plan_pod(pod, PodActual(sandbox="Ready"), now)

The agent runs the steps in order, looks again and plans again, until the plan is empty or waits. What status says is
worked out in `pod_status`; here is what is done.
"""

from __future__ import annotations

from lichen.model.data import Object
from lichen.model.meta import is_deleting
from lichen.planning.pod_restart import (
    attempts_before,
    ephemeral_specs,
    is_init_done,
    is_sidecar,
    main_began,
    restart_at,
    retry_at,
    wait_for,
    wants_restart,
)
from lichen.planning.pod_status import status_report
from lichen.planning.pod_steps import (
    ContainerActual,
    PodActual,
    PodStep,
    Release,
    RemoveSandbox,
    RemoveVolumes,
    StartContainer,
    StartSandbox,
    StopContainer,
    Wait,
)
from lichen.planning.pod_storage import EVICTED, GRACE
from lichen.planning.times import seconds_of

DEFAULT_GRACE = 30.0


def plan_pod(pod: Object, actual: PodActual | None, now: float) -> list[PodStep]:
    """Steps from what is to what is wanted; [] when there is nothing to do or to say. None: nothing of it is here."""
    actual = actual or PodActual()
    if is_deleting(pod):
        return _plan_deletion(pod, actual, now)
    report = status_report(pod, actual, now)
    if actual.evicted or _is_evicted(pod):
        return [*report.steps, *_plan_eviction(actual)]
    if _is_over(pod) or report.phase in ("Succeeded", "Failed"):
        return [*report.steps, *_stop_what_runs(pod, actual)]
    if actual.sandbox != "Ready":
        return [*report.steps, *_plan_sandbox(pod, actual, now), *_deadline(pod)]
    work = _plan_init(pod, actual, now)
    if work is None:
        work = _plan_main(pod, actual, now)
    return [*report.steps, *work, *_deadline(pod)]


def grace_of(pod: Object) -> float:
    """Seconds the pod is given to end in peace."""
    deletion = pod["metadata"].get("deletionGracePeriodSeconds")
    spec = pod["spec"].get("terminationGracePeriodSeconds")
    return float(deletion if deletion is not None else spec if spec is not None else DEFAULT_GRACE)


def _plan_deletion(pod: Object, actual: PodActual, now: float) -> list[PodStep]:
    running = [StopContainer(c.name, grace_of(pod)) for c in actual.containers if c.phase == "Running"]
    report = status_report(pod, actual, now).steps
    if running:
        return [*report, *running]
    if actual.sandbox:
        return [*report, RemoveSandbox(0.0)]
    return [Release()]


def _plan_sandbox(pod: Object, actual: PodActual, now: float) -> list[PodStep]:
    if actual.sandbox == "Dead":
        return [RemoveSandbox(0.0)]
    if not actual.address_ready:
        return []
    at = retry_at(actual.failures.get(""))
    return [Wait(at)] if now < at else [StartSandbox()]


def _plan_init(pod: Object, actual: PodActual, now: float) -> list[PodStep] | None:
    """Steps for the first init container that is not done; None when all are."""
    if main_began(pod, actual):
        return None
    for spec in pod["spec"].get("initContainers") or []:
        if is_init_done(spec, _find(actual, spec["name"]), actual.probes.get(spec["name"])):
            continue
        return _plan_container(pod, spec, actual, now)
    return None


def _plan_main(pod: Object, actual: PodActual, now: float) -> list[PodStep]:
    sidecars = [spec for spec in pod["spec"].get("initContainers") or [] if is_sidecar(spec)]
    steps: list[PodStep] = []
    for spec in [*sidecars, *pod["spec"]["containers"], *ephemeral_specs(pod)]:
        steps += _plan_container(pod, spec, actual, now)
    waits = [step.until for step in steps if isinstance(step, Wait)]
    return [*(step for step in steps if not isinstance(step, Wait)), *([Wait(min(waits))] if waits else [])]


def _plan_container(pod: Object, spec: Object, actual: PodActual, now: float) -> list[PodStep]:
    name = spec["name"]
    container = _find(actual, name)
    if container is not None and container.phase == "Running":
        return _stop_what_is_ill(pod, name, actual)
    if container is not None and container.phase == "Exited" and not wants_restart(pod, spec, container):
        return []
    failure = actual.failures.get(name)
    at = max(retry_at(failure), restart_at(container) if container else 0.0)
    if now < at:
        return [Wait(wait_for(failure, at, now))]
    return [StartContainer(name, attempts_before(pod, name, container))]


def _stop_what_is_ill(pod: Object, name: str, actual: PodActual) -> list[PodStep]:
    probes = actual.probes.get(name)
    if probes is None or probes.alive is not False:
        return []
    return [StopContainer(name, grace_of(pod), f"failed {'startup' if probes.started is False else 'liveness'} probe")]


def _stop_what_runs(pod: Object, actual: PodActual) -> list[PodStep]:
    return [StopContainer(c.name, grace_of(pod)) for c in actual.containers if c.phase == "Running"]


def _plan_eviction(actual: PodActual) -> list[PodStep]:
    """What it takes of the machine is given back."""
    running = [StopContainer(c.name, GRACE) for c in actual.containers if c.phase == "Running"]
    if running or not actual.sandbox:
        return list(running)
    return [RemoveVolumes(), RemoveSandbox(0.0)]


def _deadline(pod: Object) -> list[PodStep]:
    limit = pod["spec"].get("activeDeadlineSeconds")
    started = seconds_of((pod.get("status") or {}).get("startTime"))
    return [Wait(started + limit)] if limit and started else []


def _is_over(pod: Object) -> bool:
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")


def _is_evicted(pod: Object) -> bool:
    return _is_over(pod) and (pod.get("status") or {}).get("reason") == EVICTED


def _find(actual: PodActual, name: str) -> ContainerActual | None:
    return next((c for c in actual.containers if c.name == name), None)
