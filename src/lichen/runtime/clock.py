# SPDX-License-Identifier: Apache-2.0
"""Time as an argument: the machine's, or one that tests and simulations drive."""

from __future__ import annotations

import asyncio
import heapq
import time
from itertools import count
from typing import Protocol

SETTLE_ROUNDS = 50


class Clock(Protocol):
    def now(self) -> float:
        """Unix seconds."""
        ...

    async def sleep(self, seconds: float) -> None: ...


class SystemClock:
    """The machine's time."""

    def now(self) -> float:
        return time.time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class ManualClock:
    """Stands still until it is moved; sleepers wake in the order of their times."""

    def __init__(self, start: float = 1_700_000_000.0) -> None:
        self._now = start
        self._order = count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []

    def now(self) -> float:
        return self._now

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._now + seconds, next(self._order), future))
        await future

    @property
    def next_wake(self) -> float | None:
        """When the next sleeper wakes; None: nobody sleeps."""
        while self._sleepers and self._sleepers[0][2].done():
            heapq.heappop(self._sleepers)
        return self._sleepers[0][0] if self._sleepers else None

    def advance(self, seconds: float) -> None:
        """Move on at once, and wake whoever is due."""
        self._now += seconds
        while (due := self.next_wake) is not None and due <= self._now:
            heapq.heappop(self._sleepers)[2].set_result(None)

    async def run(self, seconds: float) -> None:
        """Move on sleeper by sleeper, letting each do its work before the next wakes."""
        end = self._now + seconds
        await settle()
        while (due := self.next_wake) is not None and due <= end:
            self.advance(max(0.0, due - self._now))
            await settle()
        self.advance(end - self._now)
        await settle()


async def settle() -> None:
    """Let tasks that are ready run until they wait for something."""
    for _ in range(SETTLE_ROUNDS):
        await asyncio.sleep(0)
