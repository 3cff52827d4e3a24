# SPDX-License-Identifier: Apache-2.0
"""Port forwarding over a WebSocket that tunnels SPDY: each connection is a pair of streams, one for data, one that
says what went wrong."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from lichen.agent.streams import Receive, Send
from lichen.drivers.spdy import Data, Event, Opened, Ping, Reset, Spdy, data_frame
from lichen.model.errors import ApiError, Permanent, Temporary, in_words

PROTOCOL = "SPDY/3.1+portforward.k8s.io"
CHUNK = 32 * 1024
WAITING = 64
"""Pieces that one connection may lag behind before the client is kept waiting."""

Dial = Callable[[int], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]
"""A connection to a port of the pod. OSError, Temporary, Permanent."""


class _Stream:
    """A data stream: what the client sent and the pod has not got yet; None ends it."""

    def __init__(self) -> None:
        self.incoming: asyncio.Queue[bytes | None] = asyncio.Queue(WAITING)
        self.task: asyncio.Task[None] | None = None


class Forwarder:
    """One client. `run` returns when it is gone."""

    def __init__(self, dial: Dial, receive: Receive, send: Send) -> None:
        self._dial = dial
        self._receive = receive
        self._send = send
        self._spdy = Spdy()
        self._errors: dict[str, int] = {}
        self._streams: dict[int, _Stream] = {}

    async def run(self) -> None:
        try:
            while (message := await self._receive())["type"] == "websocket.receive":
                for event in self._spdy.feed(message.get("bytes") or b""):
                    await self._handle(event)
        except ApiError as error:
            await self._send({"type": "websocket.close", "code": 1002, "reason": error.message[:120]})
        finally:
            tasks = [stream.task for stream in self._streams.values() if stream.task is not None]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _handle(self, event: Event) -> None:
        match event:
            case Opened(stream, headers, _):
                await self._write(self._spdy.reply(stream))
                self._open(stream, headers.get("streamtype", ""), headers.get("requestid", ""), headers.get("port", ""))
            case Data(stream, data, last) if stream in self._streams:
                incoming = self._streams[stream].incoming
                if data:
                    await incoming.put(data)
                if last:
                    await incoming.put(None)
            case Reset(stream) if stream in self._streams:
                task = self._streams.pop(stream).task
                if task is not None:
                    task.cancel()
            case Ping(frame):
                await self._write(frame)

    def _open(self, stream: int, kind: str, request: str, port: str) -> None:
        if kind == "error":
            self._errors[request] = stream
        elif kind == "data":
            made = self._streams[stream] = _Stream()
            made.task = asyncio.create_task(self._forward(stream, made, self._errors.pop(request, 0), port))

    async def _forward(self, number: int, stream: _Stream, errors: int, port: str) -> None:
        try:
            failure = await self._carry(number, stream, int(port) if port.isdigit() else 0)
            if failure and errors:
                await self._write(data_frame(errors, f"error forwarding port {port} to the pod: {failure}".encode()))
            for each in (errors, number):
                if each:
                    await self._write(data_frame(each, b"", last=True))
        finally:
            self._streams.pop(number, None)
            while not stream.incoming.empty():
                stream.incoming.get_nowait()  # the reader may be waiting for room

    async def _carry(self, number: int, stream: _Stream, port: int) -> str:
        """Until the pod ends the connection; what went wrong, or ""."""
        try:
            reader, writer = await self._dial(port)
        except (OSError, Temporary, Permanent) as error:
            return in_words(error)
        up = asyncio.create_task(_up(stream.incoming, writer))
        try:
            while data := await reader.read(CHUNK):
                await self._write(data_frame(number, data))
        except OSError as error:
            return in_words(error)
        finally:
            up.cancel()
            writer.close()
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await up
        return ""

    async def _write(self, frame: bytes) -> None:
        await self._send({"type": "websocket.send", "bytes": frame})


async def _up(incoming: asyncio.Queue[bytes | None], writer: asyncio.StreamWriter) -> None:
    while (data := await incoming.get()) is not None:
        writer.write(data)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()
