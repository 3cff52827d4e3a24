# SPDX-License-Identifier: Apache-2.0
"""A store on a SQLite file: an append-only log of changes, compacted as the window moves on.

The newest row of each key is the object; rows that the window has left and that are superseded are deleted. A group
of changes is one INSERT statement, so that the writer thread hands the interpreter back only once per group.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, Self

from lichen.model.errors import InsufficientStorage, LichenError, Unavailable
from lichen.store.engine import Window
from lichen.store.journal import Batch, Loaded, Writer
from lichen.store.state import WATCH_BUFFER, Store

FORMAT = 1
APPLICATION = 0x4C434845
ROWS_PER_STATEMENT = 128
BUSY_SECONDS = 5.0
_FULL = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_TOOBIG)

_SCHEMA = """
CREATE TABLE log (
    revision INTEGER PRIMARY KEY, deleted INTEGER NOT NULL, grp TEXT NOT NULL, plural TEXT NOT NULL,
    namespace TEXT NOT NULL, name TEXT NOT NULL, object BLOB NOT NULL);
CREATE TABLE meta (one INTEGER PRIMARY KEY CHECK (one = 1), compacted INTEGER NOT NULL);
INSERT INTO meta VALUES (1, 0);
"""
_RENAMED = {("identity.lichen.dev", "limits"): "ownlimits"}
"""(group, plural) as earlier releases wrote it, and its plural now."""
_MARKS = f"PRAGMA user_version = {FORMAT}; PRAGMA application_id = {APPLICATION};"


class StoreError(LichenError):
    """The file cannot be used: it is of another release, of another program, damaged, or in use."""


class Sealer(Protocol):
    """Encryption at rest: what `seal` made of an object's bytes, `unseal` turns back. Called from one thread."""

    def seal(self, group: str, plural: str, raw: bytes) -> bytes: ...

    def unseal(self, group: str, plural: str, sealed: bytes) -> bytes: ...


class SqliteJournal:
    """One connection, one writer. WAL with synchronous=FULL: a commit is on the disk when it returns."""

    def __init__(self, path: Path, sealer: Sealer | None = None, max_bytes: int = 0) -> None:
        self._sealer = sealer
        os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
        self._db = sqlite3.connect(
            path, isolation_level=None, check_same_thread=False, timeout=BUSY_SECONDS, cached_statements=256
        )
        try:
            self._prepare(path, max_bytes)
        except sqlite3.DatabaseError as error:
            self._db.close()
            raise StoreError(f"{path}: {error}") from error
        except StoreError:
            self._db.close()
            raise

    def load(self) -> Loaded:
        rows = self._db.execute("SELECT revision, deleted, grp, plural, namespace, name, object FROM log ORDER BY 1")
        (compacted,) = self._db.execute("SELECT compacted FROM meta").fetchone()
        unseal = self._sealer.unseal if self._sealer is not None else _as_it_is
        return Loaded([(*row[:3], _plural(row), *row[4:6], unseal(row[2], row[3], row[6])) for row in rows], compacted)

    def commit(self, batch: Batch) -> None:
        rows = [self._values(table.group, table.plural, record) for table, record in batch.rows]
        try:
            if not batch.garbage and len(rows) <= ROWS_PER_STATEMENT:
                self._insert(rows)
            else:
                self._commit_many(rows, batch)
        except sqlite3.Error as error:
            self._roll_back()
            if getattr(error, "sqlite_errorcode", 0) & 0xFF in _FULL:
                raise InsufficientStorage("the disk is full: nothing was written") from error
            raise Unavailable(f"the store cannot write: {error}") from error

    def close(self) -> None:
        self._db.close()

    def _prepare(self, path: Path, max_bytes: int) -> None:
        db = self._db
        db.execute("PRAGMA locking_mode = EXCLUSIVE")
        (application,) = db.execute("PRAGMA application_id").fetchone()
        (version,) = db.execute("PRAGMA user_version").fetchone()
        (tables,) = db.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if tables and application != APPLICATION:
            raise StoreError(f"{path} is not a Lichen store")
        if version > FORMAT:
            raise StoreError(f"{path} has format {version}; this release knows formats up to {FORMAT}")
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute(f"PRAGMA journal_size_limit = {64 << 20}")
        if max_bytes:
            (page_size,) = db.execute("PRAGMA page_size").fetchone()
            db.execute(f"PRAGMA max_page_count = {max_bytes // page_size}")
        if not tables:
            db.executescript(f"BEGIN; {_SCHEMA} {_MARKS} COMMIT;")

    def _values(self, group: str, plural: str, record: Any) -> tuple[Any, ...]:
        namespace, _, name = record.key.partition("\0")
        raw = record.entry.raw
        if self._sealer is not None:
            raw = self._sealer.seal(group, plural, raw)
        return record.entry.revision, int(record.deleted), group, plural, namespace, name, raw

    def _insert(self, rows: Sequence[tuple[Any, ...]]) -> None:
        places = ",".join(["(?,?,?,?,?,?,?)"] * len(rows))
        self._db.execute(f"INSERT INTO log VALUES {places}", [value for row in rows for value in row])  # noqa: S608

    def _commit_many(self, rows: Sequence[tuple[Any, ...]], batch: Batch) -> None:
        self._db.execute("BEGIN IMMEDIATE")
        for start in range(0, len(rows), ROWS_PER_STATEMENT):
            self._insert(rows[start : start + ROWS_PER_STATEMENT])
        if batch.garbage:
            listed = f"[{','.join(map(str, batch.garbage))}]"
            self._db.execute("DELETE FROM log WHERE revision IN (SELECT value FROM json_each(?))", [listed])
            self._db.execute("UPDATE meta SET compacted = ?", [batch.compacted])
        self._db.execute("COMMIT")

    def _roll_back(self) -> None:
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")


def _plural(row: tuple[Any, ...]) -> str:
    plural: str = _RENAMED.get((row[2], row[3]), row[3])
    return plural


def _as_it_is(group: str, plural: str, raw: bytes) -> bytes:
    return raw


class SqliteStore(Store):
    """State on a file: whatever was answered survives a crash of the process or of the machine."""

    _path: Path

    @classmethod
    async def open(
        cls,
        path: str | Path,
        window: Window = Window(),  # noqa: B008
        *,
        watch_buffer: int = WATCH_BUFFER,
        sealer: Sealer | None = None,
        max_bytes: int = 0,
    ) -> Self:
        """Open or make the store in `path`. max_bytes bounds the file (0: the disk does). StoreError."""
        journal, loaded = await asyncio.to_thread(_opened, Path(path), sealer, max_bytes)
        store = cls(window, durable=True, watch_buffer=watch_buffer)
        store._path = Path(path)
        store.load(loaded)
        store.start(Writer(journal, store._committed))
        return store

    def disk_bytes(self) -> int:
        """The file's, and its write-ahead log's."""
        files = (self._path, self._path.with_name(self._path.name + "-wal"))
        return sum(file.stat().st_size for file in files if file.exists())


def _opened(path: Path, sealer: Sealer | None, max_bytes: int) -> tuple[SqliteJournal, Loaded]:
    try:
        journal = SqliteJournal(path, sealer, max_bytes)
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror}") from error
    try:
        return journal, journal.load()
    except sqlite3.Error as error:
        journal.close()
        raise StoreError(f"{path}: {error}") from error
