# SPDX-License-Identifier: Apache-2.0
"""The State protocol over the engine, and beside it the raw paths that spare decoding.

A bare store knows nothing of schemas, finalizers or callers: `delete` removes at once, `patch` knows merge patches,
`update` writes what it is given.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import aclosing
from typing import Any, NamedTuple

from lichen.model.data import Object
from lichen.model.errors import (
    AlreadyExists,
    BadRequest,
    Conflict,
    Expired,
    MethodNotAllowed,
    NotFound,
    UnsupportedMediaType,
)
from lichen.model.kind import Kind
from lichen.model.names import random_suffix
from lichen.model.patch import merge_patch
from lichen.model.selectors import Matcher
from lichen.model.state import DEFAULT_OPTIONS, Event, EventType, Page, PatchType, Preconditions, WriteOptions
from lichen.store.codec import Selection, View, decode, decode_identity, encode, now_rfc3339, selection, stamped
from lichen.store.engine import Draft, Engine, Window
from lichen.store.paging import NEWEST, RawPage, pack, page, unpack
from lichen.store.table import Entry, Record, Table, key_of
from lichen.store.watching import Change, RawEvent, Watcher

WATCH_BUFFER = 10_000


class Stored(NamedTuple):
    """What a write left: the object, its bytes and its revision. For a deletion, its last state so stamped."""

    object: Object
    raw: bytes
    revision: int


class Store(Engine):
    """State and raw access. Whatever it returns as objects belongs to the caller; bytes are shared."""

    def __init__(self, window: Window, *, durable: bool, watch_buffer: int = WATCH_BUFFER) -> None:
        super().__init__(window, durable=durable)
        self._watch_buffer = watch_buffer

    # Reading

    async def get_raw(self, kind: Kind, name: str, namespace: str = "") -> bytes:
        """The newest visible state. NotFound."""
        raw = self.peek(kind, name, namespace)
        if raw is None:
            raise missing(kind, name)
        return raw

    def peek(self, kind: Kind, name: str, namespace: str = "") -> bytes | None:
        """The newest visible state without a coroutine, None if there is none."""
        entry = self.table(kind).entries.get(key_of(namespace, name))
        return None if entry is None else entry.raw

    async def list_raw(
        self,
        kind: Kind,
        namespace: str | None = None,
        *,
        labels: str = "",
        fields: str = "",
        limit: int = 0,
        continue_token: str = "",
        seen: Matcher | None = None,
    ) -> RawPage:
        """Like `list`, in bytes. seen: of which objects the caller is told at all."""
        wanted = selection(labels, fields, seen)
        table = self.table(kind)
        revision, after = unpack(continue_token) if continue_token else (NEWEST, "")
        if revision == NEWEST:
            start, end = table.range(namespace, after)
            first = page(table.scan(namespace, after), end - start, wanted, limit, self._revision)
            if first.continue_token:
                self._holds.hold(table, first.revision)
            return first
        rest = table.scan_at(revision, namespace, after, self._kept(table, revision, after))
        return page(rest, len(rest), wanted, limit, revision)

    def _kept(self, table: Table, revision: int, after: str) -> Mapping[str, Entry | None]:
        """What the log has forgotten of a moment that a list shows; Expired: it does not reach there at all."""
        kept = self._holds.kept(table, revision)
        if kept is not None:
            return kept
        try:
            self.check_reach(revision)
        except Expired as error:
            raise Expired(
                f"{error.message}: start the list again, or go on from here, with the objects as they are now, by the "
                "continue token of this answer",
                continue_token=pack(NEWEST, after),
            ) from None
        return {}

    def watch_raw(
        self,
        kind: Kind,
        namespace: str | None = None,
        *,
        labels: str = "",
        fields: str = "",
        since: int | None = None,
        bookmarks: bool = False,
        seen: Matcher | None = None,
    ) -> Watcher:
        """Like `watch`, in shared bytes; it takes part from the call on, not from the first event read. Expired."""
        wanted = selection(labels, fields, seen)
        table = self.table(kind)
        backlog: Iterable[RawEvent]
        if since is None:
            backlog = _present([entry for _, entry in table.scan(namespace)], wanted)
        else:
            self.check_reach(since)
            backlog = _events(table.since(since), namespace, wanted)
        watcher = Watcher(
            kind, table, namespace, wanted, backlog,
            bookmarks=bookmarks, limit=self._watch_buffer, revision=self._revision,
        )  # fmt: skip
        if since is None:
            watcher.bookmark(self._revision, initial=True)
        return watcher

    async def get(self, kind: Kind, name: str, namespace: str = "") -> Object:
        obj: Object = decode(await self.get_raw(kind, name, namespace))
        return obj

    async def list(
        self,
        kind: Kind,
        namespace: str | None = None,
        *,
        labels: str = "",
        fields: str = "",
        limit: int = 0,
        continue_token: str = "",
        seen: Matcher | None = None,
    ) -> Page:
        raw = await self.list_raw(
            kind, namespace, labels=labels, fields=fields, limit=limit, continue_token=continue_token, seen=seen
        )
        return Page([decode(item) for item in raw.items], raw.revision, raw.continue_token, raw.remaining)

    async def watch(
        self,
        kind: Kind,
        namespace: str | None = None,
        *,
        labels: str = "",
        fields: str = "",
        since: int | None = None,
        bookmarks: bool = False,
        seen: Matcher | None = None,
    ) -> AsyncIterator[Event]:
        watcher = self.watch_raw(
            kind, namespace, labels=labels, fields=fields, since=since, bookmarks=bookmarks, seen=seen
        )
        async with aclosing(watcher):
            async for event in watcher:
                yield Event(event.type, decode(event.raw))

    # Writing

    async def put(self, kind: Kind, obj: Object, expected: int | None) -> Stored:
        """Compare and swap. expected: 0, it must not exist (AlreadyExists); a revision, it must be at that (Conflict,
        NotFound); None, it must exist (NotFound). uid and creationTimestamp are filled or kept. `obj` stays as it is.

        A Conflict is only raised once the write that it lost against can be read: to try again, read again.
        """
        name, namespace = place_of(kind, obj)

        def change(old: Entry | None) -> Object:
            _check_expected(kind, name, old, expected)
            return obj

        return await self._write(kind, name, namespace, change)

    async def remove(self, kind: Kind, name: str, namespace: str, expected: int | None) -> Stored:
        """Compare and delete; returns the last state, stamped with the deletion's revision. NotFound, Conflict."""

        def check(old: Object, revision: int) -> None:
            if expected is not None and revision != expected:
                raise conflict(kind, name)

        return await self._remove(kind, name, namespace, check)

    async def create(
        self, kind: Kind, obj: Object, options: WriteOptions = DEFAULT_OPTIONS, *, subresource: str = ""
    ) -> Object:
        if subresource:
            raise MethodNotAllowed(f"a bare store has no {kind.plural}/{subresource}")
        metadata = obj["metadata"]
        if not metadata.get("name") and metadata.get("generateName"):
            obj = {**obj, "metadata": {**metadata, "name": metadata["generateName"] + random_suffix()}}
        return (await self.put(kind, obj, 0)).object

    async def update(
        self, kind: Kind, obj: Object, *, subresource: str = "", options: WriteOptions = DEFAULT_OPTIONS
    ) -> Object:
        name, namespace = place_of(kind, obj)
        revision = obj["metadata"].get("resourceVersion")
        expected = _revision(revision) if revision else None

        def change(old: Entry | None) -> Object:
            current = _check_expected(kind, name, old, expected)
            return _with_subresource(decode(current.raw), obj, subresource) if subresource else obj

        return (await self._write(kind, name, namespace, change)).object

    async def patch(
        self,
        kind: Kind,
        name: str,
        namespace: str,
        patch: Any,
        *,
        type: PatchType = PatchType.MERGE,
        subresource: str = "",
        options: WriteOptions = DEFAULT_OPTIONS,
    ) -> Object:
        if type is not PatchType.MERGE:
            raise UnsupportedMediaType(f"a bare store knows {PatchType.MERGE} only")
        metadata = patch.get("metadata") or {}
        expected = _revision(metadata["resourceVersion"]) if metadata.get("resourceVersion") else None

        def change(old: Entry | None) -> Object:
            current = decode(_check_expected(kind, name, old, expected).raw)
            patched = merge_patch(current, patch)
            if place_of(kind, patched) != (name, namespace):
                raise BadRequest("a patch cannot rename an object")
            return _with_subresource(current, patched, subresource) if subresource else patched

        return (await self._write(kind, name, namespace, change)).object

    async def delete(
        self,
        kind: Kind,
        name: str,
        namespace: str = "",
        *,
        preconditions: Preconditions = Preconditions(),  # noqa: B008
        propagation: str = "Background",
        grace_seconds: int | None = None,
        options: WriteOptions = DEFAULT_OPTIONS,
    ) -> Object:
        def check(old: Object, revision: int) -> None:
            if preconditions.uid and preconditions.uid != old["metadata"].get("uid"):
                raise conflict(kind, name, "the uid in the precondition is not that of the object")
            if preconditions.resource_version and _revision(preconditions.resource_version) != revision:
                raise conflict(kind, name)

        return (await self._remove(kind, name, namespace, check)).object

    async def _write(self, kind: Kind, name: str, namespace: str, change: Callable[[Entry | None], Object]) -> Stored:
        result: Stored

        def make(old: Entry | None, revision: int) -> Draft | None:
            nonlocal result
            wanted = _identified(kind, name, change(old), old)
            new = stamped(wanted, revision)
            result = Stored(new, encode(new), revision)
            if old is not None and _is_same(result, old):
                result = Stored(decode(old.raw), old.raw, old.revision)
                return None
            return Draft(result.raw)

        await self.write(self.table(kind), key_of(namespace, name), make)
        return result

    async def _remove(self, kind: Kind, name: str, namespace: str, check: Callable[[Object, int], None]) -> Stored:
        result: Stored

        def make(old: Entry | None, revision: int) -> Draft:
            nonlocal result
            if old is None:
                raise missing(kind, name)
            last = decode(old.raw)
            check(last, old.revision)
            last = stamped(last, revision)
            result = Stored(last, encode(last), revision)
            return Draft(result.raw, deleted=True)

        await self.write(self.table(kind), key_of(namespace, name), make)
        return result


