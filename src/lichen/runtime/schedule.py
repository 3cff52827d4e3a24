# SPDX-License-Identifier: Apache-2.0
"""Which key is worked on next: deduplicated, each by one worker at a time, some only after a delay. No I/O."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Hashable
from typing import Generic, TypeVar

from lichen.planning.times import backoff

K = TypeVar("K", bound=Hashable)


class Schedule(Generic[K]):
    """Keys that are ready, in work, or due later.

    A key added while it is in work becomes ready again when that work is done. Beginning to work on a key forgets when
    it was due: the work decides afresh.
    """

    def __init__(self, *, base: float = 0.1, limit: float = 60.0) -> None:
        self._base = base
        self._limit = limit
        self._ready: deque[K] = deque()
        self._wanted: set[K] = set()
        self._in_work: set[K] = set()
        self._due: dict[K, float] = {}
        self._heap: list[tuple[float, int, K]] = []
        self._pushed = 0
        self._failures: dict[K, int] = {}

    def __len__(self) -> int:
        """Keys that are ready."""
        return len(self._ready)

    @property
    def delayed(self) -> int:
        """Keys that are due later."""
        return len(self._due)

    @property
    def idle(self) -> bool:
        """Nothing is ready and nothing is in work."""
        return not self._ready and not self._in_work

    def add(self, key: K) -> None:
        """Wanted now."""
        if key not in self._wanted:
            self._wanted.add(key)
            if key not in self._in_work:
                self._ready.append(key)

    def add_at(self, key: K, when: float) -> None:
        """Wanted at `when`, unless it is due sooner already."""
        if when < self._due.get(key, float("inf")):
            self._due[key] = when
            self._pushed += 1
            heapq.heappush(self._heap, (when, self._pushed, key))

    def release(self, now: float) -> None:
        """Make ready what is due."""
        while (due := self.next_due) is not None and due <= now:
            key = heapq.heappop(self._heap)[2]
            del self._due[key]
            self.add(key)

    @property
    def next_due(self) -> float | None:
        while self._heap and self._due.get(self._heap[0][2]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def take(self) -> K | None:
        """The next ready key; it is in work until `done`."""
        if not self._ready:
            return None
        key = self._ready.popleft()
        self._wanted.discard(key)
        self._due.pop(key, None)
        self._in_work.add(key)
        return key

    def done(self, key: K) -> None:
        self._in_work.discard(key)
        if key in self._wanted:
            self._ready.append(key)

    def failed(self, key: K, now: float, delay: float | None = None) -> float:
        """Wanted again after `delay`, or after the back-off of its failures in a row; the seconds until then."""
        self._failures[key] = self._failures.get(key, 0) + 1
        wait = backoff(self._failures[key], base=self._base, limit=self._limit) if delay is None else delay
        self.add_at(key, now + wait)
        return wait

    def succeeded(self, key: K) -> None:
        self._failures.pop(key, None)
