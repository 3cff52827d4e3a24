# SPDX-License-Identifier: Apache-2.0
"""State over memory and SQLite: an event log with revisions. Knows nothing of schemas, callers or kinds' meaning."""

from __future__ import annotations

from lichen.store.engine import Window
from lichen.store.memory import MemoryStore
from lichen.store.paging import RawPage
from lichen.store.sqlite import Sealer, SqliteStore, StoreError
from lichen.store.state import Store, Stored
from lichen.store.watching import RawEvent, Watcher

__all__ = [
    "MemoryStore",
    "RawEvent",
    "RawPage",
    "Sealer",
    "SqliteStore",
    "Store",
    "StoreError",
    "Stored",
    "Watcher",
    "Window",
]
