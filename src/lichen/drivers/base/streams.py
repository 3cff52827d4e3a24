# SPDX-License-Identifier: Apache-2.0
"""What is said and heard: a command in a container, a container's own process, a guest's serial line."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass


async def _at_once() -> None:
    """There is always room: what is not read is lost, or nothing is kept."""


@dataclass(frozen=True, slots=True)
class Exec:
    """Bytes in, bytes out, an exit code: a running command inside a container, or whatever speaks like one."""

    stdin: Callable[[bytes | None], None]  # None closes it
    output: AsyncIterator[tuple[int, bytes]]  # (1 stdout | 2 stderr, data), ends when the command ends
    resize: Callable[[int, int], None]  # columns, rows
    wait: Callable[[], object]  # awaitable of the exit code
    kill: Callable[[], None]
    room: Callable[[], Awaitable[None]] = _at_once  # returns when little enough waits to be read that more may come
