# SPDX-License-Identifier: Apache-2.0
"""Jobs run their pods."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from lichen.controllers.base import Key, Mapper, World, by_owner_or_selector
from lichen.kinds.builtin import JOB, POD
from lichen.model.kind import Kind
from lichen.planning.job import plan_job
from lichen.planning.steps import patch_status


class JobController:
    name: ClassVar[str] = "job"
    kind: ClassVar[Kind] = JOB

    def __init__(self, world: World) -> None:
        self.world = world
        self.jobs = world.informer(JOB)
        world.owned(POD)
        self.watches: Mapping[Kind, Mapper] = {POD: by_owner_or_selector(JOB, self.jobs)}

    async def reconcile(self, key: Key) -> float | None:
        job = self.jobs.get(key[1], key[0])
        if job is None or job["spec"].get("managedBy", _OURS) != _OURS:
            return None
        pods = await self.world.claim(POD, JOB, job)
        plan = plan_job(job, pods, self.world.now())
        # What ended is reported before anything follows from it: it must not be counted twice.
        await self.world.apply(patch_status(JOB, job, plan.status))
        await self.world.apply(plan.steps, job)
        return plan.again


_OURS = "kubernetes.io/job-controller"
