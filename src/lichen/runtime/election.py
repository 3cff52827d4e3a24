# SPDX-License-Identifier: Apache-2.0
"""Leader election by a Lease, as Kubernetes does it: whoever holds and renews the lease leads.

An identity should be the same after a restart of its process: it then takes its own lease back without waiting.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass

from lichen.kinds.builtin import LEASE
from lichen.model.data import Object
from lichen.model.errors import AlreadyExists, ApiError, Conflict, NotFound
from lichen.model.kind import new_object
from lichen.model.meta import revision_of
from lichen.model.metrics import LEADING
from lichen.model.state import State
from lichen.planning.times import rfc3339_micro
from lichen.runtime.clock import Clock

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Terms:
    """Seconds: a lease not renewed for `duration` is free; it is renewed every `renew`; after an error, `retry`."""

    duration: float = 15.0
    renew: float = 5.0
    retry: float = 2.0


def claim(lease: Object, identity: str, terms: Terms, now: float) -> Object:
    """The lease as `identity` would hold it from now on."""
    spec = lease.get("spec") or {}
    mine = spec.get("holderIdentity") == identity
    moment = rfc3339_micro(now)
    held = {
        "holderIdentity": identity,
        "leaseDurationSeconds": int(terms.duration),
        "acquireTime": spec.get("acquireTime", moment) if mine else moment,
        "renewTime": moment,
        "leaseTransitions": spec.get("leaseTransitions", 0 if mine else -1) + (0 if mine else 1),
    }
    return {**lease, "spec": {**spec, **held}}


class Election:
    """`run(lead)` runs `lead` while this identity holds the lease, and cancels it when the lease is lost."""

    def __init__(
        self,
        state: State,
        clock: Clock,
        namespace: str,
        name: str,
        identity: str,
        terms: Terms = Terms(),
    ) -> None:
        self.identity = identity
        self._state = state
        self._clock = clock
        self._namespace = namespace
        self._name = name
        self._terms = terms
        self._seen: tuple[int, float] = (0, 0.0)
        self._renewed = 0.0

    async def run(self, lead: Callable[[], Awaitable[None]]) -> None:
        """Lead whenever possible, until cancelled or until `lead` returns or fails."""
        while True:
            await self._acquire()
            log.info("%s leads %s", self.identity, self._name)
            with LEADING.reading(lambda: [((self._name,), 1.0)]):
                ended = await self._hold(lead)
            if ended:
                return
            log.warning("%s lost %s", self.identity, self._name)

    async def _acquire(self) -> None:
        while True:
            try:
                wait, revision = await self._try()
            except (ApiError, OSError) as error:
                log.info("%s: %s", self._name, error)
                await self._clock.sleep(self._terms.retry)
                continue
            if wait <= 0:
                return
            await self._changed(revision, wait)

    async def _try(self) -> tuple[float, int]:
        """Take or renew the lease if it is ours or free: 0, else the seconds until it may be free, and its revision."""
        now = self._clock.now()
        try:
            lease = await self._state.get(LEASE, self._name, self._namespace)
        except NotFound:
            lease = new_object(LEASE, self._name, self._namespace)
        wait = self._held_by_another(lease, now)
        if wait > 0:
            return wait, revision_of(lease)
        wanted = claim(lease, self.identity, self._terms, now)
        try:
            write = self._state.update if revision_of(lease) else self._state.create
            await write(LEASE, wanted)
        except (Conflict, AlreadyExists):
            return self._terms.retry, revision_of(lease)
        self._renewed = now
        return 0.0, 0

    def _held_by_another(self, lease: Object, now: float) -> float:
        """Seconds until another's lease is free, by this clock: from when its last renewal was first seen here."""
        holder = (lease.get("spec") or {}).get("holderIdentity")
        if not holder or holder == self.identity:
            return 0.0
        if self._seen[0] != revision_of(lease):
            self._seen = (revision_of(lease), now)
        return self._seen[1] + float(lease["spec"].get("leaseDurationSeconds") or 0) - now

    async def _changed(self, revision: int, seconds: float) -> None:
        watch = asyncio.create_task(self._next_change(revision))
        sleep = asyncio.create_task(self._clock.sleep(seconds))
        try:
            await asyncio.wait([watch, sleep], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (watch, sleep):
                task.cancel()
            await asyncio.gather(watch, sleep, return_exceptions=True)

    async def _next_change(self, revision: int) -> None:
        fields = f"metadata.name={self._name}"
        try:
            events = self._state.watch(LEASE, self._namespace, fields=fields, since=revision)
            async with aclosing(events):  # type: ignore[type-var]
                await anext(events)
        except (ApiError, OSError, StopAsyncIteration):
            await self._clock.sleep(self._terms.retry)

    async def _hold(self, lead: Callable[[], Awaitable[None]]) -> bool:
        """True: `lead` came to its end. False: the lease was lost."""
        leading = asyncio.ensure_future(lead())
        renewing = asyncio.create_task(self._renew())
        try:
            await asyncio.wait([leading, renewing], return_when=asyncio.FIRST_COMPLETED)
            if leading.done():
                await leading
                return True
            return False
        finally:
            for task in (leading, renewing):
                task.cancel()
            await asyncio.gather(leading, renewing, return_exceptions=True)
            if not (renewing.done() and not renewing.cancelled()):
                await self._release()

    async def _renew(self) -> None:
        """Returns when the lease is lost: taken by another, or not renewed in time."""
        pause = self._terms.renew
        while True:
            await self._clock.sleep(pause)
            try:
                wait, _ = await self._try()
                if wait > 0:
                    return
                pause = self._terms.renew
            except (ApiError, OSError) as error:
                log.info("%s: cannot renew: %s", self._name, error)
                if self._clock.now() - self._renewed + self._terms.retry >= self._terms.duration:
                    return
                pause = self._terms.retry

    async def _release(self) -> None:
        """Let the next one lead at once."""
        with suppress(ApiError, OSError):
            lease = await self._state.get(LEASE, self._name, self._namespace)
            if (lease.get("spec") or {}).get("holderIdentity") == self.identity:
                await self._state.update(LEASE, {**lease, "spec": {**lease["spec"], "holderIdentity": ""}})
