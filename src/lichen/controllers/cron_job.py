# SPDX-License-Identifier: Apache-2.0
"""CronJobs make their Jobs in time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from lichen.controllers.base import Key, Mapper, World, by_owner
from lichen.kinds.builtin import CRON_JOB, JOB
from lichen.model.kind import Kind
from lichen.planning.cron_job import plan_cron_job
from lichen.planning.steps import patch_status


class CronJobController:
    name: ClassVar[str] = "cronjob"
    kind: ClassVar[Kind] = CRON_JOB

    def __init__(self, world: World) -> None:
        self.world = world
        self.cron_jobs = world.informer(CRON_JOB)
        world.owned(JOB)
        self.watches: Mapping[Kind, Mapper] = {JOB: by_owner("CronJob")}

    async def reconcile(self, key: Key) -> float | None:
        owner = self.cron_jobs.get(key[1], key[0])
        if owner is None:
            return None
        plan = plan_cron_job(owner, self.world.managed(JOB, owner), self.world.now())
        await self.world.apply(plan.steps, owner)
        await self.world.apply(patch_status(CRON_JOB, owner, plan.status))
        return plan.again
