# SPDX-License-Identifier: Apache-2.0
"""The streams of a container's own process, by CRI's Attach: it alone holds the process's input.

Two of its traits cut off what a container says in the moment of its end, and shape what is here. It closes the
connection at once, and input that is sent after that destroys what was not yet read. And of a client that gives input
and takes output, the first stream that ends ends the others, whatever they still hold. So there are two clients: one
takes output and never sends anything; the other, made once the first is there, gives input and takes none.

Over a WebSocket, CRI lets nobody be without input, nor tell its end: hence SPDY.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import msgspec

from lichen.drivers.base import Exec
from lichen.drivers.containerd import cri_pb2 as pb
from lichen.drivers.containerd import rpc
from lichen.drivers.containerd.exec import process_of
from lichen.drivers.containerd.streaming import Streams, open_streams
from lichen.model.errors import Permanent

_OUTPUTS = {"stdout": 1, "stderr": 2}
_WAITING = 16
"""Messages that may wait to be sent before there is no room for more."""


async def start_attach(client: rpc.Client, container_id: str) -> Exec:
    """Join a running container. Temporary: CRI does not let us. Its output raises Permanent (CannotAttach) if the
    container had ended before it was joined, or containerd went away."""
    tty = bool((await process_of(client, container_id)).get("terminal"))
    outputs = ["stdout"] if tty else ["stdout", "stderr"]
    hearing = pb.AttachRequest(container_id=container_id, stdout=True, stderr=not tty)
    heard = await _join(client, hearing, "error", *outputs)
    try:
        speaking = pb.AttachRequest(container_id=container_id, tty=tty, stdin=True)
        spoken = await _join(client, speaking, "error", "stdin", *(["resize"] if tty else []))
    except (rpc.Gone, rpc.Refused):  # it has ended: what it said is still to come
        spoken = None
    except BaseException:
        heard.close()
        raise
    session = _Session(tty, heard, spoken)
    return Exec(session.write, session.output(), session.resize, session.wait, session.let_go, session.room)


async def _join(client: rpc.Client, request: pb.AttachRequest, *streams: str) -> Streams:
    return await open_streams((await client.call(rpc.ATTACH, request)).url, streams)


class _Session:
    """One client. What it sends waits in a queue: bytes of input, a size, None for the input's end. spoken: None if
    nobody is there any more to take it."""

    def __init__(self, tty: bool, heard: Streams, spoken: Streams | None) -> None:
        self._tty = tty
        self._heard, self._spoken = heard, spoken
        self._queue: asyncio.Queue[bytes | tuple[int, int] | None] = asyncio.Queue()
        self._over, self._roomy = asyncio.Event(), asyncio.Event()
        self._roomy.set()
        self._sending = asyncio.create_task(self._send(), name="attach")

    def write(self, data: bytes | None) -> None:
        if not (self._tty and data is None):  # a terminal's input has no end
            self._put(data)

    def resize(self, columns: int, rows: int) -> None:
        if self._tty:
            self._put((columns, rows))

    def _put(self, item: bytes | tuple[int, int] | None) -> None:
        if self._sending.done():
            return
        self._queue.put_nowait(item)
        if self._queue.qsize() > _WAITING:
            self._roomy.clear()

    async def room(self) -> None:
        await self._roomy.wait()

    def let_go(self) -> None:
        self._over.set()
        self._sending.cancel()
        self._heard.close()
        if self._spoken is not None:
            self._spoken.close()

    async def output(self) -> AsyncIterator[tuple[int, bytes]]:
        verdict = b""
        try:
            async for name, data in self._heard.read():
                if name in _OUTPUTS:
                    yield _OUTPUTS[name], data
                else:
                    verdict += data
            if not self._over.is_set():
                _check(verdict)
        finally:
            self.let_go()

    async def wait(self) -> int:
        await self._over.wait()
        return 0

    async def _send(self) -> None:
        """Until the input ends, or nobody takes it."""
        try:
            if self._spoken is not None:
                with contextlib.suppress(ConnectionError):
                    await self._pass_on(self._spoken)
        finally:
            self._roomy.set()

    async def _pass_on(self, spoken: Streams) -> None:
        while (item := await self._queue.get()) is not None:
            if self._queue.qsize() <= _WAITING:
                self._roomy.set()
            if isinstance(item, tuple):
                await spoken.write("resize", msgspec.json.encode({"Width": item[0], "Height": item[1]}))
            else:
                await spoken.write("stdin", item)
        await spoken.write("stdin", b"", last=True)


def _check(said: bytes) -> None:
    """What CRI says last is a Status: that all went well, or why nothing could be attached to."""
    try:
        status: dict[str, Any] = msgspec.json.decode(said, type=dict)
    except msgspec.DecodeError:
        status = {"message": "containerd broke off"}
    if status.get("status") != "Success":
        raise Permanent("CannotAttach", f"the container cannot be attached to: {status.get('message')}")
