# SPDX-License-Identifier: Apache-2.0
"""Group commit: one writer thread makes batches of changes durable while the event loop gathers the next."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import NamedTuple, Protocol

from lichen.model.errors import ApiError, Unavailable
from lichen.store.table import Record, Table

log = logging.getLogger(__name__)


class Row(NamedTuple):
    table: Table
    record: Record


class Batch(NamedTuple):
    """What is committed at once: new rows, revisions that nobody can ask for any more, and the revision up to
    which the log is then compacted."""

    rows: list[Row]
    garbage: list[int]
    compacted: int


class Loaded(NamedTuple):
    """What a journal holds: rows of (revision, deleted, group, plural, namespace, name, object) in order of
    revision, and how far it is compacted."""

    rows: list[tuple[int, int, str, str, str, str, bytes]]
    compacted: int


class Journal(Protocol):
    """Where changes are kept. All methods block and are called from one thread at a time."""

    def load(self) -> Loaded: ...

    def commit(self, batch: Batch) -> None:
        """All or nothing, on the disk when it returns. InsufficientStorage, Unavailable."""
        ...

    def close(self) -> None: ...


class Writer:
    """The writer thread. `submit` returns at once; `done(batch, error)` is called later in the event loop."""

    def __init__(self, journal: Journal, done: Callable[[Batch, ApiError | None], None]) -> None:
        self._journal = journal
        self._done = done
        self._loop = asyncio.get_running_loop()
        self._batches: SimpleQueue[Batch | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="lichen-store", daemon=True)
        self._thread.start()

    def submit(self, batch: Batch) -> None:
        self._batches.put(batch)

    async def close(self) -> None:
        """Commit what was submitted, then close the journal."""
        self._batches.put(None)
        await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        try:
            while (batch := self._batches.get()) is not None and not self._loop.is_closed():
                self._loop.call_soon_threadsafe(self._done, batch, self._commit(batch))
        finally:
            self._journal.close()

    def _commit(self, batch: Batch) -> ApiError | None:
        try:
            self._journal.commit(batch)
        except ApiError as error:
            return error
        except Exception:
            log.exception("the journal failed")
            return Unavailable("the store cannot write: see its log")
        return None
