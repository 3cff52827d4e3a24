# SPDX-License-Identifier: Apache-2.0
"""Garbage collection by owner: what belongs to nothing that exists any more is deleted.

Runs in the kernel's process, where following every kind costs no decoding of objects without owners.
Background: dependents go after their owner. Foreground: the owner waits for them. Orphan: they are let off first.
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
from lichen.model.errors import ApiError, Conflict, Expired, NotFound
from lichen.model.kind import Kind
from lichen.model.meta import is_deleting, name_of, namespace_of, owners_of, uid_of
from lichen.model.state import EventType, Preconditions, State

log = logging.getLogger(__name__)

FOREGROUND, ORPHAN = "foregroundDeletion", "orphan"
RETRY_SECONDS = 1.0
_MARKS = (b'"ownerReferences"', b'"foregroundDeletion"', b'"orphan"')

Dependent = tuple[Kind, str, str]


class RawState(State, Protocol):
    """A session: a State that also gives a watch's bytes undecoded."""

    def watch_raw(self, kind: Kind, namespace: str | None = None, *, since: int | None = None) -> Any: ...


class Collector:
    """Follows every stored kind; deletes what has lost its owners."""

    def __init__(self, state: RawState, catalog: Catalog) -> None:
        self._state = state
        self._catalog = catalog
        self._dependents: defaultdict[str, set[Dependent]] = defaultdict(set)
        self._owners: dict[Dependent, tuple[str, ...]] = {}
        self._work: asyncio.Queue[tuple[Kind, str, str]] = asyncio.Queue()
        self._queued: set[Dependent] = set()
        self._waiting: dict[str, Dependent] = {}

    async def run(self) -> None:
        """Collect for ever."""
        async with asyncio.TaskGroup() as tasks:
            for kind in self._catalog.all_kinds():
                if {"watch", "delete"} <= set(kind.verbs):
                    tasks.create_task(self._follow(kind))
            tasks.create_task(self._drain())

    async def _follow(self, kind: Kind) -> None:
        while True:
            try:
                async for type_, raw, *_ in self._state.watch_raw(kind):
                    self._observe(kind, type_, raw)
            except (Expired, ApiError) as error:
                log.info("watch of %s starts again: %s", kind, error.message)
                await asyncio.sleep(RETRY_SECONDS)

    def _observe(self, kind: Kind, type_: EventType, raw: bytes) -> None:
        gone = type_ == EventType.DELETED
        if type_ == EventType.BOOKMARK or not (gone or any(mark in raw for mark in _MARKS)):
            return
        obj = msgspec.json.decode(raw)
        key = (kind, namespace_of(obj), name_of(obj))
        self._index(key, () if gone else tuple(owner["uid"] for owner in owners_of(obj)))
        if gone:
            self._queue(self._dependents.get(uid_of(obj), ()))
            self._waiting.pop(uid_of(obj), None)
            for owner in owners_of(obj):
                if owner["uid"] in self._waiting:
                    self._queue([self._waiting[owner["uid"]]])
            return
        if is_deleting(obj) and {FOREGROUND, ORPHAN} & set(obj["metadata"].get("finalizers") or []):
            self._waiting[uid_of(obj)] = key
        self._queue([key])

    def _index(self, key: Dependent, owners: tuple[str, ...]) -> None:
        for uid in self._owners.pop(key, ()):
            self._dependents[uid].discard(key)
            if not self._dependents[uid]:
                del self._dependents[uid]
        if owners:
            self._owners[key] = owners
            for uid in owners:
                self._dependents[uid].add(key)

    def _queue(self, keys: Iterable[Dependent]) -> None:
        for key in keys:
            if key not in self._queued:
                self._queued.add(key)
                self._work.put_nowait(key)

    async def _drain(self) -> None:
        while True:
            key = await self._work.get()
            self._queued.discard(key)
            try:
                await self._collect(*key)
            except NotFound:
                continue
            except ApiError as error:
                log.info("%s %s/%s is looked at again: %s", *key, error.message)
                asyncio.get_running_loop().call_later(RETRY_SECONDS, self._queue, [key])

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
        if not owners:
            return
        alive = [owner for owner in owners if await self._exists(owner, namespace)]
        if not alive:
            await self._state.delete(kind, name, namespace, preconditions=Preconditions(uid=uid_of(obj)))
        elif len(alive) < len(owners):
            patch = {"metadata": {"ownerReferences": alive, "resourceVersion": obj["metadata"]["resourceVersion"]}}
            await self._state.patch(kind, name, namespace, patch)

    async def _exists(self, owner: Object, namespace: str) -> bool:
        kind = self._catalog.by_kind(owner["apiVersion"], owner["kind"])
        if kind is None:
            return True  # not ours to judge
        try:
            held = await self._state.get(kind, owner["name"], namespace if kind.namespaced else "")
        except NotFound:
            return False
        return bool(uid_of(held) == owner["uid"])

    async def _finish_foreground(self, kind: Kind, obj: Object) -> None:
        blocking = False
        for dependent_kind, namespace, name in list(self._dependents.get(uid_of(obj), ())):
            try:
                dependent = await self._state.get(dependent_kind, name, namespace)
            except NotFound:
                continue
            reference = next((o for o in owners_of(dependent) if o["uid"] == uid_of(obj)), None)
            blocking = blocking or bool(reference and reference.get("blockOwnerDeletion"))
            if not is_deleting(dependent):
                exactly = Preconditions(uid=uid_of(dependent))
                await self._state.delete(
                    dependent_kind, name, namespace, preconditions=exactly, propagation="Foreground"
                )
        if not blocking or not self._dependents.get(uid_of(obj)):
            await self._release(kind, obj, FOREGROUND)

    async def _finish_orphan(self, kind: Kind, obj: Object) -> None:
        for dependent_kind, namespace, name in list(self._dependents.get(uid_of(obj), ())):
            try:
                dependent = await self._state.get(dependent_kind, name, namespace)
            except NotFound:
                continue
            kept = [owner for owner in owners_of(dependent) if owner["uid"] != uid_of(obj)]
            patch = {"metadata": {"ownerReferences": kept or None}}
            await self._state.patch(dependent_kind, name, namespace, patch)
        await self._release(kind, obj, ORPHAN)

    async def _release(self, kind: Kind, obj: Object, finalizer: str) -> None:
        kept = [f for f in obj["metadata"].get("finalizers") or [] if f != finalizer]
        revision = obj["metadata"]["resourceVersion"]
        patch = {"metadata": {"finalizers": kept or None, "resourceVersion": revision}}
        try:
            await self._state.patch(kind, name_of(obj), namespace_of(obj), patch)
        except Conflict:
            self._queue([(kind, namespace_of(obj), name_of(obj))])
