# SPDX-License-Identifier: Apache-2.0
"""All controllers and the scheduler over one State, until cancelled."""

from __future__ import annotations

import asyncio

from lichen.controllers.all import RECONCILERS
from lichen.controllers.base import World
from lichen.controllers.scheduler import Scheduler
from lichen.model.state import State
from lichen.runtime.clock import Clock
from lichen.runtime.events import Recorder
from lichen.runtime.manager import Manager


async def manage(state: State, clock: Clock, *, root_ca: str = "") -> None:
    """root_ca: PEM of the API's authority, which every namespace is told."""
    manager = Manager(state, clock)
    recorder = Recorder(state, clock, "lichen-controllers")
    world = World(state, clock, manager.informer, recorder)
    world.root_ca = root_ca
    for make in RECONCILERS:
        reconciler = make(world)
        manager.control(reconciler.name, reconciler.reconcile, reconciler.kind, reconciler.watches)
    placements = Recorder(state, clock, "default-scheduler")
    scheduler = Scheduler(world, placements)
    async with asyncio.TaskGroup() as tasks:
        for work in (manager, scheduler, recorder, placements):
            tasks.create_task(work.run())
