# SPDX-License-Identifier: Apache-2.0
"""Garbage collection by owner: what belongs to nothing that exists any more is deleted.

Runs in the kernel's process, where following every kind costs no decoding of objects without owners.
Background: dependents go after their owner. Foreground: the owner waits for them. Orphan: they are let off first.

What is remembered of dependents only says what to look at; every decision reads the state.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Iterable
from typing import Any, Protocol

import msgspec

from lichen.kinds.catalog import Catalog
from lichen.model.data import Object
from lichen.model.errors import ApiError, NotFound
from lichen.model.kind import Kind
from lichen.model.meta import is_deleting, name_of, namespace_of, owners_of, revision_of, uid_of
from lichen.model.state import EventType, Preconditions, State

log = logging.getLogger(__name__)

FOREGROUND, ORPHAN = "foregroundDeletion", "orphan"
RETRY_SECONDS = 1.0
WORKERS = 8
_MARKS = (b'"ownerReferences"', b'"foregroundDeletion"', b'"orphan"')

Place = tuple[Kind, str, str]
"""Kind, namespace and name of an object."""


class RawState(State, Protocol):
    """A session: a State that also gives bytes undecoded."""

    def watch_raw(self, kind: Kind, namespace: str | None = None, *, since: int | None = None) -> Any: ...

    async def list_raw(self, kind: Kind, namespace: str | None = None) -> Any: ...

    async def get_raw(self, kind: Kind, name: str, namespace: str = "") -> bytes: ...


class Collector:
    """Follows every stored kind; deletes what has lost its owners."""

    def __init__(self, state: RawState, catalog: Catalog) -> None:
        self._state = state
        self._catalog = catalog
        self._dependents: defaultdict[str, set[Place]] = defaultdict(set)
        self._owners: dict[Place, tuple[str, ...]] = {}
        self._waiting: dict[str, Place] = {}
        self._work: asyncio.Queue[Place] = asyncio.Queue()
        self._queued: set[Place] = set()

    async def run(self) -> None:
        """Collect for ever."""
        changed = asyncio.Event()
        unfollow = self._catalog.follow(changed.set)
        try:
            async with asyncio.TaskGroup() as tasks:
                for _ in range(WORKERS):
                    tasks.create_task(self._drain())
                followed: dict[Kind, asyncio.Task[None]] = {}
                while True:
                    changed.clear()
                    kinds = self._kinds()
                    for kind in followed.keys() - set(kinds):
                        followed.pop(kind).cancel()
                    for kind in set(kinds) - followed.keys():
                        followed[kind] = tasks.create_task(self._follow(kind))
                    await changed.wait()
        finally:
            unfollow()

    def _kinds(self) -> list[Kind]:
        """All that is stored, each in one version."""
        found: dict[tuple[str, str], Kind] = {}
        for kind in self._catalog.all_kinds():
            if {"watch", "delete"} <= set(kind.verbs):
                found.setdefault((kind.group, kind.plural), kind)
        return list(found.values())

    async def _follow(self, kind: Kind) -> None:
        while True:
            try:
                async for type_, raw, *_ in self._state.watch_raw(kind):
                    self._observe(kind, type_, raw)
            except ApiError as error:
                log.info("watch of %s starts again: %s", kind, error.message)
            await asyncio.sleep(RETRY_SECONDS)
            self._queue(self._owners)  # an owner may have gone while nobody looked
            self._queue(self._waiting.values())

    def _observe(self, kind: Kind, type_: EventType, raw: bytes) -> None:
        gone = type_ == EventType.DELETED
        if type_ == EventType.BOOKMARK or not (gone or any(mark in raw for mark in _MARKS)):
            return
        obj = msgspec.json.decode(raw)
        place = (kind, namespace_of(obj), name_of(obj))
        owners = () if gone else tuple(owner["uid"] for owner in owners_of(obj))
        changed = self._index(place, owners)
        if gone:
            self._gone(obj)
        elif is_deleting(obj):
            if {FOREGROUND, ORPHAN} & set(obj["metadata"].get("finalizers") or []):
                self._waiting[uid_of(obj)] = place
                self._queue([place])
        elif changed:
            self._queue([place])

    def _gone(self, obj: Object) -> None:
        self._waiting.pop(uid_of(obj), None)
        self._queue(self._dependents.get(uid_of(obj), ()))
        self._queue(self._waiting[o["uid"]] for o in owners_of(obj) if o["uid"] in self._waiting)

    def _index(self, place: Place, owners: tuple[str, ...]) -> bool:
        """Remember an object's owners; whether they are others than before."""
        before = self._owners.pop(place, ())
        for uid in before:
            self._dependents[uid].discard(place)
            if not self._dependents[uid]:
                del self._dependents[uid]
        if owners:
            self._owners[place] = owners
            for uid in owners:
                self._dependents[uid].add(place)
        return owners != before

    def _queue(self, places: Iterable[Place]) -> None:
        for place in list(places):
            if place not in self._queued:
                self._queued.add(place)
                self._work.put_nowait(place)

    async def _drain(self) -> None:
        while True:
            place = await self._work.get()
            self._queued.discard(place)
            try:
                await self._collect(*place)
            except NotFound:
                continue
            except ApiError as error:
                log.info("%s %s/%s is looked at again: %s", *place, error.message)
                asyncio.get_running_loop().call_later(RETRY_SECONDS, self._queue, [place])

    async def _collect(self, kind: Kind, namespace: str, name: str) -> None:
        obj = await self._state.get(kind, name, namespace)
        finalizers = obj["metadata"].get("finalizers") or []
        if is_deleting(obj):
            if FOREGROUND in finalizers:
                await self._finish_foreground(kind, obj)
            elif ORPHAN in finalizers:
                await self._finish_orphan(kind, obj)
            return
        owners = owners_of(obj)
        alive = [owner for owner in owners if await self._owner(owner, namespace) is not None]
        if owners and not alive:
            exactly = Preconditions(uid=uid_of(obj), resource_version=str(revision_of(obj)))
            await self._state.delete(kind, name, namespace, preconditions=exactly)
        elif len(alive) < len(owners):
            await self._let_off(kind, obj, alive)

    async def _owner(self, reference: Object, namespace: str) -> Object | None:
        """What a reference refers to; None if it does not exist; the reference itself where that cannot be told."""
        kind = self._catalog.by_kind(reference["apiVersion"], reference["kind"])
        if kind is None or (kind.namespaced and not namespace):
            return reference
        try:
            held = await self._state.get(kind, reference["name"], namespace if kind.namespaced else "")
        except NotFound:
            return None
        return held if uid_of(held) == reference["uid"] else None

    async def _finish_foreground(self, kind: Kind, obj: Object) -> None:
        """Delete what belongs only to `obj`; let it go when nothing is left that it must wait for."""
        if self._dependents.get(uid_of(obj)):
            left = await self._delete_dependents(kind, obj, list(self._dependents[uid_of(obj)]))
            if left:
                return
        if not await self._delete_dependents(kind, obj, await self._places_of_dependents(obj)):
            await self._release(kind, obj, FOREGROUND)

    async def _delete_dependents(self, kind: Kind, obj: Object, places: Iterable[Place]) -> int:
        """How many of them the owner must still wait for."""
        left = 0
        for place in places:
            dependent = await self._dependent(place, obj)
            if dependent is None:
                continue
            others = [o for o in owners_of(dependent) if o["uid"] != uid_of(obj)]
            kept = [o for o in others if await self._holds(o, place[1])]
            if kept:
                await self._let_off(place[0], dependent, others)
                continue
            reference = next(o for o in owners_of(dependent) if o["uid"] == uid_of(obj))
            left += bool(reference.get("blockOwnerDeletion")) and not await self._is_above(dependent, obj)
            if not is_deleting(dependent):
                exactly = Preconditions(uid=uid_of(dependent))
                try:
                    await self._state.delete(
                        place[0], place[2], place[1], preconditions=exactly, propagation="Foreground"
                    )
                except NotFound:
                    continue
                self._queue([(kind, namespace_of(obj), name_of(obj))])
        return left

    async def _is_above(self, dependent: Object, obj: Object) -> bool:
        """`obj` belongs, over however many owners, to its own dependent: in a circle nobody waits."""
        seen: set[str] = set()
        waiting = [*owners_of(obj)]
        while waiting:
            reference = waiting.pop()
            if reference["uid"] == uid_of(dependent):
                return True
            if reference["uid"] not in seen:
                seen.add(reference["uid"])
                waiting += owners_of(await self._owner(reference, namespace_of(obj)) or {"metadata": {}})
        return False

    async def _holds(self, owner: Object, namespace: str) -> bool:
        """An owner that exists and does not itself wait for its dependents to go."""
        held = await self._owner(owner, namespace)
        if held is None:
            return False
        finalizers = (held.get("metadata") or {}).get("finalizers") or []
        return not (FOREGROUND in finalizers and is_deleting(held))

    async def _finish_orphan(self, kind: Kind, obj: Object) -> None:
        for place in await self._places_of_dependents(obj):
            dependent = await self._dependent(place, obj)
            if dependent is not None:
                kept = [owner for owner in owners_of(dependent) if owner["uid"] != uid_of(obj)]
                await self._let_off(place[0], dependent, kept)
        await self._release(kind, obj, ORPHAN)

    async def _places_of_dependents(self, obj: Object) -> list[Place]:
        """All that belong to `obj`, from the state itself: one that was made a moment ago must not be missed."""
        mark, found = uid_of(obj).encode(), []
        for kind in self._kinds():
            if namespace_of(obj) and not kind.namespaced:
                continue
            raws = (await self._state.list_raw(kind, namespace_of(obj) or None))[0]
            for raw in raws:
                if mark in raw:
                    dependent = msgspec.json.decode(raw)
                    if any(owner["uid"] == uid_of(obj) for owner in owners_of(dependent)):
                        found.append((kind, namespace_of(dependent), name_of(dependent)))
        return found

    async def _dependent(self, place: Place, owner: Object) -> Object | None:
        """As it is stored, if it still belongs to `owner`."""
        try:
            held = await self._state.get(place[0], place[2], place[1])
        except NotFound:
            return None
        return held if any(o["uid"] == uid_of(owner) for o in owners_of(held)) else None

    async def _let_off(self, kind: Kind, dependent: Object, owners: list[Object]) -> None:
        metadata = {"ownerReferences": owners or None, "resourceVersion": str(revision_of(dependent))}
        await self._state.patch(kind, name_of(dependent), namespace_of(dependent), {"metadata": metadata})

    async def _release(self, kind: Kind, obj: Object, finalizer: str) -> None:
        kept = [f for f in obj["metadata"].get("finalizers") or [] if f != finalizer]
        metadata = {"finalizers": kept or None, "resourceVersion": str(revision_of(obj))}
        await self._state.patch(kind, name_of(obj), namespace_of(obj), {"metadata": metadata})
