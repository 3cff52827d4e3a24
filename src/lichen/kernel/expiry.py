# SPDX-License-Identifier: Apache-2.0
"""Events go an hour after they were last seen.

Runs in the kernel's process, where following them costs a glance at each one's bytes: elsewhere, each would be sent,
decoded and remembered only to be deleted later.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import logging

import msgspec

from lichen.kernel.access import Clock
from lichen.kernel.collector import RETRY_SECONDS, RawState
from lichen.kinds.builtin import EVENT
from lichen.model.errors import ApiError, Conflict, NotFound
from lichen.model.state import EventType, Preconditions
from lichen.planning.times import seconds_of

log = logging.getLogger(__name__)

LIFETIME = 3600.0

Place = tuple[str, str]
"""Namespace and name of an event."""


class _Metadata(msgspec.Struct, rename="camel"):
    name: str
    namespace: str
    uid: str
    resource_version: str
    creation_timestamp: str


class _Series(msgspec.Struct, rename="camel"):
    last_observed_time: str | None = None


class _Event(msgspec.Struct, rename="camel"):
    """What is read of an event; some of its times are set by one client and some by another."""

    metadata: _Metadata
    series: _Series | None = None
    last_timestamp: str | None = None
    event_time: str | None = None

    def last_seen(self) -> float:
        """Unix seconds."""
        series = self.series.last_observed_time if self.series is not None else None
        return max(map(seconds_of, (series, self.last_timestamp, self.event_time, self.metadata.creation_timestamp)))


_read = msgspec.json.Decoder(_Event).decode


class Expiry:
    """Deletes every event `lifetime` seconds after it was last seen. What is remembered only says when to look."""

    def __init__(self, state: RawState, clock: Clock, *, lifetime: float = LIFETIME) -> None:
        self._state = state
        self._clock = clock
        self._lifetime = lifetime
        self._due: list[tuple[float, Place]] = []
        self._known: set[Place] = set()
        self._sooner = asyncio.Event()

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._follow())
            tasks.create_task(self._expire())

    async def _follow(self) -> None:
        while True:
            try:
                async for type_, raw, *_ in self._state.watch_raw(EVENT):
                    if type_ == EventType.ADDED:
                        self._observe(_read(raw))
            except ApiError as error:
                log.info("watch of events starts again: %s", error.message)
            await asyncio.sleep(RETRY_SECONDS)

    def _observe(self, event: _Event) -> None:
        place = (event.metadata.namespace, event.metadata.name)
        if place not in self._known:
            self._look(place, event.last_seen() + self._lifetime)

    def _look(self, place: Place, at: float) -> None:
        self._known.add(place)
        heapq.heappush(self._due, (at, place))
        if self._due[0][1] == place:
            self._sooner.set()

    async def _expire(self) -> None:
        while True:
            self._sooner.clear()
            wait = self._due[0][0] - self._clock.now() if self._due else None
            if wait is not None and wait <= 0:
                await self._end(heapq.heappop(self._due)[1])
                continue
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._sooner.wait()

    async def _end(self, place: Place) -> None:
        """Delete an event if it was not seen again meanwhile."""
        self._known.discard(place)
        namespace, name = place
        try:
            event = _read(await self._state.get_raw(EVENT, name, namespace))
            at = event.last_seen() + self._lifetime
            if at > self._clock.now():
                return self._look(place, at)
            exactly = Preconditions(uid=event.metadata.uid, resource_version=event.metadata.resource_version)
            await self._state.delete(EVENT, name, namespace, preconditions=exactly)
        except NotFound:
            return None
        except Conflict:
            self._look(place, self._clock.now())
        except ApiError as error:
            log.info("event %s/%s is looked at again: %s", namespace, name, error.message)
            self._look(place, self._clock.now() + RETRY_SECONDS)
