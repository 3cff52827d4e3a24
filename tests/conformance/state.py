# SPDX-License-Identifier: Apache-2.0
"""What every State must do: stores, kernel sessions and the HTTP client run this same suite.

    class TestMemoryStore(StateConformance):
        @pytest.fixture
        async def state(self):                # a fresh State
            ...

        @pytest.fixture
        def compact(self, state):             # async callable: forget all history before now
            ...

The State needs no more than ConfigMaps, PriorityClasses, Nodes and Namespaces.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Any

import pytest

from lichen.kinds.builtin import CONFIG_MAP, NAMESPACE, NODE, PRIORITY_CLASS
from lichen.model.data import Object
from lichen.model.errors import AlreadyExists, BadRequest, Conflict, Expired, NotFound
from lichen.model.kind import new_object
from lichen.model.meta import name_of, revision_of
from lichen.model.state import Event, EventType, Preconditions, State

NS, OTHER = "conformance-a", "conformance-b"
LABEL = {"suite": "conformance"}
ADDED, MODIFIED, DELETED = EventType.ADDED, EventType.MODIFIED, EventType.DELETED
Compact = Callable[[], Awaitable[None]]


def a_map(name: str, namespace: str = NS, labels: dict[str, str] | None = None, **data: str) -> Object:
    obj = new_object(CONFIG_MAP, name, namespace, labels={**LABEL, **(labels or {})})
    return {**obj, "data": data}


def a_class(name: str, value: int = 1) -> Object:
    return {**new_object(PRIORITY_CLASS, name), "value": value}


async def take(events: AsyncIterator[Event], count: int) -> list[Event]:
    """The next `count` events."""
    async with asyncio.timeout(10):
        return [await anext(events) for _ in range(count)]


def brief(events: list[Event]) -> list[tuple[EventType, str]]:
    return [(e.type, name_of(e.object)) for e in events]


def watching(state: State, **options: Any) -> Any:
    """A watch of the suite's ConfigMaps that is closed at the end of the block."""
    return aclosing(state.watch(CONFIG_MAP, NS, **options))  # type: ignore[type-var]


