# SPDX-License-Identifier: Apache-2.0
"""Passwords: a slow hash (scrypt) off the event loop, and a short memory of what was verified."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import os
import secrets
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from lichen.kernel.access import Clock
from lichen.model.errors import TooManyRequests

MAX_LENGTH = 4096
MAX_WAITING = 64
REMEMBER_SECONDS = 300.0
REMEMBERED = 10_000


@dataclass(frozen=True, slots=True)
class Cost:
    """scrypt's parameters; 16 MiB and five passes, about a fifth of a second."""

    n: int = 1 << 14
    r: int = 8
    p: int = 5


class Passwords:
    """Hashes and verifies. A right password, also one that was just set, is remembered for five minutes as a keyed
    digest, in memory only, bound to the stored hash, so that a changed password is refused at once."""

    def __init__(self, key: bytes, clock: Clock, cost: Cost = Cost()) -> None:
        self._key = key
        self._clock = clock
        self._cost = cost
        self._threads = ThreadPoolExecutor(min(4, os.cpu_count() or 1), "scrypt")
        self._waiting = 0
        self._verified: dict[bytes, float] = {}
        self._decoy = _format(cost, secrets.token_bytes(16), secrets.token_bytes(32))

    async def hash(self, password: str) -> str:
        """`scrypt$n$r$p$salt$hash`. TooManyRequests: too many are being hashed."""
        salt = secrets.token_bytes(16)
        stored = _format(self._cost, salt, await self._scrypt(password, salt, self._cost, 32))
        self._remember(self._digest(password, stored))
        return stored

    async def matches(self, password: str, stored: str | None) -> bool:
        """Whether it is the password behind `stored`; without one it takes as long and is wrong."""
        if len(password) > MAX_LENGTH:
            return False
        digest = self._digest(password, stored)
        if self._verified.get(digest, 0.0) > self._clock.now():
            return True
        cost, salt, expected = _parse(stored or self._decoy)
        same = hmac.compare_digest(await self._scrypt(password, salt, cost, len(expected)), expected)
        if stored is None or not same:
            return False
        self._remember(digest)
        return True

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _digest(self, password: str, stored: str | None) -> bytes:
        return hmac.digest(self._key, f"{stored}\0{password}".encode("utf-8", "surrogatepass"), "sha256")

    def _remember(self, digest: bytes) -> None:
        if len(self._verified) >= REMEMBERED:
            self._verified.clear()
        self._verified[digest] = self._clock.now() + REMEMBER_SECONDS

    async def _scrypt(self, password: str, salt: bytes, cost: Cost, length: int) -> bytes:
        if self._waiting >= MAX_WAITING:
            raise TooManyRequests("Too many passwords are being checked; try again.", retry_after=1)
        self._waiting += 1
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._threads, _derive, password, salt, cost, length)
        finally:
            self._waiting -= 1


def _derive(password: str, salt: bytes, cost: Cost, length: int) -> bytes:
    memory = 128 * cost.r * (cost.n + cost.p + 2) + (1 << 16)
    secret = password.encode("utf-8", "surrogatepass")
    return hashlib.scrypt(secret, salt=salt, n=cost.n, r=cost.r, p=cost.p, maxmem=memory, dklen=length)


def _format(cost: Cost, salt: bytes, digest: bytes) -> str:
    encoded = (base64.b64encode(part).decode() for part in (salt, digest))
    return "$".join(("scrypt", str(cost.n), str(cost.r), str(cost.p), *encoded))


def _parse(stored: str) -> tuple[Cost, bytes, bytes]:
    _, n, r, p, salt, digest = stored.split("$")
    return Cost(int(n), int(r), int(p)), base64.b64decode(salt), base64.b64decode(digest)
