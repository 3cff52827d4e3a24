# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
import json

import pytest

from lichen.kinds.builtin import CONFIG_MAP
from lichen.model.errors import Expired, Unavailable
from lichen.store import MemoryStore, Window
from lichen.store.watching import BEHIND, ENOUGH
from tests.conformance.state import NS, a_map


async def test_all_watchers_share_one_event_and_its_line() -> None:
    store = MemoryStore()
    first, second = store.watch_raw(CONFIG_MAP, NS), store.watch_raw(CONFIG_MAP, labels="suite", bookmarks=False)
    stored = await store.put(CONFIG_MAP, a_map("one"), 0)
    event, other = await anext(first), await anext(second)
    type_, raw, revision = event
    assert (type_, raw, revision) == ("ADDED", stored.raw, stored.revision)
    assert event.raw is other.raw
    assert json.loads(event.line) == {"type": "ADDED", "object": stored.object}


async def test_a_watcher_too_slow_for_its_buffer_is_expired_and_others_are_not() -> None:
    store = MemoryStore(watch_buffer=10)
    slow, fast = store.watch_raw(CONFIG_MAP), store.watch_raw(CONFIG_MAP)
    for number in range(11):
        await store.create(CONFIG_MAP, a_map(f"m{number}"))
        await anext(fast)
    with pytest.raises(Expired):
        await anext(slow)
    await store.create(CONFIG_MAP, a_map("more"))
    assert (await anext(fast)).type == "ADDED"


async def test_a_watch_that_is_many_bytes_behind_is_closed_and_holds_nothing() -> None:
    store = MemoryStore()
    watcher = store.watch_raw(CONFIG_MAP)
    await store.create(CONFIG_MAP, a_map("m"))
    for number in range(BEHIND // (1 << 20) + 2):
        await store.patch(CONFIG_MAP, "m", NS, {"data": {"a": f"{number}" * (1 << 20)}})
    with pytest.raises(Expired):
        await watcher.batch()


async def test_a_batch_of_large_events_is_short() -> None:
    store = MemoryStore()
    for number in range(8):
        await store.create(CONFIG_MAP, {**a_map(f"m{number}"), "data": {"a": "x" * (ENOUGH // 2)}})
    watcher = store.watch_raw(CONFIG_MAP)
    for number in range(8):
        await store.patch(CONFIG_MAP, f"m{number}", NS, {"data": {"b": ""}})
    sizes = [len(await watcher.batch(1000)) for _ in range(8)]
    assert sizes == [2] * 8


async def test_a_large_beginning_does_not_count_as_being_slow() -> None:
    store = MemoryStore(watch_buffer=10)
    for number in range(100):
        await store.create(CONFIG_MAP, a_map(f"m{number:02}"))
    watcher = store.watch_raw(CONFIG_MAP)
    await store.create(CONFIG_MAP, a_map("more"))
    events = [*await watcher.batch(1000), *await watcher.batch()]
    assert len(events) == 101
    assert events[-1].revision == store.revision


async def test_a_closed_watch_ends_and_a_waiting_reader_is_woken() -> None:
    store = MemoryStore()
    watcher = store.watch_raw(CONFIG_MAP)
    reader = asyncio.create_task(anext(watcher, "ended"))  # type: ignore[arg-type]
    await asyncio.sleep(0)
    await watcher.aclose()
    assert await reader == "ended"
    assert not store.table(CONFIG_MAP).watchers


async def test_closing_the_store_ends_watches_as_unavailable() -> None:
    store = MemoryStore()
    watcher = store.watch_raw(CONFIG_MAP)
    await store.close()
    with pytest.raises(Unavailable):
        await anext(watcher)


async def test_progress_tells_a_quiet_watcher_the_present_revision() -> None:
    store = MemoryStore()
    watcher = store.watch_raw(CONFIG_MAP, "quiet", since=0, bookmarks=True)
    await store.create(CONFIG_MAP, a_map("one"))
    store.progress()
    store.progress()
    bookmark = await anext(watcher)
    assert (bookmark.type, bookmark.revision) == ("BOOKMARK", store.revision)
    assert json.loads(bookmark.raw) == {
        "kind": "ConfigMap", "apiVersion": "v1", "metadata": {"resourceVersion": str(store.revision)},
    }  # fmt: skip
    assert not watcher._buffer


async def test_a_revision_of_the_future_is_expired() -> None:
    with pytest.raises(Expired):
        MemoryStore().watch_raw(CONFIG_MAP, since=7)


async def test_window_is_bounded_by_count_and_by_superseded_bytes() -> None:
    store = MemoryStore(Window(changes=5, superseded_bytes=1 << 20))
    for number in range(9):
        await store.create(CONFIG_MAP, a_map(f"m{number}"))
    assert (store.revision, store.compacted) == (9, 4)
    store = MemoryStore(Window(changes=1000, superseded_bytes=5000))
    await store.create(CONFIG_MAP, a_map("one", text="x" * 1000))
    for number in range(20):
        await store.patch(CONFIG_MAP, "one", NS, {"data": {"n": str(number)}})
    assert store.revision - store.compacted == 3