class StateConformance:
    """Subclasses give the fixtures `state` and `compact`."""

    @pytest.fixture(autouse=True)
    async def namespaces(self, state: State) -> None:
        for name in (NS, OTHER):
            await state.create(NAMESPACE, new_object(NAMESPACE, name))

    # Objects

    async def test_created_object_is_read_back_with_its_identity(self, state: State) -> None:
        created = await state.create(CONFIG_MAP, a_map("one", key="value"))
        assert created["data"] == {"key": "value"}
        assert len(created["metadata"]["uid"]) == 36
        assert created["metadata"]["creationTimestamp"].endswith("Z")
        assert revision_of(created) > 0
        assert await state.get(CONFIG_MAP, "one", NS) == created

    async def test_create_leaves_the_callers_object_alone(self, state: State) -> None:
        mine = a_map("one")
        await state.create(CONFIG_MAP, mine)
        assert mine == a_map("one")

    async def test_what_was_returned_can_be_changed_without_effect(self, state: State) -> None:
        await state.create(CONFIG_MAP, a_map("one", key="value"))
        (await state.get(CONFIG_MAP, "one", NS))["data"]["key"] = "mine"
        (await state.list(CONFIG_MAP, NS)).items[0]["data"]["key"] = "mine"
        assert (await state.get(CONFIG_MAP, "one", NS))["data"] == {"key": "value"}

    async def test_a_name_is_taken_once(self, state: State) -> None:
        await state.create(CONFIG_MAP, a_map("one", key="first"))
        with pytest.raises(AlreadyExists):
            await state.create(CONFIG_MAP, a_map("one", key="second"))
        assert (await state.get(CONFIG_MAP, "one", NS))["data"] == {"key": "first"}

    async def test_of_many_simultaneous_creates_of_one_name_one_succeeds(self, state: State) -> None:
        async def attempt(number: int) -> bool:
            try:
                await state.create(CONFIG_MAP, a_map("one", number=str(number)))
            except AlreadyExists:
                return False
            return True

        assert sum(await asyncio.gather(*(attempt(n) for n in range(10)))) == 1

    async def test_the_same_name_is_free_in_another_namespace(self, state: State) -> None:
        await state.create(CONFIG_MAP, a_map("one", key="a"))
        await state.create(CONFIG_MAP, a_map("one", OTHER, key="b"))
        assert (await state.get(CONFIG_MAP, "one", OTHER))["data"] == {"key": "b"}

    async def test_a_name_is_made_from_generate_name(self, state: State) -> None:
        obj = a_map("")
        del obj["metadata"]["name"]
        obj["metadata"]["generateName"] = "made-"
        first, second = await state.create(CONFIG_MAP, obj), await state.create(CONFIG_MAP, obj)
        assert name_of(first).startswith("made-")
        assert name_of(first) != name_of(second)

    async def test_cluster_scoped_objects_have_no_namespace(self, state: State) -> None:
        await state.create(PRIORITY_CLASS, a_class("conformance"))
        found = await state.get(PRIORITY_CLASS, "conformance")
        assert (found["value"], found["metadata"].get("namespace", "")) == (1, "")
        await state.delete(PRIORITY_CLASS, "conformance")

    async def test_absent_objects_are_not_found(self, state: State) -> None:
        with pytest.raises(NotFound):
            await state.get(CONFIG_MAP, "none", NS)
        with pytest.raises(NotFound):
            await state.update(CONFIG_MAP, a_map("none"))
        with pytest.raises(NotFound):
            await state.patch(CONFIG_MAP, "none", NS, {"data": {}})
        with pytest.raises(NotFound):
            await state.delete(CONFIG_MAP, "none", NS)

    # Updates

    async def test_update_replaces_and_keeps_identity(self, state: State) -> None:
        created = await state.create(CONFIG_MAP, a_map("one", old="1"))
        updated = await state.update(CONFIG_MAP, a_map("one", new="2"))
        assert updated["data"] == {"new": "2"}
        assert updated["metadata"]["uid"] == created["metadata"]["uid"]
        assert updated["metadata"]["creationTimestamp"] == created["metadata"]["creationTimestamp"]
        assert revision_of(updated) > revision_of(created)
        assert await state.get(CONFIG_MAP, "one", NS) == updated

    async def test_update_of_a_stale_revision_conflicts(self, state: State) -> None:
        created = await state.create(CONFIG_MAP, a_map("one", key="0"))
        await state.update(CONFIG_MAP, {**created, "data": {"key": "1"}})
        with pytest.raises(Conflict):
            await state.update(CONFIG_MAP, {**created, "data": {"key": "2"}})
        assert (await state.get(CONFIG_MAP, "one", NS))["data"] == {"key": "1"}

    async def test_update_that_changes_nothing_writes_nothing(self, state: State) -> None:
        created = await state.create(CONFIG_MAP, a_map("one", key="0"))
        assert revision_of(await state.update(CONFIG_MAP, created)) == revision_of(created)
        unchanged = await state.patch(CONFIG_MAP, "one", NS, {"data": {"key": "0"}})
        assert revision_of(unchanged) == revision_of(created)

    async def test_concurrent_compare_and_swap_loses_no_update(self, state: State) -> None:
        await state.create(CONFIG_MAP, a_map("one", count="0"))

        async def add_one() -> None:
            while True:
                obj = await state.get(CONFIG_MAP, "one", NS)
                obj["data"]["count"] = str(int(obj["data"]["count"]) + 1)
                try:
                    await state.update(CONFIG_MAP, obj)
                    return
                except Conflict:
                    continue

        await asyncio.gather(*(add_one() for _ in range(8)))
        assert (await state.get(CONFIG_MAP, "one", NS))["data"] == {"count": "8"}

    async def test_merge_patch_merges_and_removes(self, state: State) -> None:
        await state.create(CONFIG_MAP, a_map("one", keep="1", drop="2"))
        patched = await state.patch(CONFIG_MAP, "one", NS, {"data": {"drop": None, "add": "3"}})
        assert patched["data"] == {"keep": "1", "add": "3"}
        assert await state.get(CONFIG_MAP, "one", NS) == patched

    async def test_concurrent_patches_all_take_effect(self, state: State) -> None:
        await state.create(CONFIG_MAP, a_map("one"))
        await asyncio.gather(*(state.patch(CONFIG_MAP, "one", NS, {"data": {f"k{n}": "x"}}) for n in range(8)))
        assert sorted((await state.get(CONFIG_MAP, "one", NS))["data"]) == [f"k{n}" for n in range(8)]

    async def test_patch_with_a_stale_revision_conflicts(self, state: State) -> None:
        created = await state.create(CONFIG_MAP, a_map("one", key="0"))
        revision = created["metadata"]["resourceVersion"]
        await state.patch(CONFIG_MAP, "one", NS, {"data": {"key": "1"}})
        with pytest.raises(Conflict):
            await state.patch(CONFIG_MAP, "one", NS, {"metadata": {"resourceVersion": revision}, "data": {"key": "2"}})

    async def test_status_patch_changes_status_only(self, state: State) -> None:
        await state.create(NODE, new_object(NODE, "conformance"))
        patch = {"spec": {"unschedulable": True}, "status": {"phase": "Running"}}
        patched = await state.patch(NODE, "conformance", "", patch, subresource="status")
        assert patched["status"]["phase"] == "Running"
        assert not (patched.get("spec") or {}).get("unschedulable")

    # Deletion

    async def test_deleted_object_is_gone_and_its_name_free(self, state: State) -> None:
        first = await state.create(CONFIG_MAP, a_map("one", key="value"))
        assert (await state.delete(CONFIG_MAP, "one", NS))["data"] == {"key": "value"}
        with pytest.raises(NotFound):
            await state.get(CONFIG_MAP, "one", NS)
        second = await state.create(CONFIG_MAP, a_map("one"))
        assert second["metadata"]["uid"] != first["metadata"]["uid"]

    async def test_deletion_heeds_its_preconditions(self, state: State) -> None:
        created = await state.create(CONFIG_MAP, a_map("one"))
        for wrong in (Preconditions(uid="another"), Preconditions(resource_version="1")):
            with pytest.raises(Conflict):
                await state.delete(CONFIG_MAP, "one", NS, preconditions=wrong)
        metadata = created["metadata"]
        right = Preconditions(uid=metadata["uid"], resource_version=metadata["resourceVersion"])
        await state.delete(CONFIG_MAP, "one", NS, preconditions=right)

    # Lists

    async def test_list_is_in_order_of_namespace_and_name(self, state: State) -> None:
        for name, namespace in (("b", NS), ("a", OTHER), ("a", NS), ("a-b", NS)):
            await state.create(CONFIG_MAP, a_map(name, namespace))
        everywhere = await state.list(CONFIG_MAP, labels="suite=conformance")
        assert [(o["metadata"]["namespace"], name_of(o)) for o in everywhere.items] == [
            (NS, "a"), (NS, "a-b"), (NS, "b"), (OTHER, "a"),
        ]  # fmt: skip
        assert [name_of(o) for o in (await state.list(CONFIG_MAP, NS)).items] == ["a", "a-b", "b"]
        assert (await state.list(CONFIG_MAP, "conformance-none")).items == []

    async def test_list_selects_by_labels_and_fields(self, state: State) -> None:
        await state.create(CONFIG_MAP, a_map("red", labels={"colour": "red"}))
        await state.create(CONFIG_MAP, a_map("blue", labels={"colour": "blue"}))
        await state.create(CONFIG_MAP, a_map("plain"))

        async def names(**selectors: str) -> list[str]:
            return [name_of(o) for o in (await state.list(CONFIG_MAP, NS, **selectors)).items]

        assert await names(labels="colour=red") == ["red"]
        assert await names(labels="colour in (red,blue)") == ["blue", "red"]
        assert await names(labels="!colour") == ["plain"]
        assert await names(fields="metadata.name=blue") == ["blue"]
        assert await names(labels="colour", fields="metadata.name!=blue") == ["red"]

    async def test_unreadable_selectors_are_refused(self, state: State) -> None:
        with pytest.raises(BadRequest):
            await state.list(CONFIG_MAP, NS, labels="a in b")
        with pytest.raises(BadRequest):
            await state.list(CONFIG_MAP, NS, fields="metadata.name")

    async def test_pages_show_every_object_once_as_of_the_first_page(self, state: State) -> None:
        for name in "abcdef":
            await state.create(CONFIG_MAP, a_map(name))
        first = await state.list(CONFIG_MAP, NS, limit=2)
        assert ([name_of(o) for o in first.items], first.remaining) == (["a", "b"], 4)
        await state.delete(CONFIG_MAP, "d", NS)
        await state.create(CONFIG_MAP, a_map("cc"))
        await state.patch(CONFIG_MAP, "e", NS, {"data": {"changed": "later"}})
        second = await state.list(CONFIG_MAP, NS, limit=3, continue_token=first.continue_token)
        assert [name_of(o) for o in second.items] == ["c", "d", "e"]
        assert not second.items[2].get("data")
        third = await state.list(CONFIG_MAP, NS, limit=3, continue_token=second.continue_token)
        assert ([name_of(o) for o in third.items], third.continue_token, third.remaining) == (["f"], "", 0)
        assert first.revision == second.revision == third.revision

    async def test_pages_hold_up_to_the_limit_of_selected_objects(self, state: State) -> None:
        for number in range(6):
            await state.create(CONFIG_MAP, a_map(f"m{number}", labels={"even": str(number % 2 == 0).lower()}))
        first = await state.list(CONFIG_MAP, NS, labels="even=true", limit=2)
        assert [name_of(o) for o in first.items] == ["m0", "m2"]
        last = await state.list(CONFIG_MAP, NS, labels="even=true", limit=2, continue_token=first.continue_token)
        assert ([name_of(o) for o in last.items], last.continue_token) == (["m4"], "")

    async def test_an_old_continue_token_is_expired(self, state: State, compact: Compact) -> None:
        for name in "abc":
            await state.create(CONFIG_MAP, a_map(name))
        first = await state.list(CONFIG_MAP, NS, limit=1)
        await state.delete(CONFIG_MAP, "b", NS)
        await compact()
        with pytest.raises(Expired):
            await state.list(CONFIG_MAP, NS, limit=1, continue_token=first.continue_token)

    async def test_a_forged_continue_token_is_refused(self, state: State) -> None:
        with pytest.raises(BadRequest):
            await state.list(CONFIG_MAP, NS, limit=1, continue_token="nonsense")

    # Watches

    async def test_watch_without_revision_begins_with_what_is_there(self, state: State) -> None:
        await state.create(CONFIG_MAP, a_map("b"))
        await state.create(CONFIG_MAP, a_map("a"))
        async with watching(state) as events:
            assert sorted(brief(await take(events, 2))) == [(ADDED, "a"), (ADDED, "b")]
            await state.create(CONFIG_MAP, a_map("c"))
            assert brief(await take(events, 1)) == [(ADDED, "c")]

    async def test_watch_tells_every_change_after_a_revision_in_order(self, state: State) -> None:
        await state.create(CONFIG_MAP, a_map("before"))
        since = (await state.list(CONFIG_MAP, NS)).revision
        await state.create(CONFIG_MAP, a_map("one"))
        await state.patch(CONFIG_MAP, "one", NS, {"data": {"key": "1"}})
        async with watching(state, since=since) as events:
            first = await take(events, 2)
            await state.create(CONFIG_MAP, a_map("elsewhere", OTHER))
            await state.delete(CONFIG_MAP, "one", NS)
            await state.create(CONFIG_MAP, a_map("one"))
            told = first + await take(events, 2)
        assert brief(told) == [(ADDED, "one"), (MODIFIED, "one"), (DELETED, "one"), (ADDED, "one")]
        revisions = [revision_of(e.object) for e in told]
        assert revisions == sorted(set(revisions))
        assert told[2].object["data"] == {"key": "1"}

    async def test_watch_can_resume_at_any_event(self, state: State) -> None:
        since = (await state.list(CONFIG_MAP, NS)).revision
        for name in "abcd":
            await state.create(CONFIG_MAP, a_map(name))
        async with watching(state, since=since) as events:
            seen = await take(events, 2)
        async with watching(state, since=revision_of(seen[-1].object)) as events:
            assert brief(await take(events, 2)) == [(ADDED, "c"), (ADDED, "d")]

    async def test_watch_of_a_selector_sees_objects_come_and_go(self, state: State) -> None:
        since = (await state.list(CONFIG_MAP, NS)).revision
        async with watching(state, since=since, labels="colour=red") as events:
            await state.create(CONFIG_MAP, a_map("one", labels={"colour": "blue"}))
            await state.patch(CONFIG_MAP, "one", NS, {"metadata": {"labels": {"colour": "red"}}})
            await state.patch(CONFIG_MAP, "one", NS, {"data": {"key": "1"}})
            left = await state.patch(CONFIG_MAP, "one", NS, {"metadata": {"labels": {"colour": "blue"}}})
            await state.delete(CONFIG_MAP, "one", NS)
            await state.create(CONFIG_MAP, a_map("end", labels={"colour": "red"}))
            told = await take(events, 4)
        assert brief(told) == [(ADDED, "one"), (MODIFIED, "one"), (DELETED, "one"), (ADDED, "end")]
        assert told[2].object["metadata"]["labels"]["colour"] == "red"
        assert revision_of(told[2].object) == revision_of(left)

    async def test_watch_of_a_field_selector_is_of_one_object(self, state: State) -> None:
        since = (await state.list(CONFIG_MAP, NS)).revision
        async with watching(state, since=since, fields="metadata.name=two") as events:
            await state.create(CONFIG_MAP, a_map("one"))
            await state.create(CONFIG_MAP, a_map("two"))
            assert brief(await take(events, 1)) == [(ADDED, "two")]

    async def test_watch_of_all_namespaces_sees_each(self, state: State) -> None:
        since = (await state.list(CONFIG_MAP)).revision
        events = state.watch(CONFIG_MAP, since=since, labels="suite=conformance")
        async with aclosing(events):  # type: ignore[type-var]
            await state.create(CONFIG_MAP, a_map("one"))
            await state.create(CONFIG_MAP, a_map("two", OTHER))
            assert brief(await take(events, 2)) == [(ADDED, "one"), (ADDED, "two")]

    async def test_many_watchers_see_the_same(self, state: State) -> None:
        since = (await state.list(CONFIG_MAP, NS)).revision

        async def observe() -> list[tuple[EventType, int]]:
            async with watching(state, since=since) as events:
                return [(e.type, revision_of(e.object)) for e in await take(events, 6)]

        observers = [asyncio.create_task(observe()) for _ in range(5)]
        for name in "abc":
            await state.create(CONFIG_MAP, a_map(name))
            await state.delete(CONFIG_MAP, name, NS)
        seen = await asyncio.gather(*observers)
        assert all(other == seen[0] for other in seen)

    async def test_watch_from_a_compacted_revision_is_expired(self, state: State, compact: Compact) -> None:
        since = (await state.list(CONFIG_MAP, NS)).revision
        for name in "abc":
            await state.create(CONFIG_MAP, a_map(name))
        await compact()
        with pytest.raises(Expired):
            async with watching(state, since=since) as events:
                await take(events, 1)

    async def test_bookmark_ends_the_initial_events(self, state: State) -> None:
        created = await state.create(CONFIG_MAP, a_map("one"))
        async with watching(state, bookmarks=True) as events:
            added, bookmark = await take(events, 2)
        assert (added.type, bookmark.type) == (ADDED, EventType.BOOKMARK)
        assert revision_of(bookmark.object) >= revision_of(created)
