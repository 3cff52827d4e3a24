# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from lichen.kinds.builtin import CONFIG_MAP, SECRET
from lichen.model.errors import Permanent, Temporary
from lichen.model.kind import new_object
from lichen.runtime.cache import Key
from lichen.runtime.clock import ManualClock, settle
from lichen.runtime.controller import Reconcile
from lichen.runtime.manager import Manager
from lichen.store import MemoryStore
from tests.conformance.state import NS, a_map


@asynccontextmanager
async def managed(
    store: MemoryStore, clock: ManualClock, reconcile: Reconcile, **options: int
) -> AsyncIterator[Manager]:
    manager = Manager(store, clock)
    manager.control("test", reconcile, CONFIG_MAP, {SECRET: lambda obj: [(NS, obj["metadata"]["name"])]}, **options)
    task = asyncio.create_task(manager.run())
    try:
        await settle()
        yield manager
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_objects_and_what_maps_to_them_are_reconciled() -> None:
    store, clock, seen = MemoryStore(), ManualClock(), list[Key]()

    async def reconcile(key: Key) -> None:
        seen.append(key)

    await store.create(CONFIG_MAP, a_map("one"))
    async with managed(store, clock, reconcile) as manager:
        assert seen == [(NS, "one")]
        await store.create(SECRET, new_object(SECRET, "two", "elsewhere"))
        await settle()
        assert seen == [(NS, "one"), (NS, "two")]
        assert manager.idle


async def test_a_key_is_never_in_two_workers_and_no_change_is_lost() -> None:
    store, clock, running, most, runs = MemoryStore(), ManualClock(), 0, 0, 0

    async def reconcile(key: Key) -> None:
        nonlocal running, most, runs
        running, runs = running + 1, runs + 1
        most = max(most, running)
        await clock.sleep(1)
        running -= 1

    async with managed(store, clock, reconcile, workers=4):
        await store.create(CONFIG_MAP, a_map("one"))
        await settle()
        for number in range(5):
            await store.patch(CONFIG_MAP, "one", NS, {"data": {"n": str(number)}})
        await clock.run(10)
    assert (most, runs) == (1, 2)


async def test_temporary_failures_back_off_and_their_own_delay_is_kept() -> None:
    store, clock, times = MemoryStore(), ManualClock(0.0), list[float]()
    errors: list[Exception] = [Temporary("a"), RuntimeError("b"), Temporary("c", delay=30), Temporary("d")]

    async def reconcile(key: Key) -> None:
        times.append(round(clock.now(), 3))
        if errors:
            raise errors.pop(0)

    async with managed(store, clock, reconcile):
        await store.create(CONFIG_MAP, a_map("one"))
        await clock.run(120)
    assert times == [0.0, 0.1, 0.3, 30.3, 31.1]


async def test_permanent_failure_waits_for_a_change() -> None:
    store, clock, runs = MemoryStore(), ManualClock(), 0

    async def reconcile(key: Key) -> None:
        nonlocal runs
        runs += 1
        if runs == 1:
            raise Permanent("Impossible", "this cannot be")

    async with managed(store, clock, reconcile) as manager:
        await store.create(CONFIG_MAP, a_map("one"))
        await clock.run(3600)
        assert runs == 1
        assert manager.controllers[0].refused[NS, "one"].reason == "Impossible"
        await store.patch(CONFIG_MAP, "one", NS, {"data": {"k": "v"}})
        await settle()
        assert (runs, manager.controllers[0].refused) == (2, {})


async def test_requeue_after_looks_again_in_time() -> None:
    store, clock, times = MemoryStore(), ManualClock(0.0), list[float]()

    async def reconcile(key: Key) -> float:
        times.append(clock.now())
        return 10.0

    async with managed(store, clock, reconcile):
        await store.create(CONFIG_MAP, a_map("one"))
        await clock.run(25)
    assert times == [0.0, 10.0, 20.0]
