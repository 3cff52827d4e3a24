# SPDX-License-Identifier: Apache-2.0
"""What status says of one container: waiting, running or terminated, and why."""

from __future__ import annotations

from lichen.model.data import Object
from lichen.planning.pod_restart import FRESH, is_init, is_sidecar, restart_at, status_of, wants_restart
from lichen.planning.pod_steps import ContainerActual, Failure, PodActual
from lichen.planning.times import rfc3339


def container_status(
    pod: Object, spec: Object, container: ContainerActual | None, actual: PodActual, initialized: bool, now: float
) -> Object:
    """A ContainerStatus. initialized: nothing stands between this container and its start."""
    old = status_of(pod, spec["name"])
    probes = actual.probes.get(spec["name"])
    running = container is not None and container.phase == "Running"
    started = running and (probes is None or probes.started is not False)
    ready = started and (probes is None or probes.ready is not False)
    if is_init(pod, spec["name"]) and not is_sidecar(spec):
        ready = container is not None and container.phase == "Exited" and container.exit_code == 0
    status: Object = {
        "name": spec["name"],
        "state": _state(pod, spec, container, actual, initialized, now),
        "lastState": _last_state(pod, spec, container, old, actual, now),
        "ready": ready,
        "restartCount": container.attempt if container is not None else int(old.get("restartCount") or 0),
        "image": (container.image if container is not None else "") or spec.get("image", ""),
        "imageID": container.image_id if container is not None else old.get("imageID", ""),
        "started": started,
    }
    identity = f"{actual.engine}://{container.id}" if container is not None else old.get("containerID", "")
    return {**status, "containerID": identity} if identity else status


def _state(
    pod: Object, spec: Object, container: ContainerActual | None, actual: PodActual, initialized: bool, now: float
) -> Object:
    if container is not None and container.phase == "Running":
        return {"running": {"startedAt": rfc3339(container.started_at)}}
    failure = actual.failures.get(spec["name"])
    if container is not None and container.phase == "Exited":
        if _over(pod) or not wants_restart(pod, spec, container):
            return {"terminated": _terminated(container, actual.engine)}
        if failure is not None:
            return {"waiting": _failed(failure, now)}
        if _is_held_back(container, actual, now):
            return {"waiting": _crash_loop(pod, container)}
        return {"terminated": _terminated(container, actual.engine)}
    if _over(pod):
        kept: Object = status_of(pod, spec["name"]).get("state") or {}
        return kept or {"waiting": {"reason": "ContainerCreating"}}
    if failure is not None:
        return {"waiting": _failed(failure, now)}
    if not initialized:
        return {"waiting": {"reason": "PodInitializing"}}
    sandbox = actual.failures.get("")
    words = {"message": f"{sandbox.reason}: {sandbox.message}"} if sandbox is not None else {}
    waits = bool(pod["spec"].get("initContainers")) and actual.sandbox == "Ready"
    return {"waiting": {"reason": "PodInitializing" if waits else "ContainerCreating", **words}}


def _last_state(
    pod: Object, spec: Object, container: ContainerActual | None, old: Object, actual: PodActual, now: float
) -> Object:
    """How the attempt before ended, as far as status or the machine remember."""
    before: Object = old.get("lastState") or {}
    engine = actual.engine
    ended = (old.get("state") or {}).get("terminated")
    if container is None:
        return {"terminated": ended} if ended and not _over(pod) else before
    if container.phase == "Exited" and not _over(pod) and wants_restart(pod, spec, container):
        held = _is_held_back(container, actual, now)
        return {"terminated": _terminated(container, engine)} if held else before
    if ended and ended.get("containerID") != f"{engine}://{container.id}":
        return {"terminated": ended}
    return before


def _is_held_back(container: ContainerActual, actual: PodActual, now: float) -> bool:
    """Its next attempt waits. What ended with its sandbox begins in a new one at once: that was no failure."""
    return actual.sandbox != "Dead" and now < restart_at(container)


def _terminated(container: ContainerActual, engine: str) -> Object:
    state: Object = {
        "exitCode": container.exit_code,
        "reason": container.reason or ("Completed" if container.exit_code == 0 else "Error"),
        "containerID": f"{engine}://{container.id}",
    }
    maybe = {
        "startedAt": rfc3339(container.started_at),
        "finishedAt": rfc3339(container.finished_at),
        "message": container.message,
    }
    return state | {name: value for name, value in maybe.items() if value}


def _failed(failure: Failure, now: float) -> Object:
    pulling = failure.reason == "ErrImagePull" and now >= failure.at + FRESH
    return {"reason": "ImagePullBackOff" if pulling else failure.reason, "message": failure.message}


def _crash_loop(pod: Object, container: ContainerActual) -> Object:
    delay = int(restart_at(container) - container.finished_at)
    who = f"{pod['metadata']['name']}_{pod['metadata'].get('namespace', '')}"
    return {
        "reason": "CrashLoopBackOff",
        "message": f"back-off {delay}s restarting failed container={container.name} pod={who}",
    }


def _over(pod: Object) -> bool:
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed") or bool(
        pod["metadata"].get("deletionTimestamp")
    )
