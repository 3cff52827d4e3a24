# SPDX-License-Identifier: Apache-2.0
"""Deployments roll their ReplicaSets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from lichen.controllers.base import Key, Mapper, World, by_owner, by_owner_or_selector
from lichen.kinds.builtin import DEPLOYMENT, POD, REPLICA_SET
from lichen.model.data import Object
from lichen.model.errors import NotFound
from lichen.model.kind import Kind
from lichen.model.meta import controller_of, name_of, namespace_of, uid_of
from lichen.planning.deployment import current_of, plan_deployment
from lichen.planning.deployment_status import deadline_in, deployment_status
from lichen.planning.steps import Create, Step, patch_status
from lichen.planning.workload import has_ended


class DeploymentController:
    name: ClassVar[str] = "deployment"
    kind: ClassVar[Kind] = DEPLOYMENT

    def __init__(self, world: World) -> None:
        self.world = world
        self.deployments = world.informer(DEPLOYMENT)
        self.replica_sets = world.owned(REPLICA_SET)
        world.owned(POD)
        self.watches: Mapping[Kind, Mapper] = {
            REPLICA_SET: by_owner_or_selector(DEPLOYMENT, self.deployments),
            POD: self._recreated,
        }

    async def reconcile(self, key: Key) -> float | None:
        deployment = self.deployments.get(key[1], key[0])
        if deployment is None:
            return None
        sets = await self.world.claim(REPLICA_SET, DEPLOYMENT, deployment)
        steps = plan_deployment(deployment, sets, self._pods_left(deployment, sets))
        await self.world.apply(steps)
        await self._check_collision(deployment, steps)
        fresh, now = self.deployments.get(key[1], key[0]) or deployment, self.world.now()
        if uid_of(fresh) != uid_of(deployment):
            return None
        status = deployment_status(fresh, self.world.managed(REPLICA_SET, fresh), now)
        await self.world.apply(patch_status(DEPLOYMENT, fresh, status))
        return deadline_in({**fresh, "status": status}, now)

    def _pods_left(self, deployment: Object, sets: list[Object]) -> int:
        current = current_of(deployment, sets)
        old = [pod for rs in sets if rs is not current for pod in self.world.managed(POD, rs)]
        return sum(not has_ended(pod) for pod in old)

    async def _check_collision(self, deployment: Object, steps: list[Step]) -> None:
        """A ReplicaSet of the name that was to be made exists and is another's: try another name."""
        for step in steps:
            if not isinstance(step, Create):
                continue
            try:
                held = await self.world.state.get(REPLICA_SET, name_of(step.object), namespace_of(deployment))
            except NotFound:
                continue
            if (controller_of(held) or {}).get("uid") != uid_of(deployment):
                count = (deployment.get("status") or {}).get("collisionCount") or 0
                await self.world.apply(patch_status(DEPLOYMENT, deployment, {"collisionCount": count + 1}))

    def _recreated(self, pod: Object) -> list[Key]:
        """Strategy Recreate waits for the last old pod: to the deployment, when one of its pods changes."""
        for namespace, name in by_owner("ReplicaSet")(pod):
            replica_set = self.replica_sets.get(name, namespace)
            for key in by_owner("Deployment")(replica_set) if replica_set else []:
                deployment = self.deployments.get(key[1], key[0])
                if deployment and (deployment["spec"].get("strategy") or {}).get("type") == "Recreate":
                    return [key]
        return []
