# SPDX-License-Identifier: Apache-2.0
"""A Deployment rolls from one template to the next by scaling ReplicaSets. Semantics: Kubernetes apps/v1."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from copy import deepcopy

import msgspec

from lichen.kinds.builtin import DEPLOYMENT, REPLICA_SET
from lichen.model.data import Object
from lichen.model.meta import (
    annotations_of,
    find_condition,
    is_deleting,
    name_of,
    namespace_of,
    owner_reference,
    uid_of,
    with_condition,
)
from lichen.planning.steps import Create, Delete, Patch, Step, patch_status

HASH_LABEL = "pod-template-hash"
REVISION = "deployment.kubernetes.io/revision"
DESIRED = "deployment.kubernetes.io/desired-replicas"
_LETTERS = "bcdfghjklmnpqrstvwxz2456789"


def plan_deployment(deployment: Object, replica_sets: Sequence[Object], now: str) -> list[Step]:
    """Steps from the ReplicaSets it owns to its template at its scale; `now` is RFC 3339."""
    if is_deleting(deployment):
        return []
    digest = template_hash(deployment["spec"]["template"])
    current = next((rs for rs in replica_sets if rs["metadata"]["labels"].get(HASH_LABEL) == digest), None)
    old = [rs for rs in replica_sets if rs is not current]
    revision = _revision(current, old)
    steps: list[Step] = []
    if not deployment["spec"].get("paused"):
        if current is None:
            steps.append(
                Create(REPLICA_SET, new_replica_set(deployment, digest, revision, _first_scale(deployment, old)))
            )
        else:
            steps += _promote(current, revision) + _roll(deployment, current, old)
            steps += _forget(deployment, old)
    elif current is not None:
        steps += _scale(current, deployment["spec"]["replicas"] - sum(map(_wanted, old)))
    if annotations_of(deployment).get(REVISION) != str(revision):
        steps.append(
            Patch(
                DEPLOYMENT,
                name_of(deployment),
                namespace_of(deployment),
                {"metadata": {"annotations": {REVISION: str(revision)}}},
            )
        )
    return steps + patch_status(DEPLOYMENT, deployment, deployment_status(deployment, current, old, now))


def template_hash(template: Object) -> str:
    """A short word that changes with the template, for names and labels."""
    number = int.from_bytes(hashlib.sha256(msgspec.json.encode(template, order="deterministic")).digest()[:8])
    letters = []
    for _ in range(10):
        number, rest = divmod(number, len(_LETTERS))
        letters.append(_LETTERS[rest])
    return "".join(letters)


def new_replica_set(deployment: Object, digest: str, revision: int, replicas: int) -> Object:
    template = deepcopy(deployment["spec"]["template"])
    template.setdefault("metadata", {}).setdefault("labels", {})[HASH_LABEL] = digest
    selector = deepcopy(deployment["spec"]["selector"])
    selector.setdefault("matchLabels", {})[HASH_LABEL] = digest
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": f"{name_of(deployment)}-{digest}",
            "namespace": namespace_of(deployment),
            "labels": template["metadata"]["labels"],
            "annotations": {REVISION: str(revision), DESIRED: str(deployment["spec"]["replicas"])},
            "ownerReferences": [owner_reference(deployment)],
        },
        "spec": {
            "replicas": replicas,
            "minReadySeconds": deployment["spec"].get("minReadySeconds", 0),
            "selector": selector,
            "template": template,
        },
    }


def surge_and_unavailable(deployment: Object) -> tuple[int, int]:
    """How many pods more, and how many fewer, than wanted a roll may have."""
    replicas = deployment["spec"]["replicas"]
    strategy = deployment["spec"].get("strategy") or {}
    if strategy.get("type") == "Recreate":
        return 0, replicas
    rolling = strategy.get("rollingUpdate") or {}
    surge = _share(rolling.get("maxSurge", "25%"), replicas, up=True)
    unavailable = _share(rolling.get("maxUnavailable", "25%"), replicas, up=False)
    return (surge, unavailable) if surge or unavailable else (0, 1)


def _share(value: int | str, whole: int, *, up: bool) -> int:
    if isinstance(value, str):
        exact = whole * int(value.rstrip("%")) / 100
        return math.ceil(exact) if up else math.floor(exact)
    return value


def _first_scale(deployment: Object, old: Sequence[Object]) -> int:
    """How many pods a fresh ReplicaSet may have at once beside the old ones."""
    replicas: int = deployment["spec"]["replicas"]
    running = sum(max(_wanted(rs), _count(rs, "replicas")) for rs in old)
    if (deployment["spec"].get("strategy") or {}).get("type") == "Recreate":
        return 0 if running else replicas
    surge, _ = surge_and_unavailable(deployment)
    return max(min(replicas, replicas + surge - sum(map(_wanted, old))), 0)


def _roll(deployment: Object, current: Object, old: Sequence[Object]) -> list[Step]:
    replicas = deployment["spec"]["replicas"]
    live = [rs for rs in old if _wanted(rs) or _count(rs, "replicas")]
    if not live:
        return _scale(current, replicas)
    if (deployment["spec"].get("strategy") or {}).get("type") == "Recreate":
        return [step for rs in live for step in _scale(rs, 0)]
    surge, unavailable = surge_and_unavailable(deployment)
    room = replicas + surge - sum(map(_wanted, old)) - _wanted(current)
    steps: list[Step] = []
    if _wanted(current) > replicas:
        steps += _scale(current, replicas)
    elif room > 0:
        steps += _scale(current, min(replicas, _wanted(current) + room))
    # An observed count lags behind a scale just written: pods told to go count as gone, pods just asked for as absent.
    least = replicas - unavailable
    coming = max(_wanted(current) - _count(current, "availableReplicas"), 0)
    limit = max(sum(map(_wanted, (*old, current))) - coming - least, 0)
    spare = max(sum(map(_serving, (*old, current))) - least, 0)
    for rs in sorted(live, key=lambda rs: rs["metadata"].get("creationTimestamp", "")):
        broken = min(_wanted(rs) - _serving(rs), limit)
        healthy = min(spare, _serving(rs), limit - broken)
        limit, spare = limit - broken - healthy, spare - healthy
        steps += _scale(rs, _wanted(rs) - broken - healthy)
    return steps


def _promote(current: Object, revision: int) -> list[Step]:
    if annotations_of(current).get(REVISION) == str(revision):
        return []
    patch = {"metadata": {"annotations": {REVISION: str(revision)}}}
    return [Patch(REPLICA_SET, name_of(current), namespace_of(current), patch)]


def _forget(deployment: Object, old: Sequence[Object]) -> list[Step]:
    """Old, empty ReplicaSets beyond the history limit go, the oldest first."""
    empty = [rs for rs in old if not _wanted(rs) and not _count(rs, "replicas") and not is_deleting(rs)]
    surplus = len(empty) - deployment["spec"].get("revisionHistoryLimit", 10)
    ranked = sorted(empty, key=lambda rs: int(annotations_of(rs).get(REVISION, 0)))
    return [Delete(REPLICA_SET, name_of(rs), namespace_of(rs), uid_of(rs)) for rs in ranked[: max(surplus, 0)]]


def _scale(replica_set: Object, replicas: int) -> list[Step]:
    if _wanted(replica_set) == replicas:
        return []
    return [
        Patch(REPLICA_SET, name_of(replica_set), namespace_of(replica_set), {"spec": {"replicas": max(replicas, 0)}})
    ]


def _revision(current: Object | None, old: Sequence[Object]) -> int:
    newest_old = max((int(annotations_of(rs).get(REVISION, 0)) for rs in old), default=0)
    own = int(annotations_of(current).get(REVISION, 0)) if current else 0
    return own if own > newest_old else newest_old + 1


def _wanted(replica_set: Object) -> int:
    replicas: int = replica_set["spec"].get("replicas", 1)
    return replicas


def _serving(replica_set: Object) -> int:
    """Its available pods that are not about to go."""
    return min(_wanted(replica_set), _count(replica_set, "availableReplicas"))


def _count(replica_set: Object, key: str) -> int:
    count: int = (replica_set.get("status") or {}).get(key, 0)
    return count


def deployment_status(deployment: Object, current: Object | None, old: Sequence[Object], now: str) -> Object:
    """Counts and conditions; `kubectl rollout status` reads them."""
    every = [*old, *([current] if current else [])]
    replicas = deployment["spec"]["replicas"]
    total = sum(_count(rs, "replicas") for rs in every)
    available = sum(_count(rs, "availableReplicas") for rs in every)
    updated = _count(current, "replicas") if current else 0
    status = {
        "observedGeneration": deployment["metadata"].get("generation", 0),
        "replicas": total,
        "updatedReplicas": updated,
        "readyReplicas": sum(_count(rs, "readyReplicas") for rs in every),
        "availableReplicas": available,
        "unavailableReplicas": max(replicas - available, 0) or None,
    }
    conditions = (deployment.get("status") or {}).get("conditions") or []
    for condition in (_available(deployment, available), _progressing(deployment, current, status, now)):
        old_one = find_condition(deployment, condition["type"])
        if old_one is None or any(old_one.get(key) != condition[key] for key in ("status", "reason")):
            conditions = with_condition(conditions, {**condition, "lastUpdateTime": now}, now)
    return {**status, "conditions": conditions}


def _available(deployment: Object, available: int) -> Object:
    _, unavailable = surge_and_unavailable(deployment)
    enough = available >= deployment["spec"]["replicas"] - unavailable
    return {
        "type": "Available",
        "status": "True" if enough else "False",
        "reason": "MinimumReplicasAvailable" if enough else "MinimumReplicasUnavailable",
        "message": f"Deployment {'has' if enough else 'does not have'} minimum availability.",
    }


def _progressing(deployment: Object, current: Object | None, status: Object, now: str) -> Object:
    name = name_of(current) if current else f"of deployment {name_of(deployment)}"
    replicas = deployment["spec"]["replicas"]
    if status["updatedReplicas"] == replicas == status["availableReplicas"] == status["replicas"]:
        message = f'ReplicaSet "{name}" has successfully progressed.'
        return {"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable", "message": message}
    message = f'ReplicaSet "{name}" is progressing.'
    return {"type": "Progressing", "status": "True", "reason": "ReplicaSetUpdated", "message": message}
