# SPDX-License-Identifier: Apache-2.0
"""Any history of writes: each moment that the window reaches can be listed, and watched from, as it really was."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lichen.kinds.builtin import CONFIG_MAP, SECRET
from lichen.model.errors import AlreadyExists, Expired, NotFound
from lichen.model.kind import Kind, new_object
from lichen.model.meta import name_of
from lichen.model.state import EventType
from lichen.store import MemoryStore, SqliteStore, Store, Window, engine
from lichen.store.codec import decode
from lichen.store.paging import pack

Snapshot = dict[tuple[str, str], Any]
OPERATIONS = st.lists(
    st.tuples(
        st.sampled_from(["create", "patch", "delete"]),
        st.sampled_from([CONFIG_MAP, CONFIG_MAP, SECRET]),
        st.sampled_from(["n1", "n2"]),
        st.sampled_from("abcde"),
        st.sampled_from(["red", "blue"]),
    ),
    max_size=60,
)


async def do(store: Store, verb: str, kind: Kind, namespace: str, name: str, colour: str) -> None:
    try:
        if verb == "create":
            await store.create(kind, new_object(kind, name, namespace, labels={"colour": colour}))
        elif verb == "patch":
            await store.patch(kind, name, namespace, {"metadata": {"labels": {"colour": colour}}})
        else:
            await store.delete(kind, name, namespace)
    except (AlreadyExists, NotFound):
        pass


async def snapshot(store: Store, labels: str = "") -> Snapshot:
    return {place(o): o for o in (await store.list(CONFIG_MAP, labels=labels)).items}


def place(obj: Any) -> tuple[str, str]:
    return obj["metadata"]["namespace"], obj["metadata"]["name"]


async def replayed(store: Store, start: Snapshot, since: int, labels: str) -> Snapshot:
    state = dict(start)
    watcher = store.watch_raw(CONFIG_MAP, since=since, labels=labels, bookmarks=True)
    watcher.revision = -1
    watcher.bookmark(store.revision)
    async for type_, raw, _ in watcher:
        if type_ is EventType.BOOKMARK:
            break
        obj = decode(raw)
        if type_ is EventType.DELETED:
            del state[place(obj)]
        else:
            assert (type_ is EventType.MODIFIED) == (place(obj) in state)
            state[place(obj)] = obj
    await watcher.aclose()
    return state


async def check(store: Store, moments: dict[int, tuple[Snapshot, Snapshot]]) -> None:
    now, red = await snapshot(store), await snapshot(store, "colour=red")
    for revision, (then, red_then) in moments.items():
        if revision < store.compacted:
            continue
        page = await store.list(CONFIG_MAP, limit=1000, continue_token=pack(revision, ""))
        assert page.items == [then[key] for key in sorted(then)]
        assert await replayed(store, then, revision, "") == now
        assert await replayed(store, red_then, revision, "colour=red") == red


@settings(max_examples=40, deadline=None)
@given(OPERATIONS)
def test_every_moment_in_the_window_is_listed_and_replayed_in_memory(operations: list[Any]) -> None:
    async def run() -> None:
        store = MemoryStore(Window(changes=25))
        moments: dict[int, tuple[Snapshot, Snapshot]] = {0: ({}, {})}
        for operation in operations:
            await do(store, *operation)
            moments[store.revision] = (await snapshot(store), await snapshot(store, "colour=red"))
        await check(store, moments)
        await store.close()

    asyncio.run(run())


@settings(max_examples=15, deadline=None)
@given(OPERATIONS)
def test_every_moment_in_the_window_outlives_the_process(operations: list[Any]) -> None:
    async def run(path: Path) -> None:
        moments: dict[int, tuple[Snapshot, Snapshot]] = {0: ({}, {})}
        for third in (operations[::3], operations[1::3], operations[2::3]):
            store = await SqliteStore.open(path, Window(changes=25))
            for operation in third:
                await do(store, *operation)
                moments[store.revision] = (await snapshot(store), await snapshot(store, "colour=red"))
            await store.close()
        store = await SqliteStore.open(path, Window(changes=25))
        await check(store, moments)
        await store.close()

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(run(Path(folder, "s.db")))


async def test_a_list_whose_moment_is_forgotten_goes_on_with_what_is_there_now() -> None:
    store = MemoryStore()
    for name in "abcde":
        await store.create(CONFIG_MAP, new_object(CONFIG_MAP, name, "n"))
    first = await store.list(CONFIG_MAP, "n", limit=2)
    await store.delete(CONFIG_MAP, "c", "n")
    store.compact(store.revision)
    with pytest.raises(Expired) as refusal:
        await store.list(CONFIG_MAP, "n", limit=2, continue_token=first.continue_token)
    second = await store.list(CONFIG_MAP, "n", limit=1, continue_token=refusal.value.continue_token)
    assert ([name_of(o) for o in second.items], second.revision, second.remaining) == (["d"], store.revision, 1)
    await store.delete(CONFIG_MAP, "e", "n")
    last = await store.list(CONFIG_MAP, "n", limit=1, continue_token=second.continue_token)
    assert ([name_of(o) for o in last.items], last.revision) == (["e"], second.revision)


async def paged(store: Store, first: Any) -> list[Any]:
    """The items of a list that began with `first`, to its end."""
    items = list(first.items)
    token = first.continue_token
    while token:
        page = await store.list(CONFIG_MAP, limit=2, continue_token=token)
        items, token = items + page.items, page.continue_token
    return items


@settings(max_examples=40, deadline=None)
@given(OPERATIONS, OPERATIONS, st.integers(1, 6))
def test_a_list_that_has_begun_ends_as_it_was_however_much_changes(
    before: list[Any], since: list[Any], few: int
) -> None:
    async def run() -> None:
        store = MemoryStore(Window(changes=few))
        for operation in before:
            await do(store, *operation)
        begun = []
        for operation in since:
            whole, first = (await store.list(CONFIG_MAP)).items, await store.list(CONFIG_MAP, limit=1)
            begun.append((whole, first))
            await do(store, *operation)
        for whole, first in begun:
            assert await paged(store, first) == whole
        await store.close()

    asyncio.run(run())


async def a_list_under_way(window: Window) -> tuple[Store, str]:
    """Three objects, of which one was shown."""
    store = MemoryStore(window)
    for name in "abc":
        await store.create(CONFIG_MAP, new_object(CONFIG_MAP, name, "n"))
    return store, (await store.list(CONFIG_MAP, limit=1)).continue_token


async def test_a_list_lives_five_minutes_and_not_much_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(engine, "monotonic", lambda: now)
    store, token = await a_list_under_way(Window(changes=10))
    for now in range(1000, 1300, 3):
        await store.create(SECRET, new_object(SECRET, f"s{now}", "n"))
    assert [name_of(o) for o in (await store.list(CONFIG_MAP, continue_token=token)).items] == ["b", "c"]
    for now in range(1300, 1375, 3):
        await store.create(SECRET, new_object(SECRET, f"s{now}", "n"))
    with pytest.raises(Expired, match="go on from here") as refusal:
        await store.list(CONFIG_MAP, continue_token=token)
    await store.delete(CONFIG_MAP, "b", "n")
    rest = await store.list(CONFIG_MAP, continue_token=refusal.value.continue_token)
    assert [name_of(o) for o in rest.items] == ["c"]


async def test_history_ends_after_five_minutes_though_little_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(engine, "monotonic", lambda: now)
    store, _ = await a_list_under_way(Window())
    now = 1299.0
    await store.delete(CONFIG_MAP, "a", "n")
    assert store.compacted == 0
    now = 1361.0
    await store.delete(CONFIG_MAP, "b", "n")
    assert (store.compacted, store.revision) == (1, 5)


async def test_what_lists_hold_has_a_bound() -> None:
    store, token = await a_list_under_way(Window(changes=1, held_bytes=5000))
    for number in range(50):
        await store.create(CONFIG_MAP, new_object(CONFIG_MAP, f"m{number}", "n"))
    with pytest.raises(Expired):
        await store.list(CONFIG_MAP, continue_token=token)


async def test_no_more_than_some_lists_are_held() -> None:
    store, token = await a_list_under_way(Window(changes=1))
    for number in range(70):
        await store.create(CONFIG_MAP, new_object(CONFIG_MAP, f"m{number}", "n"))
        newest = await store.list(CONFIG_MAP, limit=1)
    with pytest.raises(Expired):
        await store.list(CONFIG_MAP, continue_token=token)
    assert len(await paged(store, newest)) == 73
