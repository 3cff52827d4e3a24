# SPDX-License-Identifier: Apache-2.0
"""One WebSocket passed on, frame by frame, in both directions."""

from __future__ import annotations

import asyncio
import ssl

import aiohttp
from yarl import URL

from lichen.apis.kubernetes.request import Receive, Scope, Send

_MAX_FRAME = 32 * 1024 * 1024


async def pass_websocket(
    client: aiohttp.ClientSession,
    url: str,
    context: ssl.SSLContext | bool,
    scope: Scope,
    receive: Receive,
    send: Send,
) -> None:
    """Connect onwards, then accept with the same subprotocol; a refusal is passed on as it is."""
    await receive()  # websocket.connect
    try:
        onwards = await client.ws_connect(
            URL(url, encoded=True),
            protocols=tuple(scope.get("subprotocols") or ()),
            ssl=context,
            max_msg_size=_MAX_FRAME,
            autoping=True,
        )
    except aiohttp.WSServerHandshakeError as refusal:
        await _deny(send, refusal)
        return
    async with onwards:
        await send({"type": "websocket.accept", "subprotocol": onwards.protocol})
        there = asyncio.create_task(_to_agent(receive, onwards))
        back = asyncio.create_task(_to_client(onwards, send))
        try:
            await asyncio.wait((there, back), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (there, back):
                task.cancel()
            await asyncio.gather(there, back, return_exceptions=True)


async def _to_agent(receive: Receive, onwards: aiohttp.ClientWebSocketResponse) -> None:
    while True:
        message = await receive()
        if message["type"] != "websocket.receive":
            return
        if message.get("bytes") is not None:
            await onwards.send_bytes(message["bytes"])
        else:
            await onwards.send_str(message["text"])


async def _to_client(onwards: aiohttp.ClientWebSocketResponse, send: Send) -> None:
    async for message in onwards:
        if message.type is aiohttp.WSMsgType.BINARY:
            await send({"type": "websocket.send", "bytes": message.data})
        elif message.type is aiohttp.WSMsgType.TEXT:
            await send({"type": "websocket.send", "text": message.data})
    await send({"type": "websocket.close", "code": onwards.close_code or 1000, "reason": ""})


async def _deny(send: Send, refusal: aiohttp.WSServerHandshakeError) -> None:
    body = f"the node's agent refused: {refusal.status} {refusal.message}".encode()
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"%d" % len(body))]
    await send({"type": "websocket.http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": body})
