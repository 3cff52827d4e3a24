# SPDX-License-Identifier: Apache-2.0
"""Namespaces get what belongs in each, and are emptied before they go."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from lichen.controllers.base import Key, Mapper, World
from lichen.kinds.builtin import EVENT, NAMESPACE, POD, SERVICE_ACCOUNT
from lichen.kinds.catalog import Catalog
from lichen.model.data import Object
from lichen.model.errors import Conflict, MethodNotAllowed, NotFound
from lichen.model.kind import Kind, new_object
from lichen.model.meta import is_deleting, name_of, namespace_of
from lichen.planning.steps import Create, patch_status

FINALIZER = "kubernetes"
LOOK_AGAIN = 1.0


class NamespaceController:
    name: ClassVar[str] = "namespace"
    kind: ClassVar[Kind] = NAMESPACE

    def __init__(self, world: World) -> None:
        self.world = world
        self.namespaces = world.informer(NAMESPACE)
        self.accounts = world.informer(SERVICE_ACCOUNT)
        self.contents = [
            kind for kind in Catalog().all_kinds() if kind.namespaced and {"list", "delete"} <= set(kind.verbs)
        ]
        self.watches: Mapping[Kind, Mapper] = {SERVICE_ACCOUNT: lambda obj: [("", namespace_of(obj))]}

    async def reconcile(self, key: Key) -> float | None:
        namespace = self.namespaces.get(key[1])
        if namespace is None:
            return None
        if is_deleting(namespace):
            return await self._empty(namespace)
        if self.accounts.get("default", key[1]) is None:
            await self.world.apply([Create(SERVICE_ACCOUNT, new_object(SERVICE_ACCOUNT, "default", key[1]))])
        return None

    async def _empty(self, namespace: Object) -> float | None:
        """Delete all that is in it; let it go when nothing is left; else say in its conditions what is."""
        left: dict[str, int] = {}
        for kind in self.contents:
            if count := await self._delete_all(kind, name_of(namespace)):
                left[kind.resource] = count
        remaining = {resource: count for resource, count in left.items() if resource != EVENT.resource}
        if not remaining:
            await self._let_go(namespace)
            return None
        what = ", ".join(f"{resource} has {count} left" for resource, count in sorted(remaining.items()))
        condition = {
            "type": "NamespaceContentRemaining",
            "status": "True",
            "reason": "SomeResourcesRemain",
            "message": f"Some resources are remaining: {what}",
            "lastTransitionTime": self.world.now_text(),
        }
        held = (namespace.get("status") or {}).get("conditions") or []
        if not held or held[0].get("message") != condition["message"]:
            await self.world.apply(patch_status(NAMESPACE, namespace, {"conditions": [condition]}))
        return LOOK_AGAIN

    async def _delete_all(self, kind: Kind, namespace: str) -> int:
        """How many are left after everything of a kind was told to go."""
        page = await self.world.state.list(kind, namespace)
        left = 0
        for obj in page.items:
            if is_deleting(obj) and kind != POD:
                left += 1
                continue
            try:
                last = await self.world.state.delete(kind, name_of(obj), namespace)
            except NotFound:
                continue
            except MethodNotAllowed:
                return 0
            left += is_deleting(last) and await self._is_there(kind, obj)
        return left

    async def _is_there(self, kind: Kind, obj: Object) -> bool:
        try:
            await self.world.state.get(kind, name_of(obj), namespace_of(obj))
        except NotFound:
            return False
        return True

    async def _let_go(self, namespace: Object) -> None:
        fresh = {**namespace, "spec": {**(namespace.get("spec") or {})}}
        kept = [f for f in fresh["spec"].get("finalizers") or [] if f != FINALIZER]
        fresh["spec"]["finalizers"] = kept
        try:
            await self.world.state.update(NAMESPACE, fresh, subresource="finalize")
        except (NotFound, Conflict):
            return