def missing(kind: Kind, name: str) -> NotFound:
    return NotFound(f'{kind.resource} "{name}" not found', kind=kind.plural, group=kind.group, name=name)


def conflict(kind: Kind, name: str, why: str = "") -> Conflict:
    why = why or "the object has been modified; please apply your changes to the latest version and try again"
    message = f'Operation cannot be fulfilled on {kind.resource} "{name}": {why}'
    return Conflict(message, kind=kind.plural, group=kind.group, name=name)


def place_of(kind: Kind, obj: Object) -> tuple[str, str]:
    """Name and namespace. BadRequest: it has none, or one where it must not."""
    metadata = obj["metadata"]
    name, namespace = metadata.get("name") or "", metadata.get("namespace") or ""
    if not name or "\0" in name or "\0" in namespace:
        raise BadRequest("metadata.name is required")
    if kind.namespaced is not bool(namespace):
        raise BadRequest(f"{kind.resource} {'need' if kind.namespaced else 'must not have'} a namespace")
    return name, namespace


def _check_expected(kind: Kind, name: str, old: Entry | None, expected: int | None) -> Entry:
    if expected == 0:
        if old is not None:
            message = f'{kind.resource} "{name}" already exists'
            raise AlreadyExists(message, kind=kind.plural, group=kind.group, name=name)
        return Entry(b"", 0)
    if old is None:
        raise missing(kind, name)
    if expected is not None and expected != old.revision:
        raise conflict(kind, name)
    return old


