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
from lichen.model.meta import annotations_of, is_deleting, name_of, namespace_of, owner_reference, uid_of
from lichen.model.names import ASKED_BY
from lichen.planning.steps import Create, Delete, Note, Patch, Step, difference

HASH_LABEL = "pod-template-hash"
REVISION = "deployment.kubernetes.io/revision"
DESIRED = "deployment.kubernetes.io/desired-replicas"
_OWN_ANNOTATIONS = frozenset((REVISION, DESIRED, "kubectl.kubernetes.io/last-applied-configuration", ASKED_BY))
_LETTERS = "bcdfghjklmnpqrstvwxz2456789"


def plan_deployment(deployment: Object, replica_sets: Sequence[Object], pods_left: int = 0) -> list[Step]:
    """Steps from the ReplicaSets it owns to its template at its scale.

    pods_left: pods of old ReplicaSets that still run, on their way out or not; strategy Recreate waits for them.
    """
    if is_deleting(deployment):
        return []
    current = current_of(deployment, replica_sets)
    old = [rs for rs in replica_sets if rs is not current]
    revision = _revision(current, old)
    steps: list[Step] = []
    if deployment["spec"].get("paused"):
        if current is not None:
            steps += _scale(deployment, current, deployment["spec"]["replicas"] - sum(map(_wanted, old)))
        elif old:
            revision = _revision(max(old, key=_revision_of), [])
    elif current is None:
        digest = template_hash(deployment["spec"]["template"], (deployment.get("status") or {}).get("collisionCount"))
        fresh = new_replica_set(deployment, digest, revision, _first_scale(deployment, old, pods_left))
        steps.append(Create(REPLICA_SET, fresh))
        if replicas := fresh["spec"]["replicas"]:
            said = f"Scaled up replica set {name_of(fresh)} from 0 to {replicas}"
            steps.append(Note(deployment, "ScalingReplicaSet", said))
    else:
        steps += _promote(deployment, current, revision) + _roll(deployment, current, old, pods_left)
        steps += _forget(deployment, old)
    if annotations_of(deployment).get(REVISION) != str(revision) and (current or old or steps):
        patch = {"metadata": {"annotations": {REVISION: str(revision)}}}
        steps.append(Patch(DEPLOYMENT, name_of(deployment), namespace_of(deployment), patch))
    return steps


def current_of(deployment: Object, replica_sets: Sequence[Object]) -> Object | None:
    """The oldest ReplicaSet of the deployment's present template."""
    wanted = _plain(deployment["spec"]["template"])
    alike = [rs for rs in replica_sets if _plain(rs["spec"]["template"]) == wanted]
    return min(alike, key=_created, default=None)


def _plain(template: Object) -> Object:
    """A template without the label that its ReplicaSet adds."""
    metadata = template.get("metadata") or {}
    labels = {key: value for key, value in (metadata.get("labels") or {}).items() if key != HASH_LABEL}
    return {**template, "metadata": {**{k: v for k, v in metadata.items() if v}, "labels": labels}}


def template_hash(template: Object, collisions: int | None = None) -> str:
    """A short word that changes with the template, for names and labels; another one after each collision."""
    digest = hashlib.sha256(msgspec.json.encode(template, order="deterministic"))
    if collisions:
        digest.update(b"%d" % collisions)
    number = int.from_bytes(digest.digest()[:8])
    letters = []
    for _ in range(10):
        number, rest = divmod(number, len(_LETTERS))
        letters.append(_LETTERS[rest])
    return "".join(letters)


def new_replica_set(deployment: Object, digest: str, revision: int, replicas: int) -> Object:
    template = deepcopy(deployment["spec"]["template"])
    metadata = template.setdefault("metadata", {})
    metadata["labels"] = {**(metadata.get("labels") or {}), HASH_LABEL: digest}
    selector = deepcopy(deployment["spec"]["selector"])
    selector["matchLabels"] = {**(selector.get("matchLabels") or {}), HASH_LABEL: digest}
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": f"{name_of(deployment)}-{digest}",
            "namespace": namespace_of(deployment),
            "labels": template["metadata"]["labels"],
            "annotations": {
                **_told(deployment),
                REVISION: str(revision),
                DESIRED: str(deployment["spec"]["replicas"]),
            },
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


def _told(deployment: Object) -> Object:
    """Annotations that a ReplicaSet takes over, such as the cause that `kubectl rollout history` shows."""
    return {key: value for key, value in annotations_of(deployment).items() if key not in _OWN_ANNOTATIONS}


