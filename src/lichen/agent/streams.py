# SPDX-License-Identifier: Apache-2.0
"""exec over a WebSocket: v5.channel.k8s.io and v4.channel.k8s.io, the channel in the first byte of each message."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import Any, cast

import msgspec

from lichen.drivers.base import Exec
from lichen.model.errors import ApiError, BadRequest, Permanent, Temporary

STDIN, STDOUT, STDERR, ERROR, RESIZE, CLOSE = 0, 1, 2, 3, 4, 255
PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io")

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


def protocol_of(offered: list[str]) -> str | None:
    """The newest protocol that both sides speak; None if there is none."""
    return next((protocol for protocol in PROTOCOLS if protocol in offered), None)


async def serve_exec(command: Exec, receive: Receive, send: Send, *, stdout: bool, stderr: bool) -> None:
    """Carry a command's streams over an accepted WebSocket until it ends; a client that goes away kills it."""
    await _message(send, STDOUT if stdout else STDERR if stderr else ERROR, b"")
    incoming = asyncio.create_task(_incoming(command, receive))
    outgoing = asyncio.create_task(_outgoing(command, send, stdout=stdout, stderr=stderr))
    try:
        await asyncio.wait((incoming, outgoing), return_when=asyncio.FIRST_COMPLETED)
        if not outgoing.done():
            command.kill()
            return
        try:
            code = await outgoing
        except (Temporary, Permanent) as error:
            await refuse(send, BadRequest(str(error)))
            return
        await _message(send, ERROR, msgspec.json.encode(exit_status(code)))
        await send({"type": "websocket.close", "code": 1000})
    finally:
        for task in (incoming, outgoing):
            task.cancel()
        await asyncio.gather(incoming, outgoing, return_exceptions=True)


async def serve_output(chunks: AsyncIterator[bytes], receive: Receive, send: Send) -> None:
    """Carry output only, until it ends or the client goes away: attach."""
    await _message(send, STDOUT, b"")

    async def pour() -> None:
        async for chunk in chunks:
            await _message(send, STDOUT, chunk)
        await _message(send, ERROR, msgspec.json.encode(exit_status(0)))
        await send({"type": "websocket.close", "code": 1000})

    async def drain() -> None:
        while (await receive())["type"] != "websocket.disconnect":
            continue

    tasks = [asyncio.create_task(pour()), asyncio.create_task(drain())]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def refuse(send: Send, error: ApiError) -> None:
    """Tell an accepted client, in its own protocol, that it cannot be served."""
    status = {
        "metadata": {}, "status": "Failure", "message": error.message, "reason": error.reason, "code": error.code,
    }  # fmt: skip
    await _message(send, ERROR, msgspec.json.encode(status))
    await send({"type": "websocket.close", "code": 1000})


def exit_status(code: int) -> dict[str, Any]:
    """The Status that ends an exec."""
    if code == 0:
        return {"metadata": {}, "status": "Success"}
    return {
        "metadata": {},
        "status": "Failure",
        "message": f"command terminated with non-zero exit code: exit code {code}",
        "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]},
    }


async def _outgoing(command: Exec, send: Send, *, stdout: bool, stderr: bool) -> int:
    async for stream, data in command.output:
        if data and ((stream == STDOUT and stdout) or (stream == STDERR and stderr)):
            await _message(send, stream, data)
    return await cast(Awaitable[int], command.wait())


async def _incoming(command: Exec, receive: Receive) -> None:
    while True:
        event = await receive()
        if event["type"] == "websocket.disconnect":
            return
        data = event.get("bytes") or (event.get("text") or "").encode()
        if not data:
            continue
        channel, payload = data[0], data[1:]
        if channel == STDIN and payload:
            command.stdin(payload)
            await command.room()
        elif channel == RESIZE:
            _resize(command, payload)
        elif channel == CLOSE and payload[:1] == bytes([STDIN]):
            command.stdin(None)


def _resize(command: Exec, payload: bytes) -> None:
    try:
        size = msgspec.json.decode(payload, type=dict[str, int])
    except msgspec.DecodeError:
        return
    command.resize(size.get("Width", 80), size.get("Height", 24))


async def _message(send: Send, channel: int, data: bytes) -> None:
    await send({"type": "websocket.send", "bytes": bytes([channel]) + data})