def _identified(kind: Kind, name: str, obj: Object, old: Entry | None) -> Object:
    metadata = obj["metadata"]
    if old is None:
        if metadata.get("uid") and metadata.get("creationTimestamp"):
            return obj
        fresh = {"uid": str(uuid.uuid4()), "creationTimestamp": now_rfc3339()}
        return {**obj, "metadata": {**metadata, **{k: metadata.get(k) or v for k, v in fresh.items()}}}
    before = decode_identity(old.raw)["metadata"]
    if metadata.get("uid") and metadata["uid"] != before["uid"]:
        raise conflict(kind, name, "the uid is not that of the object")
    kept = {k: before[k] for k in ("uid", "creationTimestamp") if metadata.get(k) != before[k]}
    return {**obj, "metadata": {**metadata, **kept}} if kept else obj


def _is_same(new: Stored, old: Entry) -> bool:
    """Whether nothing but the revision changes. What is of another length needs no second look."""
    longer = len(str(new.revision)) - len(str(old.revision))
    return len(new.raw) - len(old.raw) == longer and encode(stamped(new.object, old.revision)) == old.raw


def _with_subresource(current: Object, wanted: Object, subresource: str) -> Object:
    if subresource in wanted:
        return {**current, subresource: wanted[subresource]}
    return {k: v for k, v in current.items() if k != subresource}


def _revision(text: str) -> int:
    if not str(text).isdecimal():
        raise BadRequest(f"resourceVersion {text!r} is not a revision of this store")
    return int(text)


def _present(entries: Iterable[Entry], wanted: Selection | None) -> Iterable[RawEvent]:
    for entry in entries:
        if wanted is None or wanted(View(entry.raw)):
            yield RawEvent(EventType.ADDED, entry.raw, entry.revision)


def _events(records: Iterable[Record], namespace: str | None, wanted: Selection | None) -> Iterable[RawEvent]:
    prefix = "" if namespace is None else key_of(namespace, "")
    for record in records:
        if record.key.startswith(prefix):
            event = Change(record).event(wanted)
            if event is not None:
                yield event
