# SPDX-License-Identifier: Apache-2.0
"""The streams of a container's own process, by CRI's Attach: it alone holds the process's input.

CRI answers with an address on loopback, good for one use, where a WebSocket carries the streams. Two of its traits
shape what is here. Its protocol has no word for the end of the input; but a second client that has no input ends a
`stdin_once` container's (so output alone is never asked for here: that is what logs are followed for). And it reads
one message after the other, so the answer to a ping says that all before it has reached the container.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.typing import Subprotocol

from lichen.drivers.base import Exec
from lichen.drivers.containerd import cri_pb2 as pb
from lichen.drivers.containerd import rpc
from lichen.drivers.containerd.exec import process_of
from lichen.model.errors import Permanent, Temporary

_STDIN, _RESIZE = b"\x00", b"\x04"
_OUTPUTS = (b"\x01", b"\x02")
_PROTOCOL = Subprotocol("v4.channel.k8s.io")
_WAITING = 16
"""Messages that may wait to be sent before there is no room for more."""
_MOST = 1 << 20
"""Bytes of the largest message that is taken."""


async def start_attach(client: rpc.Client, container_id: str) -> Exec:
    """Join a running container. Temporary: CRI does not let us."""
    tty = bool((await process_of(client, container_id)).get("terminal"))
    request = pb.AttachRequest(container_id=container_id, tty=tty, stdin=True, stdout=True, stderr=not tty)
    session = _Session(client, container_id, tty, await _connect(client, request))
    return Exec(session.write, session.output(), session.resize, session.wait, session.let_go, session.room)


async def _connect(client: rpc.Client, request: pb.AttachRequest) -> ClientConnection:
    url = (await client.call(rpc.ATTACH, request)).url.replace("http://", "ws://", 1)
    try:
        return await connect(url, subprotocols=[_PROTOCOL], max_size=_MOST, compression=None, proxy=None)
    except (OSError, WebSocketException) as error:
        raise Temporary(f"the container cannot be attached to: {error}") from error


class _Session:
    """One client. What it sends waits in a queue: bytes of input, a size, None for the input's end."""

    def __init__(self, client: rpc.Client, container_id: str, tty: bool, socket: ClientConnection) -> None:
        self._client = client
        self._container = container_id
        self._tty = tty
        self._socket = socket
        self._queue: asyncio.Queue[bytes | tuple[int, int] | None] = asyncio.Queue()
        self._over, self._roomy = asyncio.Event(), asyncio.Event()
        self._roomy.set()
        self._sending = asyncio.create_task(self._send(), name="attach")

    def write(self, data: bytes | None) -> None:
        self._queue.put_nowait(data)
        if self._queue.qsize() > _WAITING:
            self._roomy.clear()

    async def room(self) -> None:
        await self._roomy.wait()

    def resize(self, columns: int, rows: int) -> None:
        self._queue.put_nowait((columns, rows))

    def let_go(self) -> None:
        self._over.set()
        self._roomy.set()
        self._sending.cancel()

    async def output(self) -> AsyncIterator[tuple[int, bytes]]:
        try:
            async for message in self._socket:
                data = message if isinstance(message, bytes) else message.encode()
                if data[:1] in _OUTPUTS and len(data) > 1:
                    yield data[0], data[1:]
        except ConnectionClosed:
            return
        finally:
            self.let_go()

    async def wait(self) -> int:
        await self._over.wait()
        return 0

    async def _send(self) -> None:
        try:
            with contextlib.suppress(ConnectionClosed):
                while True:
                    item = await self._queue.get()
                    if self._queue.qsize() <= _WAITING:
                        self._roomy.set()
                    if item is None:
                        with contextlib.suppress(Temporary, Permanent):  # it has ended: what it said is still to come
                            await self._end_input()
                    elif isinstance(item, tuple):
                        size = {"Width": item[0], "Height": item[1]}
                        await self._socket.send(_RESIZE + json.dumps(size).encode())
                    else:
                        await self._socket.send(_STDIN + item)
        finally:
            await self._socket.close()

    async def _end_input(self) -> None:
        """The empty message is taken once what came before is written, not merely read."""
        if self._tty:
            return
        await self._socket.send(_STDIN)
        await (await self._socket.ping())
        request = pb.AttachRequest(container_id=self._container, stdout=True)
        await (await _connect(self._client, request)).close()
