# SPDX-License-Identifier: Apache-2.0
"""What this machine can do at best, right now: SQLite's commits with fsync, a bare ASGI server."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

from bench.http import Load, load
from bench.lib import Cloud, folder, hello

ROW = b"x" * 1024


def commits(rows: int, seconds: float = 2.0) -> float:
    """Rows of 1 KB per second that reach the disk in commits of `rows`: SQLite, WAL, synchronous=FULL."""
    with folder() as place:
        database = sqlite3.connect(Path(place) / "limit.db", isolation_level=None)
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA synchronous=FULL")
        database.execute("CREATE TABLE rows (id INTEGER PRIMARY KEY, body BLOB)")
        done, start = 0, time.perf_counter()
        while time.perf_counter() - start < seconds:
            database.execute("BEGIN")
            database.executemany("INSERT INTO rows (body) VALUES (?)", [(ROW,)] * rows)
            database.execute("COMMIT")
            done += rows
        took = time.perf_counter() - start
        database.close()
        return done / took


def bare(cloud: Cloud, clients: int) -> Load:
    """A hello-world on uvicorn over TLS, asked by as many clients."""
    with hello(cloud) as url:
        return load(url, "GET", "/", {}, clients=clients, seconds=3)
