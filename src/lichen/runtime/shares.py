# SPDX-License-Identifier: Apache-2.0
"""What one user may have under way at once, so that no flood of one starves the others.

The cloud's own processes and its admins are not counted. A project's service accounts are one user: it makes as many of
them as it likes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar
from weakref import WeakValueDictionary

from lichen.model.caller import account_of
from lichen.model.errors import TooManyRequests
from lichen.model.names import CONTROLLERS, DIALECT, NODE_USER
from lichen.model.state import Caller

T = TypeVar("T")
REQUESTS = 100
"""That one user may have under way: more than clients have that wait for their answers, less than makes others wait
for long."""
LONG_REQUESTS = 500
"""Watches, logs, consoles."""
TOO_MANY = "Too many requests, please try again later."
_turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()


def owner(caller: Caller) -> str:
    """Of whose share a caller's requests are; "" if they are not counted: those of the cloud, and of nobody known."""
    if caller.is_admin:
        return ""
    name = caller.name
    return _owner_in_system(name) if name.startswith("system:") else name


def _owner_in_system(name: str) -> str:
    if name in (CONTROLLERS, DIALECT) or name.startswith(NODE_USER):
        return ""
    account = account_of(name)
    return name if account is None else f"system:serviceaccounts:{account[0]}"


class Shares:
    """Counts requests by owner. most: that one of them may have under way."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._taken: dict[str, int] = {}

    def take(self, whose: str) -> None:
        """One more, to be given back. TooManyRequests."""
        taken = self._taken.get(whose, 0)
        if taken >= self._most:
            raise TooManyRequests(TOO_MANY, retry_after=1)
        self._taken[whose] = taken + 1

    def give_back(self, whose: str) -> None:
        left = self._taken[whose] - 1
        if left:
            self._taken[whose] = left
        else:
            del self._taken[whose]


async def apart(caller: Caller | None, work: Callable[[], T]) -> T:
    """Do `work` off the event loop. What one user asks for is done one after the other: threads are few."""
    whose = "" if caller is None else caller.name
    turn = _turns.get(whose)
    if turn is None:
        turn = _turns[whose] = asyncio.Lock()
    async with turn:
        return await asyncio.to_thread(work)
