# SPDX-License-Identifier: Apache-2.0
"""Watches: each change is turned into an event once and handed to every watcher in the order of revisions."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import NamedTuple, Self

from lichen.model.errors import ApiError, Expired
from lichen.model.kind import Kind
from lichen.model.state import EventType
from lichen.store.codec import Selection, View, encode, restamped
from lichen.store.table import Record, Table

BEHIND = 32 << 20
"""Bytes of events that a watcher may be behind: as much as a store's window keeps for those who come back."""
ENOUGH = 256 * 1024
"""Bytes of events that are taken at once, give or take the last."""


class _Told(NamedTuple):
    type: EventType
    raw: bytes
    revision: int


class RawEvent(_Told):
    """One event: (type, raw, revision). Shared by all watchers: `line` is encoded once."""

    @cached_property
    def line(self) -> bytes:
        """The event as a Kubernetes watch sends it: a line of JSON."""
        return b'{"type":"%b","object":%b}\n' % (self.type.encode(), self.raw)


class Change:
    """One record on its way to watchers: what each needs of it is made at most once."""

    __slots__ = ("_made", "_new", "_old", "record")

    def __init__(self, record: Record) -> None:
        self.record = record
        self._made: dict[EventType, RawEvent] = {}
        self._new: View | None = None
        self._old: View | None = None

    def event(self, wanted: Selection | None) -> RawEvent | None:
        """The event for who selects `wanted`: an object that ceases to match is DELETED in its last matching state."""
        record = self.record
        if wanted is None:
            if record.deleted:
                return self._make(EventType.DELETED)
            return self._make(EventType.ADDED if record.previous is None else EventType.MODIFIED)
        before, after = self._matched_before(wanted), not record.deleted and self._matches_now(wanted)
        if after:
            return self._make(EventType.MODIFIED if before else EventType.ADDED)
        return self._make(EventType.DELETED) if before else None

    def _matched_before(self, wanted: Selection) -> bool:
        if self.record.previous is None:
            return False
        if self._old is None:
            self._old = View(self.record.previous.raw)
        return wanted(self._old)

    def _matches_now(self, wanted: Selection) -> bool:
        if self._new is None:
            self._new = View(self.record.entry.raw)
        return wanted(self._new)

    def _make(self, type: EventType) -> RawEvent:
        made = self._made.get(type)
        if made is None:
            record = self.record
            raw = record.entry.raw
            if type is EventType.DELETED and not record.deleted and record.previous is not None:
                raw = restamped(record.previous.raw, record.revision)
            made = self._made[type] = RawEvent(type, raw, record.revision)
        return made


class Watcher:
    """One watch: an async iterator of events. `aclose` ends it.

    It is closed with Expired when it falls more than `limit` events or BEHIND bytes behind.
    """

    def __init__(
        self,
        kind: Kind,
        table: Table,
        namespace: str | None,
        wanted: Selection | None,
        backlog: Iterable[RawEvent],
        *,
        bookmarks: bool,
        limit: int,
        revision: int,
    ) -> None:
        self.wanted = wanted
        self.bookmarks = bookmarks
        self.revision = revision
        self._kind = kind
        self._table = table
        self._namespace = namespace
        self._backlog: Iterator[RawEvent] | None = iter(backlog)
        self._buffer: deque[RawEvent] = deque()
        self._limit = limit
        self._held = 0
        self._waiter: asyncio.Future[None] | None = None
        self._error: ApiError | StopAsyncIteration | None = None
        table.watchers.setdefault(namespace, []).append(self)

    def offer(self, event: RawEvent) -> None:
        """Take one more event; a watcher that is too far behind is closed."""
        self._held += len(event.raw)
        if len(self._buffer) >= self._limit or (self._held > BEHIND and self._buffer):
            self.fail(Expired("the watch fell too far behind: list again"))
            return
        self._buffer.append(event)
        self.revision = event.revision
        if self._waiter is not None:
            self._wake()

    def bookmark(self, revision: int, *, initial: bool = False) -> None:
        """Tell how far the watch has come, if it wants to know and has not just been told."""
        if self.bookmarks and (initial or revision > self.revision):
            self.offer(RawEvent(EventType.BOOKMARK, _bookmark(self._kind, revision, initial), revision))

    def fail(self, error: ApiError | StopAsyncIteration) -> None:
        """End the watch: what is buffered is dropped, the reader gets the error."""
        if self._error is None:
            self._error = error
            self._backlog = None
            self._buffer.clear()
            self._unlist()
        self._wake()

    async def aclose(self) -> None:
        self.fail(StopAsyncIteration())

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> RawEvent:
        if self._backlog is not None:
            for event in self._backlog:
                return event
            self._backlog = None
        while not self._buffer:
            await self._wait()
        return self._take()

    async def batch(self, most: int = 256) -> list[RawEvent]:
        """At least one event, and what else is there already, up to ENOUGH bytes: for senders that write many events at
        once."""
        events = [await self.__anext__()]
        size = len(events[0].raw)
        while len(events) < most and size < ENOUGH and (event := self._at_hand()) is not None:
            events.append(event)
            size += len(event.raw)
        return events

    def _at_hand(self) -> RawEvent | None:
        """What can be taken without waiting: of the beginning while it lasts, else of what came since."""
        if self._backlog is not None:
            return next(self._backlog, None)
        return self._take() if self._buffer else None

    def _take(self) -> RawEvent:
        event = self._buffer.popleft()
        self._held -= len(event.raw)
        return event

    async def _wait(self) -> None:
        if self._error is not None:
            raise self._error
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _unlist(self) -> None:
        listed = self._table.watchers.get(self._namespace, [])
        if self in listed:
            listed.remove(self)
        if not listed:
            self._table.watchers.pop(self._namespace, None)


def publish(table: Table, record: Record) -> None:
    """Hand one change to all who watch its kind and namespace."""
    watchers = table.watchers
    if not watchers:
        return
    change = Change(record)
    for scope in (None, record.key.partition("\0")[0]):
        for watcher in tuple(watchers.get(scope, ())):
            event = change.event(watcher.wanted)
            if event is not None:
                watcher.offer(event)


def _bookmark(kind: Kind, revision: int, initial: bool) -> bytes:
    metadata: dict[str, object] = {"resourceVersion": str(revision)}
    if initial:
        metadata["annotations"] = {"k8s.io/initial-events-end": "true"}
    return encode({"kind": kind.kind, "apiVersion": kind.api_version, "metadata": metadata})
