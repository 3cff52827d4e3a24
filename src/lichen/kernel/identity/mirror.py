# SPDX-License-Identifier: Apache-2.0
"""One kind in memory, kept true by the store's watch, with indexes that are kept as it changes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Hashable, Iterable

from lichen.model.data import Object
from lichen.model.errors import Expired, LichenError, NotFound
from lichen.model.kind import Kind
from lichen.model.meta import namespace_of, revision_of, uid_of
from lichen.model.state import EventType, State

log = logging.getLogger(__name__)
Key = tuple[str, str]
RETRY_SECONDS = 1.0


class Index:
    """Objects by any number of values each."""

    def __init__(self, values_of: Callable[[Object], Iterable[Hashable]]) -> None:
        self._values_of = values_of
        self._entries: dict[Hashable, dict[Key, Object]] = {}

    def all(self, value: Hashable) -> list[Object]:
        return list(self._entries.get(value, {}).values())

    def one(self, value: Hashable) -> Object | None:
        return next(iter(self._entries.get(value, {}).values()), None)

    def has(self, value: Hashable) -> bool:
        return value in self._entries

    def add(self, key: Key, obj: Object) -> None:
        for value in self._values_of(obj):
            self._entries.setdefault(value, {})[key] = obj

    def remove(self, key: Key, obj: Object) -> None:
        for value in self._values_of(obj):
            entries = self._entries.get(value)
            if entries is not None:
                entries.pop(key, None)
                if not entries:
                    del self._entries[value]


class Mirror:
    """`items` by (namespace, name): read only, shared. changed: called after each change."""

    def __init__(self, store: State, kind: Kind, changed: Callable[[], None]) -> None:
        self.kind = kind
        self.items: dict[Key, Object] = {}
        self._store = store
        self._changed = changed
        self._indexes: list[Index] = []
        self._removed: dict[Key, str] = {}
        self._revision = 0

    def index(self, values_of: Callable[[Object], Iterable[Hashable]]) -> Index:
        """A new index; ask for it before `load`."""
        index = Index(values_of)
        self._indexes.append(index)
        return index

    def get(self, name: str, namespace: str = "") -> Object | None:
        return self.items.get((namespace, name))

    async def load(self) -> None:
        """Take over all that is stored."""
        page = await self._store.list(self.kind, None)
        self._revision = page.revision
        fresh = {_key(obj): obj for obj in page.items}
        for gone in [key for key in self.items if key not in fresh]:
            self._put(gone, None)
        for key, obj in fresh.items():
            self._put(key, obj)
        self._removed.clear()
        self._changed()

    async def follow(self) -> None:
        """Apply every change, for ever; start it after `load`. Whatever breaks it, it loads all again and goes on:
        nobody may be judged by what was true once."""
        while True:
            try:
                async for event in self._store.watch(self.kind, None, since=self._revision):
                    self._revision = max(self._revision, revision_of(event.object))
                    if event.type != EventType.BOOKMARK:
                        self._observe(event.type, event.object)
            except Expired:
                log.info("the watch of %s fell behind; it starts again", self.kind)
            except Exception:
                log.exception("the watch of %s broke; it starts again", self.kind)
                await asyncio.sleep(RETRY_SECONDS)
            await self._load_at_last()

    async def _load_at_last(self) -> None:
        while True:
            try:
                return await self.load()
            except LichenError:
                log.exception("%s cannot be listed; trying again", self.kind)
                await asyncio.sleep(RETRY_SECONDS)

    async def refresh(self, name: str, namespace: str = "") -> None:
        """Take over one object as it is stored now, without waiting for the watch."""
        key = (namespace, name)
        try:
            obj = await self._store.get(self.kind, name, namespace)
        except NotFound:
            old = self.items.get(key)
            if old is not None:
                self._removed[key] = uid_of(old)
                self._put(key, None)
                self._changed()
            return
        self._observe(EventType.MODIFIED, obj)

    def _observe(self, type_: EventType, obj: Object) -> None:
        key = _key(obj)
        old = self.items.get(key)
        if type_ == EventType.DELETED:
            self._removed.pop(key, None)
            if old is None or uid_of(old) != uid_of(obj):
                return
            self._put(key, None)
        elif self._removed.get(key) == uid_of(obj) or (old is not None and revision_of(old) >= revision_of(obj)):
            return
        else:
            self._put(key, obj)
        self._changed()

    def _put(self, key: Key, obj: Object | None) -> None:
        old = self.items.pop(key, None)
        for index in self._indexes:
            if old is not None:
                index.remove(key, old)
            if obj is not None:
                index.add(key, obj)
        if obj is not None:
            self.items[key] = obj


def _key(obj: Object) -> Key:
    return namespace_of(obj), obj["metadata"]["name"]
