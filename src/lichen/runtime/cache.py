# SPDX-License-Identifier: Apache-2.0
"""Objects of one kind as an informer knows them: by name, by index, with what changed. No I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from lichen.model.data import Object
from lichen.model.meta import name_of, namespace_of, revision_of
from lichen.model.state import Event, EventType

Key = tuple[str, str]
"""(namespace, name); namespace is "" for cluster-scoped kinds."""
IndexFn = Callable[[Object], Iterable[str]]
"""The values under which an object is found."""


class Delta(NamedTuple):
    """What an event did to the cache: `object` is the new (for DELETED: the last) state, `old` what was known."""

    type: EventType
    object: Object
    old: Object | None


class Cache:
    """Objects are shared with everyone who reads: nobody may change them."""

    def __init__(self) -> None:
        self._items: dict[Key, Object] = {}
        self._index_fns: dict[str, IndexFn] = {}
        self._indexes: dict[str, dict[str, dict[Key, Object]]] = {}

    @property
    def items(self) -> Mapping[Key, Object]:
        return self._items

    def add_index(self, name: str, fn: IndexFn) -> None:
        """Find objects by what `fn` says of them. Adding the same name again changes nothing."""
        if name in self._index_fns:
            return
        self._index_fns[name] = fn
        self._indexes[name] = {}
        for key, obj in self._items.items():
            self._enter(name, key, obj)

    def by_index(self, name: str, value: str) -> list[Object]:
        return list(self._indexes[name].get(value, {}).values())

    def apply(self, event: Event) -> Delta | None:
        """Take over one change; None: it is known already."""
        key = key_of(event.object)
        old = self._items.get(key)
        if event.type is EventType.DELETED:
            if old is None:
                return None
            self._remove(key, old)
            return Delta(EventType.DELETED, event.object, old)
        if old is not None and revision_of(old) >= revision_of(event.object):
            return None
        self._put(key, event.object, old)
        return Delta(EventType.ADDED if old is None else EventType.MODIFIED, event.object, old)

    def replace(self, objects: Iterable[Object]) -> list[Delta]:
        """Take over a whole list; what changed since."""
        fresh = {key_of(obj): obj for obj in objects}
        deltas = []
        for key, old in list(self._items.items()):
            if key not in fresh:
                self._remove(key, old)
                deltas.append(Delta(EventType.DELETED, old, old))
        for key, obj in fresh.items():
            known = self._items.get(key)
            if known is None or revision_of(known) != revision_of(obj):
                self._put(key, obj, known)
                deltas.append(Delta(EventType.ADDED if known is None else EventType.MODIFIED, obj, known))
        return deltas

    def _put(self, key: Key, obj: Object, old: Object | None) -> None:
        if old is not None:
            self._leave(key, old)
        self._items[key] = obj
        for name in self._index_fns:
            self._enter(name, key, obj)

    def _remove(self, key: Key, old: Object) -> None:
        del self._items[key]
        self._leave(key, old)

    def _enter(self, name: str, key: Key, obj: Object) -> None:
        index = self._indexes[name]
        for value in self._index_fns[name](obj):
            index.setdefault(value, {})[key] = obj

    def _leave(self, key: Key, old: Object) -> None:
        for name, fn in self._index_fns.items():
            index = self._indexes[name]
            for value in fn(old):
                listed = index.get(value, {})
                listed.pop(key, None)
                if not listed:
                    index.pop(value, None)


def key_of(obj: Object) -> Key:
    return namespace_of(obj), name_of(obj)
