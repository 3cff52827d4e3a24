# SPDX-License-Identifier: Apache-2.0
"""ReplicaSets, and ReplicationControllers as their elders, get their pods."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from lichen.controllers.base import Key, Mapper, World, by_owner_or_selector
from lichen.kinds.builtin import POD, REPLICA_SET, REPLICATION_CONTROLLER
from lichen.model.errors import ApiError
from lichen.model.kind import Kind
from lichen.planning.replica_set import plan_replica_set, replica_set_status
from lichen.planning.steps import patch_status
from lichen.planning.workload import next_available


class ReplicaSetController:
    name: ClassVar[str] = "replicaset"
    kind: ClassVar[Kind] = REPLICA_SET

    def __init__(self, world: World) -> None:
        self.world = world
        self.replica_sets = world.informer(self.kind)
        world.owned(POD)
        self.watches: Mapping[Kind, Mapper] = {POD: by_owner_or_selector(self.kind, self.replica_sets)}

    async def reconcile(self, key: Key) -> float | None:
        replica_set = self.replica_sets.get(key[1], key[0])
        if replica_set is None:
            return None
        pods = await self.world.claim(POD, self.kind, replica_set)
        failure: ApiError | None = None
        try:
            await self.world.apply(plan_replica_set(replica_set, pods), replica_set)
        except ApiError as error:
            failure = error
        pods, now = self.world.managed(POD, replica_set), self.world.now()
        status = replica_set_status(replica_set, pods, now, failure.message if failure else "")
        await self.world.apply(patch_status(self.kind, replica_set, status))
        if failure is not None:
            raise failure
        return next_available(pods, replica_set["spec"].get("minReadySeconds", 0), now)


class ReplicationControllerController(ReplicaSetController):
    name: ClassVar[str] = "replicationcontroller"
    kind: ClassVar[Kind] = REPLICATION_CONTROLLER
