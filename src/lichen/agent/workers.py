# SPDX-License-Identifier: Apache-2.0
"""Work by object: at most one worker for each, none for those that have nothing to do."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass

from lichen.model.errors import ApiError, Temporary
from lichen.planning.times import backoff
from lichen.runtime.clock import Clock

log = logging.getLogger(__name__)

Reconcile = Callable[[Hashable], Awaitable[float | None]]


@dataclass(slots=True)
class _Slot:
    task: asyncio.Task[None]
    asleep: bool = False
    again: bool = False
    failures: int = 0


class Workers:
    """`poke(key)` has `reconcile(key)` run soon, and once more if it was poked while it ran.

    reconcile returns the seconds after which it wants to run again, or None. What it raises is tried again with a
    back-off of 1 to 60 seconds, or after the delay that a Temporary asks for.
    """

    def __init__(self, reconcile: Reconcile, clock: Clock) -> None:
        self._reconcile = reconcile
        self._clock = clock
        self._slots: dict[Hashable, _Slot] = {}
        self._closed = False

    def poke(self, key: Hashable) -> None:
        if self._closed:
            return
        slot = self._slots.get(key)
        if slot is None:
            self._begin(key, 0)
        elif slot.asleep:
            slot.task.cancel()
            self._begin(key, slot.failures)
        else:
            slot.again = True

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
        while True:
            slot.again = False
            delay = await self._once(key, slot)
            if slot.again:
                continue
            if delay is None:
                if self._slots.get(key) is slot:
                    del self._slots[key]
                return
            slot.asleep = True
            await self._clock.sleep(delay)
            slot.asleep = False

    async def _once(self, key: Hashable, slot: _Slot) -> float | None:
        try:
            delay = await self._reconcile(key)
        except Temporary as error:
            slot.failures += 1
            log.info("%s: %s", key, error.message)
            return error.delay if error.delay is not None else backoff(slot.failures, base=1.0, limit=60.0)
        except ApiError as error:
            slot.failures += 1
            log.info("%s: refused: %s", key, error.message)
            return backoff(slot.failures, base=0.2, limit=60.0)
        except Exception:
            slot.failures += 1
            log.exception("%s failed", key)
            return backoff(slot.failures, base=1.0, limit=60.0)
        slot.failures = 0
        return delay
