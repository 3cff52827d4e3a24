# SPDX-License-Identifier: Apache-2.0
"""Steps on the store, as data: what a controller's planner returns and its executor runs through State."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lichen.model.data import Object
from lichen.model.kind import Kind
from lichen.model.meta import name_of, namespace_of


@dataclass(frozen=True, slots=True)
class Create:
    """Store a new object; that it exists already is no error."""

    kind: Kind
    object: Object


@dataclass(frozen=True, slots=True)
class Patch:
    """Merge `patch` into an object; that it is gone is no error."""

    kind: Kind
    name: str
    namespace: str
    patch: Any
    subresource: str = ""


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete the object with this uid; that it is gone is no error. grace: seconds, None for what the object says."""

    kind: Kind
    name: str
    namespace: str
    uid: str = ""
    grace: int | None = None


@dataclass(frozen=True, slots=True)
class Note:
    """Record an event about an object: `reason` a CamelCase word, `message` a sentence."""

    about: Object
    reason: str
    message: str
    warning: bool = False


Step = Create | Patch | Delete | Note


def patch_status(kind: Kind, obj: Object, wanted: Object) -> list[Step]:
    """The patch that makes `wanted` true in the object's status; none if it is true already."""
    changed = difference(obj.get("status") or {}, wanted)
    return [Patch(kind, name_of(obj), namespace_of(obj), {"status": changed}, "status")] if changed else []


def difference(actual: Object, wanted: Object) -> Object:
    """The merge patch that makes each key of `wanted` true in `actual`; keys not in `wanted` are let be."""
    patch: Object = {}
    for key, value in wanted.items():
        held = actual.get(key)
        if isinstance(value, dict) and isinstance(held, dict):
            if inner := difference(held, value):
                patch[key] = inner
        elif held != value and not (value is None and key not in actual):
            patch[key] = value
    return patch
