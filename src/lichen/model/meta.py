# SPDX-License-Identifier: Apache-2.0
"""Metadata, conditions and owners: what every object has, whatever its kind. Shapes as in Kubernetes' meta/v1."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lichen.model.data import Data, Object, field


class OwnerReference(Data):
    """Who owns an object: it is collected when its last owner is gone."""

    api_version: str = field("Owner's apiVersion.")
    kind: str = field("Owner's kind.")
    name: str = field("Owner's name.")
    uid: str = field("Owner's uid.")
    controller: bool = field("This owner manages the object.", default=False)
    block_owner_deletion: bool = field("Foreground deletion of the owner waits for the object.", default=False)


class Meta(Data):
    """Standard object metadata."""

    name: str = field("Handle, unique in its kind and namespace.", default="")
    generate_name: str = field("Prefix from which a name is made.", default="")
    namespace: str = field("Namespace, which is the project.", default="")
    uid: str = field("Identity of this incarnation.", default="")
    resource_version: str = field("Revision of the last write.", default="")
    generation: int = field("Count of changes to spec.", default=0)
    creation_timestamp: str = field("When it was created, RFC 3339.", default="")
    deletion_timestamp: str = field("When deletion was asked for, RFC 3339.", default="")
    deletion_grace_period_seconds: int | None = field("Seconds left to end in peace.", default=None)
    labels: dict[str, str] = field("Selectable keys.", default_factory=dict)
    annotations: dict[str, str] = field("Free-form keys.", default_factory=dict)
    finalizers: list[str] = field("Who must let go before it is removed.", default_factory=list)
    owner_references: list[OwnerReference] = field("Owners.", default_factory=list)


class Condition(Data):
    """One observation, written by the one writer of its type."""

    type: str = field("CamelCase name of what is observed.")
    status: str = field("True, False or Unknown.")
    reason: str = field("Stable CamelCase word for why.", default="")
    message: str = field("A sentence a person can act on.", default="")
    last_transition_time: str = field("When status last changed, RFC 3339.", default="")
    observed_generation: int = field("Generation it was observed at.", default=0)


def name_of(obj: Object) -> str:
    name: str = obj["metadata"]["name"]
    return name


def namespace_of(obj: Object) -> str:
    namespace: str = obj["metadata"].get("namespace", "")
    return namespace


def uid_of(obj: Object) -> str:
    uid: str = obj["metadata"].get("uid", "")
    return uid


def labels_of(obj: Object) -> dict[str, str]:
    return obj["metadata"].get("labels") or {}


def annotations_of(obj: Object) -> dict[str, str]:
    return obj["metadata"].get("annotations") or {}


def revision_of(obj: Object) -> int:
    return int(obj["metadata"].get("resourceVersion") or 0)


def is_deleting(obj: Object) -> bool:
    return bool(obj["metadata"].get("deletionTimestamp"))


def owners_of(obj: Object) -> list[Object]:
    return obj["metadata"].get("ownerReferences") or []


def controller_of(obj: Object) -> Object | None:
    """The owner that manages `obj`, if one does."""
    for owner in owners_of(obj):
        if owner.get("controller"):
            return owner
    return None


def owner_reference(owner: Object, *, controller: bool = True) -> Object:
    """The reference that makes `owner` the owner of another object."""
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": name_of(owner),
        "uid": uid_of(owner),
        "controller": controller,
        "blockOwnerDeletion": True,
    }


def find_condition(obj: Object, type_: str) -> Object | None:
    return next((c for c in (obj.get("status") or {}).get("conditions") or [] if c.get("type") == type_), None)


def with_condition(conditions: list[Object], new: Object, now: str) -> list[Object]:
    """`conditions` with `new` in the place of its type; the transition time moves only when status does."""
    old = next((c for c in conditions if c.get("type") == new["type"]), None)
    moved = old is None or old.get("status") != new["status"]
    stamp = now if moved or old is None else old.get("lastTransitionTime", now)
    merged = {**new, "lastTransitionTime": stamp}
    if old is None:
        return [*conditions, merged]
    return [merged if c.get("type") == new["type"] else c for c in conditions]


def walk(obj: Any, path: str) -> Iterator[Any]:
    """Every value at a dotted path (`spec.containers.image`), passing through lists."""
    if path == "":
        yield obj
        return
    head, _, rest = path.partition(".")
    values = obj if isinstance(obj, list) else [obj]
    for value in values:
        if isinstance(value, dict) and head in value:
            yield from walk(value[head], rest)
