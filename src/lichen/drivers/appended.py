# SPDX-License-Identifier: Apache-2.0
"""Files to which another process appends, kept from filling the disk.

Who appends has the file open (its stderr, as a rule), and may have no right to open another: so its content is copied,
and the file emptied under it. Opened for appending, it goes on at the new end. What is written between the copy and
the emptying, some microseconds, is lost.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

_BLOCK = 1 << 20
_SOON = 64 << 10


def move_over(file: Path, limit: int, old: Sequence[Path], *, most: int = 0) -> bool:
    """Move a file's content over if it has grown past `limit` bytes: into the first of `old`, whose content goes into
    the second, and so on; the last one's is dropped. most: newest bytes that are kept of it; 0: twice the limit. Says
    whether it was moved. OSError: there is no room; nothing but the oldest content is lost."""
    try:
        size = file.stat().st_size
    except FileNotFoundError:
        return False
    if size < limit:
        return False
    old[-1].unlink(missing_ok=True)
    part = old[0].with_name(old[0].name + ".part")
    try:
        _copy_end(file, max(0, size - (most or 2 * limit)), part)
    except OSError:
        part.unlink(missing_ok=True)
        raise
    os.truncate(file, 0)
    for older, newer in zip(reversed(old[1:]), reversed(old[:-1]), strict=True):
        if newer.exists():
            newer.replace(older)
    part.replace(old[0])
    return True


def _copy_end(file: Path, start: int, into: Path) -> None:
    """Whole lines, where there are lines: from the first that begins after `start` to the last that has its end."""
    with file.open("rb") as source, into.open("wb") as target:
        source.seek(max(0, start - 1))
        block = source.read(_BLOCK)
        if start:
            block = block[block.find(b"\n", 0, _SOON) + 1 or 1 :]
        while len(following := source.read(_BLOCK)) == _BLOCK:
            target.write(block)
            block = following
        block += following
        target.write(block[: block.rfind(b"\n") + 1] or block)
