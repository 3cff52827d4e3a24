# SPDX-License-Identifier: Apache-2.0
"""Work by object: at most one worker for each, none for those that have nothing to do."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass

from lichen.agent.failures import Tell
from lichen.model.errors import ApiError, Temporary
from lichen.planning.times import backoff
from lichen.runtime.clock import Clock

log = logging.getLogger(__name__)

Reconcile = Callable[[Hashable], Awaitable[float | None]]
MOST_PAUSE = 1.0


@dataclass(slots=True)
class _Slot:
    task: asyncio.Task[None]
    asleep: bool = False
    again: bool = False
    failures: int = 0
    soon: bool = False


class Workers:
    """`poke(key)` has `reconcile(key)` run soon, and once more if it was poked while it ran.

    reconcile returns the seconds after which it wants to run again, or None. What it raises is tried again with a
    back-off of 1 to 60 seconds, or after the delay that a Temporary asks for. `tell` is told how each try ended.
    """

    def __init__(self, reconcile: Reconcile, clock: Clock, tell: Tell) -> None:
        self._reconcile = reconcile
        self._tell = tell
        self._clock = clock
        self._slots: dict[Hashable, _Slot] = {}
        self._closed = False

    def poke(self, key: Hashable) -> None:
        if self._closed:
            return
        slot = self._slots.get(key)
        if slot is None:
            self._begin(key, 0)
        elif not slot.asleep:
            slot.again = True
        elif not slot.soon:
            slot.task.cancel()
            self._begin(key, slot.failures)

    async def close(self) -> None:
        """Stop all work; what runs is cancelled."""
        self._closed = True
        tasks = [slot.task for slot in self._slots.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._slots.clear()

    @property
    def busy(self) -> int:
        """How many objects are being worked on now, those that wait not counted."""
        return sum(not slot.asleep for slot in self._slots.values())

    def _begin(self, key: Hashable, failures: int) -> None:
        slot = _Slot(asyncio.get_running_loop().create_task(self._work(key)), failures=failures)
        self._slots[key] = slot

    async def _work(self, key: Hashable) -> None:
        slot = self._slots[key]
        await self._rest(slot, _pause(slot.failures), soon=True)
        while True:
            slot.again = False
            delay = await self._once(key, slot)
            if slot.again:
                await self._rest(slot, _pause(slot.failures), soon=True)
            elif delay is None:
                if self._slots.get(key) is slot:
                    del self._slots[key]
                return
            else:
                await self._rest(slot, delay)

    async def _rest(self, slot: _Slot, delay: float, *, soon: bool = False) -> None:
        """soon: a poke ends it no earlier."""
        if soon and not delay:
            return
        slot.asleep, slot.soon = True, soon
        await self._clock.sleep(delay)
        slot.asleep = slot.soon = False

    async def _once(self, key: Hashable, slot: _Slot) -> float | None:
        try:
            delay = await self._reconcile(key)
            await self._tell(key, None, 0)
        except Exception as error:
            slot.failures += 1
            await self._failed(key, error, slot.failures)
            return _delay(error, slot.failures)
        slot.failures = 0
        return delay

    async def _failed(self, key: Hashable, error: Exception, failures: int) -> None:
        if isinstance(error, Temporary):
            log.info("%s: %s", key, error.message)
        elif isinstance(error, ApiError):
            log.info("%s: refused: %s", key, error.message)
        else:
            log.error("%s failed", key, exc_info=error)
        try:
            await self._tell(key, error, failures)
        except Exception:
            log.exception("%s: that it fails cannot be told", key)


def _delay(error: Exception, failures: int) -> float:
    if isinstance(error, Temporary) and error.delay is not None:
        return error.delay
    return backoff(failures, base=0.2 if isinstance(error, ApiError) else 1.0, limit=60.0)


def _pause(failures: int) -> float:
    """Before what was poked runs: what fails may be poked by what it writes about that, and must not spin."""
    return min(MOST_PAUSE, 0.05 * max(0, failures - 1))
