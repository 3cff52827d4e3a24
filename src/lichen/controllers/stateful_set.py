# SPDX-License-Identifier: Apache-2.0
"""StatefulSets get their pods, in order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from lichen.controllers.base import Key, Mapper, World, by_owner, by_owner_or_selector
from lichen.kinds.builtin import CONTROLLER_REVISION, POD, STATEFUL_SET
from lichen.model.data import Object
from lichen.model.kind import Kind
from lichen.model.meta import is_deleting, labels_of, name_of
from lichen.planning.revisions import HASH, plan_history, plan_revision
from lichen.planning.stateful_set import plan_stateful_set, stateful_set_status
from lichen.planning.steps import patch_status
from lichen.planning.workload import next_available


class StatefulSetController:
    name: ClassVar[str] = "statefulset"
    kind: ClassVar[Kind] = STATEFUL_SET

    def __init__(self, world: World) -> None:
        self.world = world
        self.sets = world.informer(STATEFUL_SET)
        world.owned(POD)
        world.owned(CONTROLLER_REVISION)
        self.watches: Mapping[Kind, Mapper] = {
            POD: by_owner_or_selector(STATEFUL_SET, self.sets),
            CONTROLLER_REVISION: by_owner("StatefulSet"),
        }

    async def reconcile(self, key: Key) -> float | None:
        owner = self.sets.get(key[1], key[0])
        if owner is None or is_deleting(owner):
            return None
        revisions = await self.world.claim(CONTROLLER_REVISION, STATEFUL_SET, owner)
        plan = plan_revision(owner, revisions)
        await self.world.apply(plan.steps)
        current = _named(revisions, (owner.get("status") or {}).get("currentRevision")) or plan.update
        pods = await self.world.claim(POD, STATEFUL_SET, owner)
        try:
            steps = plan_stateful_set(owner, pods, current, plan.update, self.world.now())
            await self.world.apply(steps, owner)
        finally:
            pods, now = self.world.managed(POD, owner), self.world.now()
            status = stateful_set_status(owner, pods, current, plan.update, now)
            await self.world.apply(patch_status(STATEFUL_SET, owner, status))
        live = {name_of(current), name_of(plan.update), *(labels_of(pod).get(HASH, "") for pod in pods)}
        await self.world.apply(plan_history(owner, revisions, live))
        return next_available(pods, owner["spec"].get("minReadySeconds", 0), now)


def _named(revisions: list[Object], name: str | None) -> Object | None:
    return next((r for r in revisions if name_of(r) == name), None)
