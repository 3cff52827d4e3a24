# SPDX-License-Identifier: Apache-2.0
"""When a container is started again, and after how long: at once, then 10 s doubling to 300 s, and from the beginning
after ten good minutes."""

from __future__ import annotations

from dataclasses import replace

from lichen.model.data import Object
from lichen.planning.pod_steps import ContainerActual, Failure, PodActual, Probes
from lichen.planning.times import backoff

STATUSES = ("initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses")
GOOD_RUN = 600.0
"""A container that ran this long, seconds, is started again at once. One that never started (started_at 0) did not."""

FRESH = 2.0
"""Seconds for which a failed pull is shown as such before it is shown as waiting for the next try."""


def container_specs(pod: Object) -> list[Object]:
    """All containers: init containers first, ephemeral ones last."""
    spec = pod["spec"]
    return [*(spec.get("initContainers") or []), *spec["containers"], *ephemeral_specs(pod)]


def ephemeral_specs(pod: Object) -> list[Object]:
    """Containers that were put beside the others to look at them: run once, never waited for."""
    return list(pod["spec"].get("ephemeralContainers") or [])


def is_ephemeral(pod: Object, name: str) -> bool:
    return any(spec["name"] == name for spec in ephemeral_specs(pod))


def is_sidecar(spec: Object) -> bool:
    return spec.get("restartPolicy") == "Always"


def is_init(pod: Object, name: str) -> bool:
    return any(spec["name"] == name for spec in pod["spec"].get("initContainers") or [])


def is_init_done(spec: Object, container: ContainerActual | None, probes: Probes | None = None) -> bool:
    """A plain init container is done when it ended well; a sidecar when it has started."""
    if container is None:
        return False
    if is_sidecar(spec):
        return container.phase == "Running" and (probes is None or probes.started is not False)
    return container.phase == "Exited" and container.exit_code == 0


def main_began(pod: Object, actual: PodActual) -> bool:
    """Whether any main container was ever started: then the init containers are behind us."""
    names = {spec["name"] for spec in pod["spec"]["containers"]}
    return any(c.name in names for c in actual.containers)


def wants_restart(pod: Object, spec: Object, container: ContainerActual) -> bool:
    """Whether an ended container is to run again, by the pod's restartPolicy."""
    if is_sidecar(spec):
        return True
    if is_ephemeral(pod, container.name):
        return False
    policy = pod["spec"].get("restartPolicy") or "Always"
    failed = container.exit_code != 0
    if is_init(pod, container.name):
        return failed and policy != "Never"
    return policy == "Always" or (policy == "OnFailure" and failed)


def restart_at(container: ContainerActual) -> float:
    """Earliest time of the next attempt, unix seconds; the first restart is immediate."""
    if container.phase != "Exited":
        return 0.0
    return container.finished_at + (0.0 if ran_well(container) else backoff(container.attempt - container.forgiven))


def ran_well(container: ContainerActual) -> bool:
    began = container.started_at
    return container.phase == "Exited" and began > 0 and container.finished_at - began >= GOOD_RUN


def forgiven_until(before: int | None, container: ContainerActual) -> ContainerActual:
    """With what is forgiven to it by now. before: what was until now; None: nobody knows it."""
    if before is None or before > container.attempt or ran_well(container):
        before = container.attempt
    return replace(container, forgiven=before)


def retry_at(failure: Failure | None) -> float:
    """Earliest time to try again what failed to start, unix seconds."""
    if failure is None:
        return 0.0
    base = 10.0 if "Image" in failure.reason else 2.0
    return failure.at + backoff(failure.count, base=base)


def wait_for(failure: Failure | None, at: float, now: float) -> float:
    """When to look again at what is tried again `at`: before that, if another word is shown of it by then."""
    fresh = failure.at + FRESH if failure is not None and failure.reason == "ErrImagePull" else 0.0
    return min(at, fresh) if now < fresh else at


def status_of(pod: Object, name: str) -> Object:
    """What status says of a container; {} if nothing."""
    status = pod.get("status") or {}
    known = [held for key in STATUSES for held in status.get(key) or []]
    return next((c for c in known if c["name"] == name), {})


def attempts_before(pod: Object, name: str, container: ContainerActual | None) -> int:
    """The number of the next attempt: how many there were, as far as the machine or status remember."""
    old = status_of(pod, name)
    remembered = int(old.get("restartCount") or 0) + 1 if old.get("containerID") else 0
    if container is not None and container.phase == "Created":
        return max(container.attempt, remembered - 1)
    return max(container.attempt + 1 if container is not None else 0, remembered)
