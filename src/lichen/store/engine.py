# SPDX-License-Identifier: Apache-2.0
"""The one engine of all stores: an event log with revisions over raw objects.

A write is checked against the newest state, committed or not, gets the next revision, waits for its group's commit
and only then is seen by readers, watchers and its own caller. If a commit fails, everything that was built on it
fails with it and nothing has changed.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterable
from time import monotonic, perf_counter
from typing import NamedTuple

from lichen.model.errors import ApiError, Expired, Unavailable
from lichen.model.kind import Kind
from lichen.model.metrics import COMMIT_SIZES, COMMITS
from lichen.store.holds import Holds
from lichen.store.journal import Batch, Loaded, Row, Writer
from lichen.store.table import Entry, Record, Table, TableKey, key_of, table_key
from lichen.store.watching import Watcher, publish

MAX_BATCH = 512
GARBAGE_BATCH = 256
BOOKMARK_SECONDS = 5.0


class Window(NamedTuple):
    """How far watches and continued lists reach back: so many seconds, as in etcd that Kubernetes compacts, but not
    more changes or superseded bytes than this. For lists under way so many more bytes are held for those seconds."""

    changes: int = 50_000
    superseded_bytes: int = 32 << 20
    seconds: float = 300.0
    held_bytes: int = 32 << 20


class Draft(NamedTuple):
    """What a write wants: the object's new bytes (for a deletion: its last ones), stamped with the revision."""

    raw: bytes
    deleted: bool = False


Make = Callable[[Entry | None, int], Draft | None]
"""A write: from the newest state and the revision it will get, to what shall be; None changes nothing.
It refuses by raising ApiError, and may be called again if the state it saw was not to stay."""


