# SPDX-License-Identifier: Apache-2.0
"""Deployments roll their ReplicaSets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from lichen.controllers.base import Key, Mapper, World, by_owner, owner_uids
from lichen.kinds.builtin import DEPLOYMENT, REPLICA_SET
from lichen.model.kind import Kind
from lichen.model.meta import uid_of
from lichen.planning.deployment import plan_deployment


class DeploymentController:
    name: ClassVar[str] = "deployment"
    kind: ClassVar[Kind] = DEPLOYMENT

    def __init__(self, world: World) -> None:
        self.world = world
        self.deployments = world.informer(DEPLOYMENT)
        self.replica_sets = world.informer(REPLICA_SET)
        self.replica_sets.add_index("owner", owner_uids)
        self.watches: Mapping[Kind, Mapper] = {REPLICA_SET: by_owner("Deployment")}

    async def reconcile(self, key: Key) -> float | None:
        deployment = self.deployments.get(key[1], key[0])
        if deployment is not None:
            owned = self.replica_sets.by_index("owner", uid_of(deployment))
            await self.world.apply(plan_deployment(deployment, owned, self.world.now_text()))
        return None
