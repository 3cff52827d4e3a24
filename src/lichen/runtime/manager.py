# SPDX-License-Identifier: Apache-2.0
"""The manager: one informer for each kind, shared by all controllers, and all of them run together."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from lichen.model.kind import Kind
from lichen.model.state import State
from lichen.runtime.clock import Clock
from lichen.runtime.controller import Controller, Mapper, Reconcile, itself
from lichen.runtime.election import Election
from lichen.runtime.informer import Informer


class Manager:
    """Give it controllers, then `run` it. With an election, controllers work only while it is won; the informers
    follow all the time, so that a new leader knows everything at once."""

    def __init__(self, state: State, clock: Clock, election: Election | None = None) -> None:
        self.state = state
        self.clock = clock
        self.controllers: list[Controller] = []
        self._election = election
        self._informers: dict[Kind, Informer] = {}
        self._group: asyncio.TaskGroup | None = None

    def informer(self, kind: Kind) -> Informer:
        """The one informer of a kind; made at the first call, kept running while the manager runs."""
        informer = self._informers.get(kind)
        if informer is None:
            informer = self._informers[kind] = Informer(self.state, kind, clock=self.clock)
            if self._group is not None:
                self._group.create_task(informer.run())
        return informer

    def control(
        self, name: str, reconcile: Reconcile, kind: Kind, watches: Mapping[Kind, Mapper], *, workers: int = 4
    ) -> Controller:
        """Have `reconcile` look at objects of `kind` when they change, or when others that map to them do."""
        sources = [(self.informer(kind), itself), *((self.informer(k), mapper) for k, mapper in watches.items())]
        controller = Controller(name, reconcile, sources, clock=self.clock, workers=workers)
        self.controllers.append(controller)
        return controller

    async def synced(self) -> None:
        """Returns once every informer has its first list."""
        for informer in list(self._informers.values()):
            await informer.synced()

    @property
    def idle(self) -> bool:
        """No controller has anything to do now."""
        return all(controller.idle for controller in self.controllers)

    async def run(self) -> None:
        """Work until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                for informer in list(self._informers.values()):
                    group.create_task(informer.run())
                group.create_task(self._lead() if self._election is None else self._election.run(self._lead))
        finally:
            self._group = None

    async def _lead(self) -> None:
        async with asyncio.TaskGroup() as group:
            for controller in self.controllers:
                group.create_task(controller.run())
