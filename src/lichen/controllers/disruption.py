# SPDX-License-Identifier: Apache-2.0
"""PodDisruptionBudgets say how many of their pods may be evicted now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

from lichen.controllers.base import Key, Mapper, World
from lichen.kinds.builtin import DEPLOYMENT, PDB, POD, REPLICA_SET, REPLICATION_CONTROLLER, STATEFUL_SET
from lichen.model.data import Object
from lichen.model.kind import Kind
from lichen.model.meta import controller_of, name_of, namespace_of, uid_of
from lichen.model.selectors import label_selector
from lichen.planning.disruption import disruption_status, next_look
from lichen.planning.steps import Patch, patch_status

SCALED = (REPLICA_SET, DEPLOYMENT, STATEFUL_SET, REPLICATION_CONTROLLER)


class DisruptionController:
    name: ClassVar[str] = "disruption"
    kind: ClassVar[Kind] = PDB

    def __init__(self, world: World) -> None:
        self.world = world
        self.budgets = world.informer(PDB)
        self.pods = world.informer(POD)
        self.workloads = {kind.kind: world.informer(kind) for kind in SCALED}
        for informer in (self.budgets, self.pods):
            informer.add_index("namespace", lambda obj: [namespace_of(obj)])
        self.watches: Mapping[Kind, Mapper] = {
            POD: self.map_pod,
            **dict.fromkeys(SCALED, self.map_workload),
        }

    def map_pod(self, pod: Object) -> list[Key]:
        """The budgets of its namespace that select it."""
        return [
            (namespace_of(budget), name_of(budget))
            for budget in self.budgets.by_index("namespace", namespace_of(pod))
            if label_selector(budget["spec"].get("selector"))(pod)
        ]

    def map_workload(self, workload: Object) -> list[Key]:
        """All budgets of its namespace: how many pods there should be may be new to any of them."""
        budgets = self.budgets.by_index("namespace", namespace_of(workload))
        return [(namespace_of(budget), name_of(budget)) for budget in budgets]

    async def reconcile(self, key: Key) -> float | None:
        budget = self.budgets.get(key[1], key[0])
        if budget is None:
            return None
        selector = label_selector(budget["spec"].get("selector"))
        pods = [pod for pod in self.pods.by_index("namespace", key[0]) if selector(pod)]
        status = disruption_status(budget, pods, self._scale, self.world.now())
        # Only over the budget that was looked at: an eviction may have taken of it meanwhile.
        seen = {"metadata": {"resourceVersion": budget["metadata"]["resourceVersion"]}}
        steps = patch_status(PDB, budget, status)
        await self.world.apply(replace(step, patch={**step.patch, **seen}) for step in steps if isinstance(step, Patch))
        return next_look(status, self.world.now())

    def _scale(self, pod: Object) -> tuple[str, int] | None:
        """The number that the topmost workload of a pod wants."""
        found, top = pod, None
        while (owner := controller_of(found)) is not None and owner["kind"] in self.workloads:
            above = self.workloads[owner["kind"]].get(owner["name"], namespace_of(pod))
            if above is None or uid_of(above) != owner["uid"]:
                break
            found = top = above
        return (uid_of(top), int(top["spec"].get("replicas", 1))) if top is not None else None
