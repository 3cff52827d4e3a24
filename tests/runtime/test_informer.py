# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from lichen.kinds.builtin import CONFIG_MAP
from lichen.model.data import Object
from lichen.model.errors import Unavailable
from lichen.model.meta import name_of
from lichen.model.state import Event, EventType, Page
from lichen.runtime.clock import ManualClock, settle
from lichen.runtime.informer import Informer
from lichen.store import MemoryStore
from tests.conformance.state import NS, OTHER, a_map


@asynccontextmanager
async def running(informer: Informer) -> AsyncIterator[list[tuple[EventType, str]]]:
    """The informer at work; yields what it tells."""
    told: list[tuple[EventType, str]] = []
    informer.subscribe(lambda type_, obj, old: told.append((type_, name_of(obj))))
    task = asyncio.create_task(informer.run())
    try:
        yield told
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


class Flaky(MemoryStore):
    """Refuses as many lists and watches as it is told to, and counts them."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.refuse = 0
        self.lists = 0
        self.watches = 0

    def _maybe_refuse(self) -> None:
        if self.refuse:
            self.refuse -= 1
            raise Unavailable("not now")

    async def list(self, *args: Any, **options: Any) -> Page:
        self.lists += 1
        self._maybe_refuse()
        return await super().list(*args, **options)

    async def watch(self, *args: Any, **options: Any) -> AsyncIterator[Event]:
        self.watches += 1
        self._maybe_refuse()
        async for event in super().watch(*args, **options):
            yield event

    def cut(self) -> None:
        """Break all watches, as a restarting server does."""
        for watcher in self._watchers():
            watcher.fail(Unavailable("restarting"))


async def test_informer_knows_what_is_there_and_what_comes() -> None:
    store = MemoryStore()
    await store.create(CONFIG_MAP, a_map("one"))
    informer = Informer(store, CONFIG_MAP, clock=ManualClock())
    async with running(informer) as told:
        await informer.synced()
        await store.create(CONFIG_MAP, a_map("two", OTHER))
        await store.patch(CONFIG_MAP, "one", NS, {"data": {"k": "v"}})
        await store.delete(CONFIG_MAP, "two", OTHER)
        await informer.caught_up(store.revision)
        assert list(informer.items) == [(NS, "one")]
        assert informer.get("one", NS) == await store.get(CONFIG_MAP, "one", NS)
        assert told == [("ADDED", "one"), ("ADDED", "two"), ("MODIFIED", "one"), ("DELETED", "two")]


async def test_indexes_follow_changes() -> None:
    store = MemoryStore()
    informer = Informer(store, CONFIG_MAP, clock=ManualClock())
    informer.add_index("colour", lambda obj: [obj["data"].get("colour", "")])
    async with running(informer):
        await store.create(CONFIG_MAP, a_map("one", colour="red"))
        await store.create(CONFIG_MAP, a_map("two", colour="red"))
        await store.patch(CONFIG_MAP, "one", NS, {"data": {"colour": "blue"}})
        await informer.caught_up(store.revision)
        assert [name_of(o) for o in informer.by_index("colour", "red")] == ["two"]
        informer.add_index("name", lambda obj: [name_of(obj)])
        assert [name_of(o) for o in informer.by_index("name", "one")] == ["one"]
        await store.delete(CONFIG_MAP, "two", NS)
        await informer.caught_up(store.revision)
        assert informer.by_index("colour", "red") == []


async def test_a_late_subscriber_is_told_what_is_known_and_can_leave() -> None:
    store, told = MemoryStore(), list[str]()
    informer = Informer(store, CONFIG_MAP, clock=ManualClock())
    await store.create(CONFIG_MAP, a_map("one"))
    async with running(informer):
        await informer.synced()
        leave = informer.subscribe(lambda type_, obj, old: told.append(name_of(obj)))
        leave()
        await store.create(CONFIG_MAP, a_map("two"))
        await informer.caught_up(store.revision)
    assert told == ["one"]


async def test_selectors_and_namespace_limit_what_is_known() -> None:
    store = MemoryStore()
    for name, namespace, labels in (("a", NS, {"x": "1"}), ("b", NS, {}), ("c", OTHER, {"x": "1"})):
        await store.create(CONFIG_MAP, a_map(name, namespace, labels))
    informer = Informer(store, CONFIG_MAP, NS, labels="x=1", clock=ManualClock())
    async with running(informer) as told:
        await informer.synced()
        assert list(informer.items) == [(NS, "a")]
        await store.patch(CONFIG_MAP, "a", NS, {"metadata": {"labels": {"x": None}}})
        await settle()
        assert told == [("ADDED", "a"), ("DELETED", "a")]


async def test_a_broken_watch_resumes_without_listing_again() -> None:
    store, clock = Flaky(), ManualClock()
    informer = Informer(store, CONFIG_MAP, clock=clock)
    async with running(informer) as told:
        await store.create(CONFIG_MAP, a_map("one"))
        await informer.caught_up(store.revision)
        store.refuse = 3
        store.cut()
        await settle()
        await store.create(CONFIG_MAP, a_map("two"))
        await clock.run(60)
        assert told == [("ADDED", "one"), ("ADDED", "two")]
        assert (store.lists, store.watches) == (1, 5)


async def test_after_expiry_it_lists_again_and_tells_only_what_changed() -> None:
    store, clock = Flaky(), ManualClock()
    for name in ("same", "changed", "gone"):
        await store.create(CONFIG_MAP, a_map(name))
    informer = Informer(store, CONFIG_MAP, clock=clock)
    async with running(informer) as told:
        await informer.synced()
        told.clear()
        store.refuse = 1
        store.cut()
        await settle()
        await store.delete(CONFIG_MAP, "gone", NS)
        await store.patch(CONFIG_MAP, "changed", NS, {"data": {"k": "v"}})
        await store.create(CONFIG_MAP, a_map("new"))
        store.compact(store.revision)
        await clock.run(60)
        assert sorted(told) == [("ADDED", "new"), ("DELETED", "gone"), ("MODIFIED", "changed")]
        assert store.lists == 2


async def test_a_failing_subscriber_does_not_stop_the_others() -> None:
    store = MemoryStore()
    informer = Informer(store, CONFIG_MAP, clock=ManualClock())

    def fail(type_: EventType, obj: Object, old: Object | None) -> None:
        raise RuntimeError("oops")

    informer.subscribe(fail)
    async with running(informer) as told:
        await store.create(CONFIG_MAP, a_map("one"))
        await informer.caught_up(store.revision)
        assert told == [("ADDED", "one")]
