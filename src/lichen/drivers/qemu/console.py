# SPDX-License-Identifier: Apache-2.0
"""The guests' serial consoles on disk: QEMU appends to one file; past a size its content moves to a second one."""

from __future__ import annotations

from pathlib import Path

from lichen.drivers.appended import move_over

LIMIT = 1 << 20
"""Bytes after which a log moves over; at most about twice that is kept of a guest."""
LOG, OLD = "console.log", "console.old"


def read(folder: Path, tail: int) -> bytes:
    """All that is kept, or the last `tail` lines of it."""
    text = b"".join(_bytes(folder / name) for name in (OLD, LOG))
    if tail <= 0:
        return text
    return b"".join(text.splitlines(keepends=True)[-tail:])


def rotate(folder: Path) -> None:
    """Move a log that grew past LIMIT."""
    move_over(folder / LOG, LIMIT, [folder / OLD], most=LIMIT)


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""
