# SPDX-License-Identifier: Apache-2.0
"""The guests' serial consoles on disk: QEMU appends to one file; past a size its content moves to a second one."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

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
    """Move a log that grew past LIMIT. QEMU opened it for appending, so it may be emptied under it; what the guest
    writes between the copy and that is lost."""
    log = folder / LOG
    try:
        if log.stat().st_size < LIMIT:
            return
        part = folder / (OLD + ".part")
        with log.open("rb") as source, part.open("wb") as target:
            source.seek(-LIMIT, os.SEEK_END)
            shutil.copyfileobj(source, target)
        os.truncate(log, 0)
        os.replace(part, folder / OLD)
    except FileNotFoundError:
        return


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""
