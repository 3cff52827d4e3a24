# SPDX-License-Identifier: Apache-2.0
"""Wrong passwords in a row lock a user out, where its domain's rules say so. The count outlives a restart."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from lichen.kernel.access import Clock
from lichen.kernel.identity.kept import Kept
from lichen.kernel.identity.password_rules import has
from lichen.kinds.identity.domain import PasswordRules
from lichen.model.data import Object
from lichen.model.meta import name_of, uid_of
from lichen.model.state import State


def kept_name(user_name: str) -> str:
    """The Secret with a user's failed attempts."""
    return f"lockout-{user_name}"


class Lockout:
    """Counts by user. In Secret `lockout-<user>`: `<how many> <when the last was, unix seconds>`."""

    def __init__(self, store: State, clock: Clock) -> None:
        self._kept = Kept(store)
        self._clock = clock
        self._turns: dict[str, asyncio.Lock] = {}

    @contextlib.asynccontextmanager
    async def turn(self, user: Object, rules: PasswordRules) -> AsyncIterator[bool]:
        """One attempt after the other, so that many at once count as many; whether this one may be made."""
        if not rules.lockout_attempts or has(user, "ignore_lockout_failure_attempts"):
            yield True
            return
        async with self._turns.setdefault(uid_of(user), asyncio.Lock()):
            yield not await self._is_locked(user, rules)

    async def failed(self, user: Object, rules: PasswordRules) -> None:
        """One more wrong password; only within `turn`."""
        if rules.lockout_attempts and not has(user, "ignore_lockout_failure_attempts"):
            count, at = await self._read(user)
            over = rules.lockout_seconds and at + rules.lockout_seconds <= self._clock.now()
            count = 1 if count >= rules.lockout_attempts and over else count + 1
            await self._kept.put(kept_name(name_of(user)), uid_of(user), f"{count} {self._clock.now()}")

    async def passed(self, user: Object) -> None:
        """The password was right, or is a new one: all begins anew."""
        if (await self._read(user))[0]:
            await self._kept.remove(kept_name(name_of(user)))

    async def _is_locked(self, user: Object, rules: PasswordRules) -> bool:
        count, at = await self._read(user)
        ended = rules.lockout_seconds and at + rules.lockout_seconds <= self._clock.now()
        return count >= rules.lockout_attempts and not ended

    async def _read(self, user: Object) -> tuple[int, float]:
        count, _, at = (await self._kept.get(kept_name(name_of(user)), uid_of(user)) or "0 0").partition(" ")
        return int(count), float(at)
