# SPDX-License-Identifier: Apache-2.0
"""Namespaces get what belongs in each, and are emptied before they go."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from lichen.controllers.base import Key, Mapper, World
from lichen.kinds.builtin import CONFIG_MAP, CRD, EVENT, NAMESPACE, POD, SERVICE_ACCOUNT
from lichen.kinds.catalog import Catalog
from lichen.kinds.installed import is_established, stored_kind
from lichen.model.data import Object
from lichen.model.errors import Conflict, Forbidden, MethodNotAllowed, NotFound
from lichen.model.kind import Kind, new_object
from lichen.model.meta import is_deleting, name_of, namespace_of, with_condition
from lichen.model.names import ROOT_CA
from lichen.planning.namespaces import remaining_conditions
from lichen.planning.steps import Create, Patch, patch_status

FINALIZER = "kubernetes"
LOOK_AGAIN = 1.0


class NamespaceController:
    name: ClassVar[str] = "namespace"
    kind: ClassVar[Kind] = NAMESPACE

    def __init__(self, world: World) -> None:
        self.world = world
        self.namespaces = world.informer(NAMESPACE)
        self.accounts = world.informer(SERVICE_ACCOUNT)
        self.definitions = world.informer(CRD)
        self.builtin = [
            k for k in Catalog().all_kinds() if k.namespaced and {"list", "delete"} <= set(k.verbs) and k != POD
        ]
        self.configs = world.informer(CONFIG_MAP)
        self.watches: Mapping[Kind, Mapper] = {
            SERVICE_ACCOUNT: lambda obj: [("", namespace_of(obj))],
            CONFIG_MAP: lambda obj: [("", namespace_of(obj))] if name_of(obj) == ROOT_CA else [],
        }

    async def reconcile(self, key: Key) -> float | None:
        namespace = self.namespaces.get(key[1])
        if namespace is None:
            return None
        if is_deleting(namespace):
            return await self._empty(namespace)
        if self.accounts.get("default", key[1]) is None:
            await self.world.apply([Create(SERVICE_ACCOUNT, new_object(SERVICE_ACCOUNT, "default", key[1]))])
        await self._publish_authority(key[1])
        return None

    async def _publish_authority(self, namespace: str) -> None:
        """By which whoever is in a pod trusts the API."""
        if not self.world.root_ca:
            return
        held, data = self.configs.get(ROOT_CA, namespace), {"ca.crt": self.world.root_ca}
        if held is None:
            await self.world.apply([Create(CONFIG_MAP, {**new_object(CONFIG_MAP, ROOT_CA, namespace), "data": data})])
        elif held.get("data") != data:
            other = dict.fromkeys(held.get("data") or {})
            await self.world.apply([Patch(CONFIG_MAP, ROOT_CA, namespace, {"data": {**other, **data}})])

    async def _empty(self, namespace: Object) -> float | None:
        """Delete its pods, then all else that is in it; let it go when nothing is left; else say in its conditions
        what is. Until the last pod has ended it may use what else is here."""
        left: dict[str, list[Object]] = {}
        refusals: list[str] = []
        for kind in (POD, *await self._kinds()):
            if POD.resource in left:
                break
            if held := await self._delete_all(kind, name_of(namespace), refusals):
                left[kind.resource] = held
        if not left.keys() - {EVENT.resource}:
            await self._let_go(namespace)
            return None
        conditions = remaining_conditions(left, refusals)
        held_conditions = (namespace.get("status") or {}).get("conditions") or []
        for condition in conditions:
            held_conditions = with_condition(held_conditions, condition, self.world.now_text())
        kept = [c for c in held_conditions if c["type"] in {c["type"] for c in conditions}]
        await self.world.apply(patch_status(NAMESPACE, namespace, {"conditions": kept}))
        return LOOK_AGAIN

    async def _kinds(self) -> list[Kind]:
        """All that a namespace can hold beside pods, the kinds that were installed included."""
        await self.definitions.synced()
        installed = [stored_kind(d) for d in self.definitions.items.values() if is_established(d)]
        return [*self.builtin, *(kind for kind in installed if kind.namespaced)]

    async def _delete_all(self, kind: Kind, namespace: str, refusals: list[str]) -> list[Object]:
        """What is left after everything of a kind was told to go. What others still need is refused, and waits."""
        try:
            page = await self.world.state.list(kind, namespace)
        except NotFound:
            return []  # a kind that was taken away again
        left: list[Object] = []
        for obj in page.items:
            if is_deleting(obj) and kind != POD:
                left.append(obj)
                continue
            try:
                last = await self.world.state.delete(kind, name_of(obj), namespace)
            except NotFound:
                continue
            except MethodNotAllowed:
                return []
            except (Conflict, Forbidden) as error:
                refusals.append(f"{kind.resource} {name_of(obj)}: {error.message}")
                left.append(obj)
                continue
            if is_deleting(last) and await self._is_there(kind, obj):
                left.append(last)
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
