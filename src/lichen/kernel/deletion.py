# SPDX-License-Identifier: Apache-2.0
"""How objects go: at once, or marked until their finalizers and their grace period are over. Pure."""

from __future__ import annotations

from typing import NamedTuple

from lichen.kinds.builtin import NAMESPACE, POD
from lichen.model.data import Object
from lichen.model.errors import Conflict
from lichen.model.kind import Kind
from lichen.model.state import Preconditions
from lichen.model.times import rfc3339

FOREGROUND, ORPHAN = "foregroundDeletion", "orphan"
_DEPENDENTS = {"Foreground": FOREGROUND, "Orphan": ORPHAN}
DEFAULT_GRACE = 30


class Going(NamedTuple):
    """mark: the object to store instead, None if nothing changes. remove: it goes for good."""

    mark: Object | None
    remove: bool


def check_preconditions(kind: Kind, obj: Object, wanted: Preconditions) -> None:
    """Conflict: the object is not the one that was meant."""
    metadata = obj["metadata"]
    for word, want, have in (
        ("UID", wanted.uid, metadata.get("uid", "")),
        ("ResourceVersion", wanted.resource_version, metadata.get("resourceVersion", "")),
    ):
        if want and want != have:
            raise Conflict(
                f'Operation cannot be fulfilled on {kind.resource} "{metadata["name"]}": Precondition failed: {word} '
                f"in precondition: {want}, {word} in object meta: {have}",
                kind=kind.plural,
                group=kind.group,
                name=metadata["name"],
            )


def plan_deletion(kind: Kind, obj: Object, propagation: str, grace_seconds: int | None, now: float) -> Going:
    """What a request to delete `obj` comes to."""
    metadata = obj["metadata"]
    finalizers = _finalizers(metadata, propagation)
    grace = _grace(kind, obj, grace_seconds)
    marked = metadata.get("deletionTimestamp")
    if marked:
        left = metadata.get("deletionGracePeriodSeconds") or 0
        if grace >= left and finalizers == (metadata.get("finalizers") or []):
            return Going(None, remove=False)
        grace = min(grace, left)
    if not grace and not finalizers and not _held(kind, obj):
        return Going(None, remove=True)
    changed = {**metadata, "finalizers": finalizers}
    if not finalizers:
        del changed["finalizers"]
    changed["deletionGracePeriodSeconds"] = grace
    if not marked or grace < (metadata.get("deletionGracePeriodSeconds") or 0):
        changed["deletionTimestamp"] = rfc3339(now + grace)
        changed["generation"] = metadata.get("generation", 1) + (0 if marked else 1)
    new = {**obj, "metadata": changed}
    if kind == NAMESPACE:
        new["status"] = {**(obj.get("status") or {}), "phase": "Terminating"}
    return Going(new, remove=False)


def is_over(kind: Kind, obj: Object) -> bool:
    """A marked object that nothing holds any more."""
    metadata = obj["metadata"]
    return bool(
        metadata.get("deletionTimestamp")
        and not metadata.get("finalizers")
        and not metadata.get("deletionGracePeriodSeconds")
        and not _held(kind, obj)
    )


def _held(kind: Kind, obj: Object) -> bool:
    return kind == NAMESPACE and bool((obj.get("spec") or {}).get("finalizers"))


def _finalizers(metadata: Object, propagation: str) -> list[str]:
    kept = list(metadata.get("finalizers") or [])
    wanted = _DEPENDENTS.get(propagation)
    if wanted is None:
        return kept
    return [f for f in kept if f not in (FOREGROUND, ORPHAN)] + [wanted]


def _grace(kind: Kind, obj: Object, asked: int | None) -> int:
    if kind != POD:
        return 0
    spec, phase = obj.get("spec") or {}, (obj.get("status") or {}).get("phase")
    if not spec.get("nodeName") or phase in ("Succeeded", "Failed"):
        return 0
    if asked is not None:
        return max(asked, 0)
    return int(spec.get("terminationGracePeriodSeconds", DEFAULT_GRACE))