def _first_scale(deployment: Object, old: Sequence[Object], pods_left: int) -> int:
    """How many pods a fresh ReplicaSet may have at once beside the old ones."""
    replicas: int = deployment["spec"]["replicas"]
    if _recreates(deployment):
        return 0 if pods_left or any(_wanted(rs) or _count(rs, "replicas") for rs in old) else replicas
    surge, _ = surge_and_unavailable(deployment)
    return max(min(replicas, replicas + surge - sum(map(_wanted, old))), 0)


def _recreates(deployment: Object) -> bool:
    return bool((deployment["spec"].get("strategy") or {}).get("type") == "Recreate")


def _roll(deployment: Object, current: Object, old: Sequence[Object], pods_left: int) -> list[Step]:
    replicas = deployment["spec"]["replicas"]
    live = [rs for rs in old if _wanted(rs) or _count(rs, "replicas")]
    if _recreates(deployment) and (live or pods_left):
        return [step for rs in live for step in _scale(deployment, rs, 0)]
    if not live:
        return _scale(deployment, current, replicas)
    surge, unavailable = surge_and_unavailable(deployment)
    room = replicas + surge - sum(map(_wanted, old)) - _wanted(current)
    steps: list[Step] = []
    if _wanted(current) > replicas:
        steps += _scale(deployment, current, replicas)
    elif room > 0:
        steps += _scale(deployment, current, min(replicas, _wanted(current) + room))
    # An observed count lags behind a scale just written: pods told to go count as gone, pods just asked for as absent.
    least = replicas - unavailable
    coming = max(_wanted(current) - _count(current, "availableReplicas"), 0)
    limit = max(sum(map(_wanted, (*old, current))) - coming - least, 0)
    spare = max(sum(map(_serving, (*old, current))) - least, 0)
    for rs in sorted(live, key=_created):
        broken = min(_wanted(rs) - _serving(rs), limit)
        healthy = min(spare, _serving(rs), limit - broken)
        limit, spare = limit - broken - healthy, spare - healthy
        steps += _scale(deployment, rs, _wanted(rs) - broken - healthy)
    return steps


def _promote(deployment: Object, current: Object, revision: int) -> list[Step]:
    """The current ReplicaSet bears the newest revision, and what its pods are asked for beyond the template."""
    wanted = {**_told(deployment), REVISION: str(revision), DESIRED: str(deployment["spec"]["replicas"])}
    patch: Object = {}
    if changed := difference(annotations_of(current), wanted):
        patch["metadata"] = {"annotations": changed}
    min_ready = deployment["spec"].get("minReadySeconds", 0)
    if current["spec"].get("minReadySeconds", 0) != min_ready:
        patch["spec"] = {"minReadySeconds": min_ready}
    return [Patch(REPLICA_SET, name_of(current), namespace_of(current), patch)] if patch else []


def _forget(deployment: Object, old: Sequence[Object]) -> list[Step]:
    """Old, empty ReplicaSets beyond the history limit go, the oldest first."""
    empty = [rs for rs in old if not _wanted(rs) and not _count(rs, "replicas") and not is_deleting(rs)]
    surplus = len(empty) - deployment["spec"].get("revisionHistoryLimit", 10)
    ranked = sorted(empty, key=_revision_of)
    return [Delete(REPLICA_SET, name_of(rs), namespace_of(rs), uid_of(rs)) for rs in ranked[: max(surplus, 0)]]


def _scale(deployment: Object, replica_set: Object, replicas: int) -> list[Step]:
    held, wanted = _wanted(replica_set), max(replicas, 0)
    if held == wanted:
        return []
    word = "up" if wanted > held else "down"
    said = f"Scaled {word} replica set {name_of(replica_set)} from {held} to {wanted}"
    patch = {"spec": {"replicas": wanted}}
    return [
        Patch(REPLICA_SET, name_of(replica_set), namespace_of(replica_set), patch),
        Note(deployment, "ScalingReplicaSet", said),
    ]


def _revision(current: Object | None, old: Sequence[Object]) -> int:
    newest_old = max(map(_revision_of, old), default=0)
    own = _revision_of(current) if current else 0
    return own if own > newest_old else newest_old + 1


def _revision_of(replica_set: Object) -> int:
    text = annotations_of(replica_set).get(REVISION, "")
    return int(text) if text.isdecimal() else 0


def _created(obj: Object) -> tuple[str, str]:
    return obj["metadata"].get("creationTimestamp", ""), name_of(obj)


def _wanted(replica_set: Object) -> int:
    replicas: int = replica_set["spec"].get("replicas", 1)
    return replicas


def _serving(replica_set: Object) -> int:
    """Its available pods that are not about to go."""
    return min(_wanted(replica_set), _count(replica_set, "availableReplicas"))


def _count(replica_set: Object, key: str) -> int:
    count: int = (replica_set.get("status") or {}).get(key, 0)
    return count