class Engine:
    """Tables by kind, revisions, group commit, compaction. Used from one event loop."""

    def __init__(self, window: Window, *, durable: bool) -> None:
        self._tables: dict[TableKey, Table] = {}
        self._window = window
        self._revision = 0
        self._compacted = 0
        self._head = 0
        self._order: deque[Table] = deque()
        self._marks: deque[tuple[float, int]] = deque()
        self._holds = Holds(window.held_bytes)
        self._superseded = 0
        self.weights: dict[str, int] = {}
        """Bytes of each namespace's objects, as they are stored now."""
        self._garbage: list[int] = []
        self._queue: list[tuple[Row, asyncio.Future[None]]] = []
        self._flying: list[tuple[Row, asyncio.Future[None]]] = []
        self._waiting: list[asyncio.Future[None]] = []
        self._flush_planned = False
        self._submitted = 0.0
        self._progress_timer: asyncio.TimerHandle | None = None
        self._writer: Writer | None = None
        self._durable = durable
        self._closed = False

    @property
    def revision(self) -> int:
        """The revision of the newest visible change."""
        return self._revision

    @property
    def compacted(self) -> int:
        """Changes up to this revision cannot be watched any more."""
        return self._compacted

    def table(self, kind: Kind) -> Table:
        key = table_key(kind)
        table = self._tables.get(key)
        if table is None:
            table = self._tables[key] = Table(*key)
        return table

    def resources(self) -> list[TableKey]:
        """(group, plural) of all kinds that have objects."""
        return sorted(key for key, table in self._tables.items() if table.entries)

    def sizes(self) -> dict[TableKey, int]:
        """How many objects there are of each kind that has any."""
        return {key: len(self._tables[key].entries) for key in self.resources()}

    def watchers(self) -> dict[TableKey, int]:
        """How many watch each kind that is watched."""
        counts = {key: sum(map(len, table.watchers.values())) for key, table in self._tables.items() if table.watchers}
        return {key: count for key, count in counts.items() if count}

    def disk_bytes(self) -> int:
        """What the store takes on the disk."""
        return 0

    def load(self, loaded: Loaded) -> None:
        """Take over what a journal holds."""
        self._compacted = loaded.compacted
        window = bisect_right(loaded.rows, loaded.compacted, key=lambda row: row[0])
        for revision, deleted, group, plural, namespace, name, raw in loaded.rows[:window]:
            entries = self._tables.setdefault((group, plural), Table(group, plural)).entries
            key = key_of(namespace, name)
            if (old := entries.pop(key, None)) is not None:
                self._garbage.append(old.revision)
            if deleted:
                self._garbage.append(revision)
            else:
                entries[key] = Entry(raw, revision)
        for table in self._tables.values():
            table.keys = sorted(table.entries)
            for key, entry in table.entries.items():
                self._weigh(key, len(entry.raw))
        for revision, deleted, group, plural, namespace, name, raw in loaded.rows[window:]:
            table = self._tables.setdefault((group, plural), Table(group, plural))
            key = key_of(namespace, name)
            self._apply(table, Record(key, Entry(raw, revision), table.entries.get(key), bool(deleted)))
        self._revision = self._head = max(self._revision, loaded.compacted)
        self._trim()

    def start(self, writer: Writer) -> None:
        """Take writes from now on."""
        self._writer = writer

    async def write(self, table: Table, key: str, make: Make) -> None:
        """Do one write; returns when it is durable and visible. An answer never rests on what is not durable."""
        while True:
            if self._closed:
                raise Unavailable("the store is closed")
            unsettled = key in table.pending
            try:
                draft = make(table.newest(key), self._head + 1)
            except ApiError:
                if not unsettled:
                    raise
                await self._next_commit()
                continue
            if draft is not None:
                return await self._submit(table, key, draft)
            if not unsettled:
                return None
            await self._next_commit()

    async def close(self) -> None:
        """Finish what was begun, end all watches, let go of the journal."""
        self._closed = True
        if self._progress_timer is not None:
            self._progress_timer.cancel()
        for watcher in self._watchers():
            watcher.fail(Unavailable("the store is closing"))
        while self._flying or self._queue:
            await self._next_commit()
        if self._writer is not None:
            await self._writer.close()
            self._writer = None

    def progress(self) -> None:
        """Send a bookmark to every watcher that asked for bookmarks and is behind the present revision."""
        self._progress_timer = None
        for watcher in self._watchers():
            watcher.bookmark(self._revision)

    def _watchers(self) -> list[Watcher]:
        return [w for table in self._tables.values() for listed in table.watchers.values() for w in listed]

    def compact(self, revision: int) -> None:
        """Forget how things were before `revision`."""
        self._holds.end(revision)
        while self._order and self._compacted < min(revision, self._revision):
            self._forget_oldest()

    def check_reach(self, revision: int) -> None:
        """Expired: how things were at `revision` is not known (any more)."""
        if revision < self._compacted:
            raise Expired(f"too old resource version: {revision} ({self._compacted})")
        if revision > self._revision:
            raise Expired(f"resource version {revision} is not of this store, which is at {self._revision}")

    async def _submit(self, table: Table, key: str, draft: Draft) -> None:
        record = Record(key, Entry(draft.raw, self._head + 1), table.newest(key), draft.deleted)
        self._head += 1
        if not self._durable:
            self._publish([Row(table, record)])
            return
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        table.pending[key] = record
        self._queue.append((Row(table, record), future))
        if not self._flush_planned and not self._flying:
            self._flush_planned = True
            loop.call_soon(self._flush)
        await future

    async def _next_commit(self) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        await future

    def _flush(self) -> None:
        self._flush_planned = False
        if self._flying or not self._queue or self._writer is None:
            return
        self._flying, self._queue = self._queue[:MAX_BATCH], self._queue[MAX_BATCH:]
        garbage: list[int] = []
        if len(self._garbage) >= GARBAGE_BATCH:
            garbage, self._garbage = self._garbage, []
        self._submitted = perf_counter()
        self._writer.submit(Batch([row for row, _ in self._flying], garbage, self._compacted))

    def _committed(self, batch: Batch, error: ApiError | None) -> None:
        flown, self._flying = self._flying, []
        if error is not None:
            self._garbage = batch.garbage + self._garbage
            self._fail_all(flown, error)
        else:
            COMMITS.observe(perf_counter() - self._submitted)
            COMMIT_SIZES.observe(len(flown))
            self._publish(batch.rows)
            for _, future in flown:
                if not future.done():
                    future.set_result(None)
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)
        if self._queue:
            self._flush()

    def _fail_all(self, flown: list[tuple[Row, asyncio.Future[None]]], error: ApiError) -> None:
        failed, self._queue = flown + self._queue, []
        self._head = self._revision
        for row, future in failed:
            row.table.pending.pop(row.record.key, None)
            if not future.done():
                future.set_exception(type(error)(error.message))

    def _publish(self, rows: Iterable[Row]) -> None:
        for table, record in rows:
            self._apply(table, record)
            publish(table, record)
        self._trim()
        if self._progress_timer is None and not self._closed:
            self._progress_timer = asyncio.get_running_loop().call_later(BOOKMARK_SECONDS, self.progress)

    def _apply(self, table: Table, record: Record) -> None:
        table.apply(record)
        self._order.append(table)
        self._revision = record.revision
        grown = 0 if record.deleted else len(record.entry.raw)
        if record.previous is not None:
            superseded = len(record.previous.raw)
            self._superseded += superseded
            grown -= superseded
        if grown:
            self._weigh(record.key, grown)

    def _weigh(self, key: str, grown: int) -> None:
        namespace = key[: key.index("\0")]
        weight = self.weights.get(namespace, 0) + grown
        if weight:
            self.weights[namespace] = weight
        else:
            del self.weights[namespace]

    def _trim(self) -> None:
        while self._order and (
            len(self._order) > self._window.changes or self._superseded > self._window.superseded_bytes
        ):
            self._forget_oldest()
        self._age(monotonic())

    def _age(self, now: float) -> None:
        """Forget what is too old, a mark at a time: between two marks lies a fifth of the window."""
        if not self._marks or now >= self._marks[-1][0] + self._window.seconds / 5:
            self._marks.append((now, self._revision))
        while self._marks[0][0] + self._window.seconds <= now:
            self.compact(self._marks.popleft()[1])

    def _forget_oldest(self) -> None:
        table = self._order.popleft()
        record = table.log.popleft()
        self._holds.forget(table, record)
        self._compacted = record.revision
        if record.previous is not None:
            self._superseded -= len(record.previous.raw)
            if self._durable:
                self._garbage.append(record.previous.revision)
        if record.deleted and self._durable:
            self._garbage.append(record.revision)
