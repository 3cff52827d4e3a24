# SPDX-License-Identifier: Apache-2.0
"""Addresses of one range. Each is taken by creating an object that is named after it: `create` is the lock.

The set of taken addresses is only a memory of those objects, so that no search is needed; where it is wrong, the
create says so.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable

from lichen.model.errors import AlreadyExists

Range = tuple[int, int]
"""First and last address as numbers, both included."""
Claim = Callable[[int], Awaitable[object]]
"""Takes one address for good. AlreadyExists: somebody else has it."""


class Pool:
    """The free addresses of some ranges, given out in turn, so that one that was let go rests for long."""

    def __init__(self, ranges: Iterable[Range], taken: Iterable[int] = ()) -> None:
        self.ranges = tuple(ranges)
        self.taken = set(taken)
        self._next = self.ranges[0][0] if self.ranges else 0

    async def take_any(self, claim: Claim) -> int | None:
        """The next free address, claimed; None: there is none."""
        while True:
            number = self._free()
            if number is None:
                return None
            if await self.take(number, claim):
                return number

    async def take(self, number: int, claim: Claim) -> bool:
        """Claim one address. False: it is taken."""
        if number in self.taken:
            return False
        self.taken.add(number)
        try:
            await claim(number)
        except AlreadyExists:
            return False
        except BaseException:
            self.taken.discard(number)
            raise
        return True

    def release(self, number: int) -> None:
        self.taken.discard(number)

    def _free(self) -> int | None:
        for low, high in self._from_next():
            number = low
            while number <= high:
                if number not in self.taken:
                    self._next = number + 1
                    return number
                number += 1
        return None

    def _from_next(self) -> list[Range]:
        after = [(max(low, self._next), high) for low, high in self.ranges if high >= self._next]
        before = [(low, min(high, self._next - 1)) for low, high in self.ranges if low < self._next]
        return after + before
