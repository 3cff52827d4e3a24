# SPDX-License-Identifier: Apache-2.0
"""A node's agent for tests: says what it was asked, echoes what is typed."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from lichen.apis.kubernetes.request import AsgiApp, Receive, Scope, Send
from lichen.model.errors import BadRequest


class FakeNode:
    """`calls` are (node, path, query, headers) of every call."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str, str, dict[str, str]]] = []

    async def app(self, node: str) -> AsgiApp:
        async def call(scope: Scope, receive: Receive, send: Send) -> None:
            headers = {name.decode(): value.decode() for name, value in scope["headers"]}
            self.calls.append((node, scope["path"], scope["query_string"].decode(), headers))
            if scope["type"] == "websocket":
                await self._exec(scope, receive, send)
            else:
                await self._log(scope, send)

        return call

    async def _log(self, scope: Scope, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
        for line in range(3):
            await send({"type": "http.response.body", "body": f"line {line}\n".encode(), "more_body": True})
            if b"follow=true" in scope["query_string"]:
                await asyncio.sleep(0.05)
        await send({"type": "http.response.body", "body": b""})

    async def _exec(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not scope["subprotocols"]:
            raise BadRequest("the WebSocket must offer v5.channel.k8s.io or v4.channel.k8s.io")  # as the agent says
        await receive()
        await send({"type": "websocket.accept", "subprotocol": scope["subprotocols"][0]})
        await send({"type": "websocket.send", "bytes": b"\x01" + scope["query_string"] + b"\n"})
        if b"stdin=true" in scope["query_string"]:
            await self._echo(receive, send)
        fails = b"command=false" in scope["query_string"]
        await send({"type": "websocket.send", "bytes": b"\x03" + json.dumps(_status(fails)).encode()})
        await send({"type": "websocket.close", "code": 1000})

    async def _echo(self, receive: Receive, send: Send) -> None:
        """Until standard input is closed (v5: frame 255, channel 0)."""
        while True:
            message = await receive()
            frame = message.get("bytes") or b""
            if message["type"] != "websocket.receive" or frame[:1] == b"\xff":
                return
            if frame[:1] == b"\x00":
                await send({"type": "websocket.send", "bytes": b"\x01" + frame[1:].upper()})


def _status(fails: bool) -> dict[str, Any]:
    if not fails:
        return {"metadata": {}, "status": "Success"}
    causes = [{"reason": "ExitCode", "message": "7"}]
    return {
        "metadata": {},
        "status": "Failure",
        "reason": "NonZeroExitCode",
        "message": "command terminated with exit code 7",
        "details": {"causes": causes},
    }
