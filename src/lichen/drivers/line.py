# SPDX-License-Identifier: Apache-2.0
"""A serial line on which several may talk: what one types all may type, and each hears all that is said."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

from lichen.drivers.base import Exec

UNHEARD = 256
"""Chunks that wait for one who does not listen; older ones are lost to him."""


class Line:
    """write: carries what is typed to the other side. left: called when the last one has gone."""

    def __init__(self, write: Callable[[bytes], None], left: Callable[[], None] = lambda: None) -> None:
        self._write = write
        self._left = left
        self._talkers: set[asyncio.Queue[bytes | None]] = set()

    def join(self) -> Exec:
        """Hear what is said from now on, and type. A line has no size and no end of input."""
        heard: asyncio.Queue[bytes | None] = asyncio.Queue(UNHEARD)
        over: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._talkers.add(heard)

        async def said() -> AsyncIterator[tuple[int, bytes]]:
            try:
                while (data := await heard.get()) is not None:
                    yield 1, data
                over.set_result(0)
            finally:
                self._leave(heard)

        return Exec(
            stdin=lambda data: self._write(data) if data else None,
            output=said(),
            resize=lambda columns, rows: None,
            wait=lambda: over,
            kill=lambda: self._leave(heard),
        )

    def say(self, data: bytes) -> None:
        for heard in self._talkers:
            _put(heard, data)

    def end(self) -> None:
        """The other side is gone."""
        for heard in tuple(self._talkers):
            _put(heard, None)

    def _leave(self, heard: asyncio.Queue[bytes | None]) -> None:
        if heard in self._talkers:
            self._talkers.remove(heard)
            if not self._talkers:
                self._left()


def _put(heard: asyncio.Queue[bytes | None], data: bytes | None) -> None:
    if heard.full():
        heard.get_nowait()
    heard.put_nowait(data)
