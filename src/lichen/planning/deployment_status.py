# SPDX-License-Identifier: Apache-2.0
"""What a Deployment reports of its roll; `kubectl rollout status` and `kubectl wait` read it."""

from __future__ import annotations

from collections.abc import Sequence

from lichen.model.data import Object
from lichen.model.meta import find_condition, name_of, with_condition
from lichen.planning.deployment import current_of, surge_and_unavailable
from lichen.planning.times import rfc3339, seconds_of

DONE, TIMED_OUT = "NewReplicaSetAvailable", "ProgressDeadlineExceeded"
_COUNTS = ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")


def deployment_status(deployment: Object, replica_sets: Sequence[Object], now: float) -> Object:
    """Counts and conditions, from the ReplicaSets it owns."""
    current = current_of(deployment, replica_sets)
    replicas = deployment["spec"]["replicas"]
    available = _sum(replica_sets, "availableReplicas")
    status = {
        "observedGeneration": deployment["metadata"].get("generation", 0),
        "replicas": _sum(replica_sets, "replicas"),
        "updatedReplicas": _sum([current] if current else [], "replicas"),
        "readyReplicas": _sum(replica_sets, "readyReplicas"),
        "availableReplicas": available,
        "unavailableReplicas": max(replicas - available, 0) or None,
    }
    conditions = (deployment.get("status") or {}).get("conditions") or []
    conditions = [c for c in conditions if c["type"] != "ReplicaFailure"]
    found = [_available(deployment, available), _progressing(deployment, current, status, now)]
    failure = find_condition(current, "ReplicaFailure") if current else None
    if failure is not None:
        found.append({key: failure[key] for key in ("type", "status", "reason", "message")})
    for condition in found:
        conditions = _with(conditions, condition, deployment, rfc3339(now))
    return {**status, "conditions": conditions}


def deadline_in(deployment: Object, now: float) -> float | None:
    """Seconds until a roll that makes no progress is given up; None: it is over, or may take for ever."""
    condition = find_condition(deployment, "Progressing")
    deadline = deployment["spec"].get("progressDeadlineSeconds")
    if condition is None or deadline is None or condition["reason"] in (DONE, TIMED_OUT, "DeploymentPaused"):
        return None
    return max(seconds_of(condition.get("lastUpdateTime")) + float(deadline) - now, 0.0) + 1.0


def _with(conditions: list[Object], condition: Object, deployment: Object, now: str) -> list[Object]:
    moved = condition.pop("moved", False)
    old = find_condition(deployment, condition["type"])
    if old is not None and not moved and all(old.get(key) == value for key, value in condition.items()):
        return conditions if condition["type"] != "ReplicaFailure" else [*conditions, old]
    return with_condition(conditions, {**condition, "lastUpdateTime": now}, now)


def _available(deployment: Object, available: int) -> Object:
    _, unavailable = surge_and_unavailable(deployment)
    enough = available >= deployment["spec"]["replicas"] - unavailable
    return {
        "type": "Available",
        "status": "True" if enough else "False",
        "reason": "MinimumReplicasAvailable" if enough else "MinimumReplicasUnavailable",
        "message": f"Deployment {'has' if enough else 'does not have'} minimum availability.",
    }


def _progressing(deployment: Object, current: Object | None, status: Object, now: float) -> Object:
    """`moved`: it made progress, so that its deadline begins anew."""
    what = f'ReplicaSet "{name_of(current)}"' if current else f'Deployment "{name_of(deployment)}"'
    held = find_condition(deployment, "Progressing")
    if deployment["spec"].get("paused"):
        return _condition("Unknown", "DeploymentPaused", "Deployment is paused")
    if held is not None and held["reason"] == "DeploymentPaused":
        return _condition("Unknown", "DeploymentResumed", "Deployment is resumed")
    if _is_complete(deployment, current, status):
        return _condition("True", DONE, f"{what} has successfully progressed.")
    moved = held is None or held["reason"] == DONE or _has_moved(deployment, status)
    if not moved and held is not None and _is_late(deployment, held, now):
        return _condition("False", TIMED_OUT, f"{what} has timed out progressing.")
    if held is not None and held["reason"] == TIMED_OUT and not moved:
        return _condition("False", TIMED_OUT, held["message"])
    return {**_condition("True", "ReplicaSetUpdated", f"{what} is progressing."), "moved": moved}


def _condition(status: str, reason: str, message: str) -> Object:
    return {"type": "Progressing", "status": status, "reason": reason, "message": message}


def _is_complete(deployment: Object, current: Object | None, status: Object) -> bool:
    replicas = deployment["spec"]["replicas"]
    return current is not None and all(
        status[key] == replicas for key in ("updatedReplicas", "availableReplicas", "replicas")
    )


def _has_moved(deployment: Object, status: Object) -> bool:
    """More new pods, fewer old ones, more that are ready or available; or another template than was reported on."""
    held = deployment.get("status") or {}
    before = {key: held.get(key, 0) for key in _COUNTS}
    return bool(
        any(status[key] > before[key] for key in ("updatedReplicas", "readyReplicas", "availableReplicas"))
        or status["replicas"] - status["updatedReplicas"] < before["replicas"] - before["updatedReplicas"]
        or status["observedGeneration"] != held.get("observedGeneration", 0)
    )


def _is_late(deployment: Object, held: Object, now: float) -> bool:
    deadline = deployment["spec"].get("progressDeadlineSeconds")
    return deadline is not None and now - seconds_of(held.get("lastUpdateTime")) > deadline


def _sum(replica_sets: Sequence[Object], key: str) -> int:
    return sum((rs.get("status") or {}).get(key, 0) for rs in replica_sets)
