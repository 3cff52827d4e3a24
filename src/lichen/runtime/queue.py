# SPDX-License-Identifier: Apache-2.0
"""A `Schedule` that workers wait on, with time."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Hashable
from typing import Generic, TypeVar

from lichen.runtime.clock import Clock
from lichen.runtime.schedule import Schedule

K = TypeVar("K", bound=Hashable)


class WorkQueue(Generic[K]):
    """`get` a key, work on it, say `done`. Delays run on the clock; `close` stops them."""

    def __init__(self, clock: Clock, *, base: float = 0.1, limit: float = 60.0) -> None:
        self._clock = clock
        self._schedule: Schedule[K] = Schedule(base=base, limit=limit)
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._timer: asyncio.Task[None] | None = None
        self._timer_due = 0.0

    def __len__(self) -> int:
        return len(self._schedule)

    @property
    def idle(self) -> bool:
        return self._schedule.idle

    @property
    def delayed(self) -> int:
        """Keys that are due later."""
        return self._schedule.delayed

    def add(self, key: K) -> None:
        self._schedule.add(key)
        self._wake()

    def add_after(self, key: K, seconds: float) -> None:
        self._schedule.add_at(key, self._clock.now() + seconds)
        self._set_timer()

    def retry(self, key: K, delay: float | None = None) -> float:
        """After a failure: again after `delay`, or the back-off. The seconds until then."""
        wait = self._schedule.failed(key, self._clock.now(), delay)
        self._set_timer()
        return wait

    def forget(self, key: K) -> None:
        """After a success: the back-off begins anew."""
        self._schedule.succeeded(key)

    async def get(self) -> K:
        while (key := self._schedule.take()) is None:
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiters.append(future)
            try:
                await future
            except asyncio.CancelledError:
                self._wake()
                raise
        return key

    def done(self, key: K) -> None:
        self._schedule.done(key)
        self._wake()

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wake(self) -> None:
        ready = len(self._schedule)
        while ready > 0 and self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                ready -= 1

    def _set_timer(self) -> None:
        due = self._schedule.next_due
        if due is None or (self._timer is not None and self._timer_due <= due):
            return
        self.close()
        self._timer_due = due
        self._timer = asyncio.get_running_loop().create_task(self._ring(due))

    async def _ring(self, due: float) -> None:
        while (wait := due - self._clock.now()) > 0:
            await self._clock.sleep(wait)
        self._timer = None
        self._schedule.release(self._clock.now())
        self._wake()
        self._set_timer()
