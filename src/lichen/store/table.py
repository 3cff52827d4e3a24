# SPDX-License-Identifier: Apache-2.0
"""What a store holds in memory of one kind: its objects in order, and its recent changes."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import deque
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import msgspec

from lichen.model.kind import Kind

if TYPE_CHECKING:
    from lichen.store.watching import Watcher

TableKey = tuple[str, str]
"""(group, plural): a store knows no more of a kind, so that reopening needs no registry."""


class Entry(msgspec.Struct, frozen=True, gc=False):
    """One object at one revision."""

    raw: bytes
    revision: int


class Record(msgspec.Struct, frozen=True, gc=False):
    """One change. `key` is namespace and name joined by NUL; `entry` is the new state, or for a deletion the last
    state stamped with the deletion's revision; `previous` is what was there before."""

    key: str
    entry: Entry
    previous: Entry | None
    deleted: bool

    @property
    def revision(self) -> int:
        return self.entry.revision


def key_of(namespace: str, name: str) -> str:
    return f"{namespace}\0{name}"


class Table:
    """One kind's objects, its log of the window that watches may resume from, and who watches it.

    `pending` holds the newest change of each key that is not durable yet.
    """

    __slots__ = ("entries", "group", "keys", "log", "pending", "plural", "watchers")

    def __init__(self, group: str, plural: str) -> None:
        self.group = group
        self.plural = plural
        self.entries: dict[str, Entry] = {}
        self.keys: list[str] = []
        self.log: deque[Record] = deque()
        self.pending: dict[str, Record] = {}
        self.watchers: dict[str | None, list[Watcher]] = {}

    def newest(self, key: str) -> Entry | None:
        """The state that a write is checked against: with what is being committed."""
        waiting = self.pending.get(key)
        if waiting is None:
            return self.entries.get(key)
        return None if waiting.deleted else waiting.entry

    def apply(self, record: Record) -> None:
        """Make a change visible to readers."""
        key = record.key
        if record.deleted:
            del self.entries[key]
            del self.keys[bisect_left(self.keys, key)]
        else:
            if record.previous is None:
                insort(self.keys, key)
            self.entries[key] = record.entry
        self.log.append(record)
        if self.pending.get(key) is record:
            del self.pending[key]

    def range(self, namespace: str | None, after: str = "") -> tuple[int, int]:
        """The slice of `keys` in a namespace (None: in all) that lies behind key `after`."""
        start, end = 0, len(self.keys)
        if namespace is not None:
            start = bisect_left(self.keys, f"{namespace}\0")
            end = bisect_left(self.keys, f"{namespace}\1")
        if after:
            start = max(start, bisect_right(self.keys, after))
        return start, end

    def scan(self, namespace: str | None, after: str = "") -> Iterator[tuple[str, Entry]]:
        """Objects in order, as they are now. The table must not change meanwhile."""
        start, end = self.range(namespace, after)
        entries = self.entries
        for key in self.keys[start:end]:
            yield key, entries[key]

    def scan_at(
        self, revision: int, namespace: str | None, after: str, kept: Mapping[str, Entry | None]
    ) -> list[tuple[str, Entry]]:
        """Objects in order, as they were at a revision that the log still reaches back to, or together with what is
        kept of what it has forgotten since."""
        then = dict(kept)
        for record in self.since(revision):
            then.setdefault(record.key, record.previous)
        prefix = None if namespace is None else f"{namespace}\0"
        found = [item for item in self.scan(namespace, after) if item[0] not in then]
        for key, entry in then.items():
            if entry is not None and key > after and (prefix is None or key.startswith(prefix)):
                found.append((key, entry))
        return sorted(found, key=lambda item: item[0])

    def since(self, revision: int) -> list[Record]:
        """The changes after a revision, oldest first."""
        newer: list[Record] = []
        for record in reversed(self.log):
            if record.revision <= revision:
                break
            newer.append(record)
        newer.reverse()
        return newer


def table_key(kind: Kind) -> TableKey:
    return kind.group, kind.plural
