# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from lichen.kinds.builtin import LEASE
from lichen.model.errors import Unavailable
from lichen.runtime.clock import ManualClock, settle
from lichen.runtime.election import Election
from lichen.store import MemoryStore


class Candidate:
    def __init__(self, store: MemoryStore, clock: ManualClock, name: str) -> None:
        self.leads = 0
        self.is_leading = False
        self.task = asyncio.create_task(Election(store, clock, "lichen-system", "test", name).run(self._lead()))

    def _lead(self) -> Callable[[], Awaitable[None]]:
        async def lead() -> None:
            self.leads, self.is_leading = self.leads + 1, True
            try:
                await asyncio.Event().wait()
            finally:
                self.is_leading = False

        return lead

    async def stop(self) -> None:
        self.task.cancel()
        with suppress(asyncio.CancelledError):
            await self.task


async def test_one_leads_and_the_next_follows_at_once_when_it_leaves() -> None:
    store, clock = MemoryStore(), ManualClock()
    first = Candidate(store, clock, "first")
    await settle()
    second = Candidate(store, clock, "second")
    await clock.run(120)
    assert (first.is_leading, second.is_leading) == (True, False)
    await first.stop()
    await settle()
    assert second.is_leading
    lease = await store.get(LEASE, "test", "lichen-system")
    assert (lease["spec"]["holderIdentity"], lease["spec"]["leaseTransitions"]) == ("second", 1)
    await second.stop()


async def test_a_lease_that_is_not_renewed_is_free_after_its_duration() -> None:
    store, clock = MemoryStore(), ManualClock()
    spec = {"holderIdentity": "dead", "leaseDurationSeconds": 15}
    metadata = {"name": "test", "namespace": "lichen-system"}
    await store.create(LEASE, {"metadata": metadata, "spec": spec})
    heir = Candidate(store, clock, "heir")
    await clock.run(14)
    assert not heir.is_leading
    await clock.run(2)
    assert heir.is_leading
    await heir.stop()


async def test_the_same_identity_takes_its_lease_back_without_waiting() -> None:
    store, clock = MemoryStore(), ManualClock()
    spec = {"holderIdentity": "me", "leaseDurationSeconds": 15}
    await store.create(LEASE, {"metadata": {"name": "test", "namespace": "lichen-system"}, "spec": spec})
    again = Candidate(store, clock, "me")
    await settle()
    assert again.is_leading
    await again.stop()


async def test_who_loses_the_lease_stops_leading() -> None:
    store, clock = MemoryStore(), ManualClock()
    leader = Candidate(store, clock, "leader")
    await settle()
    await store.patch(LEASE, "test", "lichen-system", {"spec": {"holderIdentity": "thief"}})
    await clock.run(6)
    assert not leader.is_leading
    await clock.run(60)
    assert (leader.is_leading, leader.leads) == (True, 2)
    await leader.stop()


async def test_who_cannot_renew_stops_before_another_may_lead() -> None:
    class Broken(MemoryStore):
        broken = False

        async def get_raw(self, *args: object) -> bytes:
            if self.broken:
                raise Unavailable("gone")
            return await super().get_raw(*args)  # type: ignore[arg-type]

    store, clock = Broken(), ManualClock()
    leader = Candidate(store, clock, "leader")
    await clock.run(5)
    store.broken = True
    await clock.run(14.9)
    assert not leader.is_leading
    await leader.stop()
