# SPDX-License-Identifier: Apache-2.0
"""A client of containerd's streaming server: named streams over SPDY/3.1, at an address that is good for one use.

Nothing is sent but what is asked for: who writes to a connection that the other side has closed already loses what was
not yet read of it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from urllib.parse import urlsplit

from lichen.drivers.spdy import Data, Event, Replied, Spdy, data_frame
from lichen.model.errors import BadRequest, Temporary

_CHUNK = 1 << 16
_PATIENCE = 15.0
"""Seconds in which streams are opened, or not at all."""


async def open_streams(url: str, names: Sequence[str]) -> Streams:
    """Streams of these names, accepted by the server. Temporary: nobody is there, or it does not let us."""
    try:
        async with asyncio.timeout(_PATIENCE):
            return await _open(url, names)
    except (OSError, EOFError) as error:
        raise Temporary(f"containerd does not open streams: {error or type(error).__name__}") from error


async def _open(url: str, names: Sequence[str]) -> Streams:
    to = urlsplit(url)
    reader, writer = await asyncio.open_connection(to.hostname, to.port)
    try:
        writer.write(_request(to.path, to.netloc))
        answer = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").splitlines()[0]
        if answer.split()[1:2] != ["101"]:
            raise Temporary(f"containerd does not open streams: {answer}")
        streams = Streams(reader, writer, names)
        await streams.accepted()
    except BaseException:
        writer.close()
        raise
    return streams


def _request(path: str, host: str) -> bytes:
    lines = (
        f"POST {path} HTTP/1.1", f"Host: {host}", "Content-Length: 0", "Connection: Upgrade", "Upgrade: SPDY/3.1",
        "X-Stream-Protocol-Version: v4.channel.k8s.io",
    )  # fmt: skip
    return "".join(f"{line}\r\n" for line in (*lines, "")).encode()


class Streams:
    """An open connection. Close it when done."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, names: Sequence[str]) -> None:
        self._spdy = Spdy()
        self._reader, self._writer = reader, writer
        self._numbers = {name: 2 * place + 1 for place, name in enumerate(names)}
        self._names = {number: name for name, number in self._numbers.items()}
        self._events = self._read()
        for name, number in self._numbers.items():
            writer.write(self._spdy.open(number, {"streamtype": name}))

    async def accepted(self) -> None:
        """Wait until the server knows all streams. EOFError, OSError, Temporary."""
        waiting = set(self._names)
        async for event in self._events:
            if isinstance(event, Replied):
                waiting.discard(event.stream)
            if not waiting:
                return
        raise EOFError("it closed the connection")

    async def read(self) -> AsyncIterator[tuple[str, bytes]]:
        """What comes, with the name of its stream, until the server closes the connection. Temporary."""
        with contextlib.suppress(ConnectionError):
            async for event in self._events:
                if isinstance(event, Data) and event.data and event.stream in self._names:
                    yield self._names[event.stream], event.data

    async def write(self, name: str, data: bytes, *, last: bool = False) -> None:
        """Return when there is room for more. ConnectionError. last: no more is sent on this stream."""
        for at in range(0, max(len(data), 1), _CHUNK):
            part = data[at : at + _CHUNK]
            self._writer.write(data_frame(self._numbers[name], part, last=last and at + _CHUNK >= len(data)))
            await self._writer.drain()

    def close(self) -> None:
        self._writer.close()

    async def _read(self) -> AsyncIterator[Event]:
        try:
            while data := await self._reader.read(_CHUNK):
                for event in self._spdy.feed(data):
                    yield event
        except BadRequest as error:
            raise Temporary(f"containerd says what is not understood: {error.message}") from error
