# SPDX-License-Identifier: Apache-2.0
"""Lists under way: what is forgotten meanwhile of the moment that they show is kept for them, for a time.

So a list in pages ends by time, as in Kubernetes, and not by how much others write; what is kept has a bound.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from lichen.store.table import Entry, Record, Table

MOST = 64
"""How many moments are held at once: each costs every change that is forgotten a look."""
OVERHEAD = 200
"""Bytes that an entry takes beside its object."""


class Hold:
    """One moment of one table. kept: how the objects were whose changes since are forgotten; None: not there."""

    __slots__ = ("kept", "revision", "size", "table")

    def __init__(self, table: Table, revision: int) -> None:
        self.table = table
        self.revision = revision
        self.size = 0
        self.kept: dict[str, Entry | None] = {}

    def keep(self, record: Record) -> int:
        """The bytes that it took."""
        if record.key in self.kept:
            return 0
        self.kept[record.key] = record.previous
        size = OVERHEAD + (len(record.previous.raw) if record.previous is not None else 0)
        self.size += size
        return size


class Holds:
    """All that are held, the oldest in front."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._held: dict[tuple[Table, int], Hold] = {}
        self._size = 0

    def hold(self, table: Table, newest: int) -> None:
        """From now on the table can be listed as it is at its newest revision."""
        self._held.setdefault((table, newest), Hold(table, newest))
        if len(self._held) > MOST:
            self._drop_first()

    def kept(self, table: Table, revision: int) -> Mapping[str, Entry | None] | None:
        """What is kept of a moment; None: nobody holds it."""
        hold = self._held.get((table, revision))
        return None if hold is None else hold.kept

    def forget(self, table: Table, record: Record) -> None:
        """A change leaves the log."""
        for hold in self._that_miss(table, record):
            self._size += hold.keep(record)
        while self._size > self._most_bytes:
            self._drop_first()

    def end(self, revision: int) -> None:
        """Let go of the moments before this one."""
        while self._held and next(iter(self._held.values())).revision < revision:
            self._drop_first()

    def _that_miss(self, table: Table, record: Record) -> Iterator[Hold]:
        return (hold for hold in self._held.values() if hold.table is table and hold.revision < record.revision)

    def _drop_first(self) -> None:
        self._size -= self._held.pop(next(iter(self._held))).size
