# SPDX-License-Identifier: Apache-2.0
"""What the node writes: status and finalizers, by patches that fail if others changed the same lists meanwhile."""

from __future__ import annotations

from lichen.model.data import Object
from lichen.model.kind import Kind
from lichen.model.meta import name_of, namespace_of
from lichen.model.names import SYSTEM_NAMESPACE
from lichen.model.state import State


async def patch_status(state: State, kind: Kind, obj: Object, status: Object) -> Object:
    """Merge into an object's status; its new state. Conflict: its conditions were changed by another."""
    patch: Object = {"status": status}
    if "conditions" in status:
        patch["metadata"] = {"resourceVersion": obj["metadata"]["resourceVersion"]}
    return await state.patch(kind, name_of(obj), namespace_of(obj), patch, subresource="status")


async def patch_finalizers(state: State, kind: Kind, obj: Object, finalizers: list[str]) -> Object:
    """Replace the finalizers; its new state. Conflict: the object moved on."""
    patch = {
        "metadata": {"finalizers": finalizers, "resourceVersion": obj["metadata"]["resourceVersion"]},
    }
    return await state.patch(kind, name_of(obj), namespace_of(obj), patch)


def refer(reference: str, namespace: str) -> tuple[str, str]:
    """(name, namespace) that `name` or `namespace/name` means, seen from `namespace`."""
    head, slash, name = reference.partition("/")
    return (name, head) if slash else (head, namespace or SYSTEM_NAMESPACE)
