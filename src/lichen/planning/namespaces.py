# SPDX-License-Identifier: Apache-2.0
"""Why a namespace that is to go is still there, in the conditions that Kubernetes has for it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from lichen.model.data import Object
from lichen.model.meta import name_of

MOST_NAMED = 3


def remaining_conditions(left: Mapping[str, Sequence[Object]], refusals: Sequence[str]) -> list[Object]:
    """left: what is still there, by resource. refusals: what could not be told to go, and why.

    Each condition is always there, as clients expect: that it is False tells that this was looked at.
    """
    counts = ", ".join(
        f"{resource} has {len(objs)} resource instances ({_names(map(name_of, objs))})"
        for resource, objs in sorted(left.items())
    )
    message = f"Some resources are remaining: {counts}"
    return [
        _condition("NamespaceContentRemaining", "SomeResourcesRemain", message),
        _finalizers_remaining(_by_finalizer(left)),
        _content_failure(refusals),
    ]


def _finalizers_remaining(holders: Mapping[str, Sequence[str]]) -> Object:
    if not holders:
        return _condition("NamespaceFinalizersRemaining", "ContentHasNoFinalizers", "no finalizer holds it", "False")
    said = ", ".join(
        f"{finalizer} in {len(things)} resource instances ({_names(things)})"
        for finalizer, things in sorted(holders.items())
    )
    message = f"Some content in the namespace has finalizers remaining: {said}"
    return _condition("NamespaceFinalizersRemaining", "SomeFinalizersRemain", message)


def _content_failure(refusals: Sequence[str]) -> Object:
    if not refusals:
        return _condition("NamespaceDeletionContentFailure", "ContentDeleted", "nothing refused to go", "False")
    message = "Failed to delete all resource types: " + "; ".join(sorted(refusals)[:MOST_NAMED])
    return _condition("NamespaceDeletionContentFailure", "ContentDeletionFailed", message)


def _by_finalizer(left: Mapping[str, Sequence[Object]]) -> dict[str, list[str]]:
    """Who holds what: `configmaps/settings` by the finalizer that nobody has removed."""
    holders: dict[str, list[str]] = {}
    for resource, objs in left.items():
        for obj in objs:
            for finalizer in obj["metadata"].get("finalizers") or ():
                holders.setdefault(finalizer, []).append(f"{resource}/{name_of(obj)}")
    return holders


def _names(names: Iterable[str]) -> str:
    chosen = sorted(names)
    more = len(chosen) - MOST_NAMED
    return ", ".join(chosen[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def _condition(type_: str, reason: str, message: str, status: str = "True") -> Object:
    return {"type": type_, "status": status, "reason": reason, "message": message}
