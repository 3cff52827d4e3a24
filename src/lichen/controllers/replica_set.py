# SPDX-License-Identifier: Apache-2.0
"""ReplicaSets keep their pods."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from lichen.controllers.base import Key, Mapper, World, by_owner, owner_uids
from lichen.kinds.builtin import POD, REPLICA_SET
from lichen.model.kind import Kind
from lichen.model.meta import uid_of
from lichen.planning.replica_set import plan_replica_set


class ReplicaSetController:
    name: ClassVar[str] = "replicaset"
    kind: ClassVar[Kind] = REPLICA_SET

    def __init__(self, world: World) -> None:
        self.world = world
        self.replica_sets = world.informer(REPLICA_SET)
        self.pods = world.informer(POD)
        self.pods.add_index("owner", owner_uids)
        self.watches: Mapping[Kind, Mapper] = {POD: by_owner("ReplicaSet")}

    async def reconcile(self, key: Key) -> float | None:
        replica_set = self.replica_sets.get(key[1], key[0])
        if replica_set is not None:
            await self.world.apply(plan_replica_set(replica_set, self.pods.by_index("owner", uid_of(replica_set))))
        return None
