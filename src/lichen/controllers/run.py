# SPDX-License-Identifier: Apache-2.0
"""All controllers and the scheduler over one State, until cancelled."""

from __future__ import annotations

import asyncio

from lichen.controllers.all import RECONCILERS
from lichen.controllers.base import World
from lichen.controllers.scheduler import Scheduler
from lichen.model.state import State
from lichen.runtime.clock import Clock
from lichen.runtime.manager import Manager


async def manage(state: State, clock: Clock) -> None:
    manager = Manager(state, clock)
    world = World(state, clock, manager.informer)
    for make in RECONCILERS:
        reconciler = make(world)
        manager.control(reconciler.name, reconciler.reconcile, reconciler.kind, reconciler.watches)
    scheduler = Scheduler(world)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(manager.run())
        tasks.create_task(scheduler.run())
