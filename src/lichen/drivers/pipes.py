# SPDX-License-Identifier: Apache-2.0
"""Non-blocking descriptors (pipes, terminals) on the event loop, with a bound on what waits: readers hold the other
side up, writers say when there is room."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections import deque
from collections.abc import AsyncIterator, Sequence

END_OF_INPUT = b"\x04"
"""What a terminal takes for the end of input."""
ENOUGH = 1 << 20
"""Bytes that may wait to be written before there is no room for more."""

_CHUNK = 65536
_HIGH = 16  # chunks that may wait before the other side is held up


class PipeReader:
    """Reads one descriptor until its end. `ended` is set then; what was read before can still be had."""

    def __init__(self, descriptor: int) -> None:
        self.ended = asyncio.Event()
        self._descriptor = descriptor
        self._loop = asyncio.get_running_loop()
        self._chunks: deque[bytes] = deque()
        self._ready = asyncio.Event()
        self._reading = False
        self._resume()

    async def read(self) -> bytes:
        """The next bytes; b"" at the end."""
        while not self._chunks:
            if self.ended.is_set():
                return b""
            self._ready.clear()
            await self._ready.wait()
        chunk = self._chunks.popleft()
        self._resume()
        return chunk

    def close(self) -> None:
        if self._descriptor >= 0:
            self._pause()
            os.close(self._descriptor)
            self._descriptor = -1
        self.ended.set()
        self._ready.set()

    def _readable(self) -> None:
        try:
            chunk = os.read(self._descriptor, _CHUNK)
        except BlockingIOError:
            return
        except OSError:  # a terminal whose other side is gone reads as EIO
            chunk = b""
        if not chunk:
            self.close()
            return
        self._chunks.append(chunk)
        self._ready.set()
        if len(self._chunks) >= _HIGH:
            self._pause()

    def _resume(self) -> None:
        if not self._reading and self._descriptor >= 0 and len(self._chunks) < _HIGH:
            self._loop.add_reader(self._descriptor, self._readable)
            self._reading = True

    def _pause(self) -> None:
        if self._reading:
            self._loop.remove_reader(self._descriptor)
            self._reading = False


class PipeWriter:
    """Writes one descriptor in order, as fast as the other side reads."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[bytes] = deque()
        self._empty, self._roomy = asyncio.Event(), asyncio.Event()
        self._empty.set()
        self._roomy.set()
        self._size = 0

    def write(self, data: bytes) -> None:
        if self._descriptor < 0 or not data:
            return
        if not self._waiting:
            self._loop.add_writer(self._descriptor, self._writable)
            self._empty.clear()
        self._waiting.append(data)
        self._size += len(data)
        if self._size > ENOUGH:
            self._roomy.clear()

    async def room(self) -> None:
        """Return when more may be written, or nobody reads any more."""
        await self._roomy.wait()

    async def drained(self) -> None:
        """Return when everything was written, or nobody reads any more."""
        await self._empty.wait()

    def close(self) -> None:
        if self._descriptor >= 0:
            self._stop()
            os.close(self._descriptor)
            self._descriptor = -1

    def _writable(self) -> None:
        data = self._waiting[0]
        try:
            written = os.write(self._descriptor, data[:_CHUNK])
        except BlockingIOError:
            return
        except OSError:
            self._stop()
            return
        self._size -= written
        if written == len(data):
            self._waiting.popleft()
        else:
            self._waiting[0] = data[written:]
        if self._size <= ENOUGH:
            self._roomy.set()
        if not self._waiting:
            self._stop()

    def _stop(self) -> None:
        with contextlib.suppress(ValueError):
            self._loop.remove_writer(self._descriptor)
        self._waiting.clear()
        self._size = 0
        self._empty.set()
        self._roomy.set()


async def merged(readers: Sequence[tuple[int, PipeReader]]) -> AsyncIterator[tuple[int, bytes]]:
    """The streams as one, each chunk with its stream's number, until all have ended."""
    waiting: asyncio.Queue[tuple[int, bytes]] = asyncio.Queue(maxsize=4)

    async def pump(number: int, reader: PipeReader) -> None:
        while data := await reader.read():
            await waiting.put((number, data))
        await waiting.put((number, b""))

    pumps = [asyncio.create_task(pump(number, reader)) for number, reader in readers]
    try:
        left = len(pumps)
        while left:
            number, data = await waiting.get()
            if data:
                yield number, data
            else:
                left -= 1
    finally:
        for task in pumps:
            task.cancel()
