# SPDX-License-Identifier: Apache-2.0
"""Why a namespace that is to go is still there, in the conditions that Kubernetes has for it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from lichen.model.data import Object

MOST_NAMED = 3


def remaining_conditions(left: Mapping[str, Sequence[Object]], refusals: Sequence[str]) -> list[Object]:
    """left: what is still there, by resource. refusals: what could not be told to go, and why."""
    counts = ", ".join(f"{resource} has {len(objs)} resource instances" for resource, objs in sorted(left.items()))
    found = [
        _condition("NamespaceContentRemaining", "SomeResourcesRemain", f"Some resources are remaining: {counts}"),
    ]
    finalizers = Counter(f for objs in left.values() for obj in objs for f in obj["metadata"].get("finalizers") or [])
    if finalizers:
        said = ", ".join(f"{name} in {count} resource instances" for name, count in sorted(finalizers.items()))
        message = f"Some content in the namespace has finalizers remaining: {said}"
        found.append(_condition("NamespaceFinalizersRemaining", "SomeFinalizersRemain", message))
    if refusals:
        message = "Failed to delete all resource types: " + "; ".join(sorted(refusals)[:MOST_NAMED])
        found.append(_condition("NamespaceDeletionContentFailure", "ContentDeletionFailed", message))
    return found


def _condition(type_: str, reason: str, message: str) -> Object:
    return {"type": type_, "status": "True", "reason": reason, "message": message}
