# SPDX-License-Identifier: Apache-2.0
"""Port forwarding over a WebSocket without SPDY, as client libraries speak it: the query names the ports, and each has
two channels, one for data and one that says what went wrong. Both begin with the port's number, low byte first. Each
port is one connection, and the socket ends with the last of them."""

from __future__ import annotations

import asyncio
import contextlib

from lichen.agent.forwarding import CHUNK, WAITING, Dial
from lichen.agent.streams import Receive, Send
from lichen.model.errors import BadRequest, Permanent, Temporary, in_words

PROTOCOL = "v4.channel.k8s.io"
MOST = 64
"""Ports of one socket: a channel's number is a byte, and each port is a connection."""


def ports_of(values: list[str]) -> list[int]:
    """The ports that a query names, `ports=80,81` or one by one. BadRequest."""
    names = [name for value in values for name in value.split(",")]
    if not names:
        raise BadRequest('query parameter "ports" is required')
    if len(names) > MOST:
        raise BadRequest(f"at most {MOST} ports are forwarded over one WebSocket")
    for name in names:
        if not (name.isascii() and name.isdigit() and len(name) <= 5 and 1 <= int(name) <= 65535):
            raise BadRequest(f"port {name[:20]!r} must be a number between 1 and 65535")
    return [int(name) for name in names]


class ChannelForwarder:
    """One client. `run` returns when it is gone, or all connections have ended."""

    def __init__(self, ports: list[int], dial: Dial, receive: Receive, send: Send) -> None:
        self._ports = ports
        self._dial = dial
        self._receive = receive
        self._send = send
        self._incoming: list[asyncio.Queue[bytes]] = [asyncio.Queue(WAITING) for _ in ports]
        self._ended = [False] * len(ports)

    async def run(self) -> None:
        for channel in range(2 * len(self._ports)):
            await self._tell(channel, self._ports[channel // 2].to_bytes(2, "little"))
        reading = asyncio.create_task(self._read())
        carried = asyncio.gather(*(self._carry(index) for index in range(len(self._ports))))
        try:
            await asyncio.wait((reading, carried), return_when=asyncio.FIRST_COMPLETED)
            if not reading.done():
                await self._send({"type": "websocket.close", "code": 1000, "reason": ""})
        finally:
            for task in (reading, carried):
                task.cancel()
            await asyncio.gather(reading, carried, return_exceptions=True)

    async def _read(self) -> None:
        """Give each connection what is meant for it, until the client goes."""
        while (message := await self._receive())["type"] == "websocket.receive":
            data = message.get("bytes") or b""
            index = data[0] // 2 if data else len(self._ports)
            if index < len(self._ports) and data[0] % 2 == 0 and not self._ended[index]:
                await self._incoming[index].put(data[1:])

    async def _carry(self, index: int) -> None:
        failure = await self._connect(index)
        self._ended[index] = True
        while not self._incoming[index].empty():
            self._incoming[index].get_nowait()  # the reader may be waiting for room
        if failure:
            said = f"error forwarding port {self._ports[index]} to the pod: {failure}"
            await self._tell(2 * index + 1, said.encode())

    async def _connect(self, index: int) -> str:
        """Until the pod ends the connection; what went wrong, or ""."""
        try:
            reader, writer = await self._dial(self._ports[index])
        except (OSError, Temporary, Permanent) as error:
            return in_words(error)
        up = asyncio.create_task(self._up(index, writer))
        try:
            while data := await reader.read(CHUNK):
                await self._tell(2 * index, data)
        except OSError as error:
            return in_words(error)
        finally:
            up.cancel()
            writer.close()
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await up
        return ""

    async def _up(self, index: int, writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(await self._incoming[index].get())
            await writer.drain()

    async def _tell(self, channel: int, data: bytes) -> None:
        await self._send({"type": "websocket.send", "bytes": bytes((channel,)) + data})
