# SPDX-License-Identifier: Apache-2.0
"""PodDisruptionBudgets say how many of their pods may be taken away."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from lichen.controllers.base import Key, Mapper, World
from lichen.kinds.builtin import DEPLOYMENT, PDB, POD, REPLICA_SET, REPLICATION_CONTROLLER, STATEFUL_SET
from lichen.model.data import Object
from lichen.model.kind import Kind
from lichen.model.meta import controller_of, name_of, namespace_of, uid_of
from lichen.model.selectors import label_selector
from lichen.planning.disruption import disruption_status, evicted_until
from lichen.planning.steps import patch_status

SCALED = (DEPLOYMENT, STATEFUL_SET, REPLICATION_CONTROLLER, REPLICA_SET)


def _by_namespace(obj: Object) -> list[str]:
    return [namespace_of(obj)]


class DisruptionController:
    name: ClassVar[str] = "disruption"
    kind: ClassVar[Kind] = PDB

    def __init__(self, world: World) -> None:
        self.world = world
        self.budgets = world.informer(PDB)
        self.pods = world.informer(POD)
        self.scaled = {kind: world.informer(kind) for kind in SCALED}
        for informer in (self.budgets, self.pods):
            informer.add_index("namespace", _by_namespace)
        self.watches: Mapping[Kind, Mapper] = dict.fromkeys((POD, *SCALED), self._in_the_namespace)

    def _in_the_namespace(self, obj: Object) -> list[Key]:
        """All budgets there: labels may have changed, and what a pod belongs to."""
        return [(namespace_of(b), name_of(b)) for b in self.budgets.by_index("namespace", namespace_of(obj))]

    async def reconcile(self, key: Key) -> float | None:
        budget = self.budgets.get(key[1], key[0])
        if budget is None:
            return None
        matches = label_selector(budget["spec"].get("selector"))
        pods = [pod for pod in self.pods.by_index("namespace", key[0]) if matches(pod)]
        now = self.world.now()
        status = disruption_status(budget, pods, self._replicas(pods), now)
        await self.world.apply(patch_status(PDB, budget, status))
        until = evicted_until(budget)
        return None if until is None else max(until - now, 0.1)

    def _replicas(self, pods: list[Object]) -> dict[str, tuple[str, int]]:
        """What is scaled in the end, and to how many, by the uid of what manages a pod."""
        found: dict[str, tuple[str, int]] = {}
        for pod in pods:
            manager = controller_of(pod)
            if manager is not None and manager["uid"] not in found:
                top = self._scaled(manager, namespace_of(pod))
                if top is not None:
                    found[manager["uid"]] = (uid_of(top), top["spec"].get("replicas", 1))
        return found

    def _scaled(self, reference: Object, namespace: str) -> Object | None:
        """What a reference leads to, or what manages that in turn."""
        kind = next(
            (k for k in SCALED if (k.api_version, k.kind) == (reference["apiVersion"], reference["kind"])), None
        )
        held = None if kind is None else self.scaled[kind].get(reference["name"], namespace)
        if held is None or uid_of(held) != reference["uid"]:
            return None
        above = controller_of(held)
        return (None if above is None else self._scaled(above, namespace)) or held
