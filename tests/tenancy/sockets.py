# SPDX-License-Identifier: Apache-2.0
"""Opens WebSockets of an ASGI app without a socket, and goes away at once."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

CHANNELS = ("v5.channel.k8s.io", "v4.channel.k8s.io", "SPDY/3.1+portforward.k8s.io")


async def dial(app: Any, path: str, headers: dict[str, str], protocols: tuple[str, ...]) -> tuple[int, bytes]:
    """101 if the socket was opened, else the status of the refusal; and all that was said."""
    target, _, query = path.partition("?")
    inbox: list[dict[str, Any]] = [{"type": "websocket.connect"}]
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return inbox.pop(0) if inbox else {"type": "websocket.disconnect", "code": 1000}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {
        "type": "websocket", "scheme": "wss", "path": unquote(target), "raw_path": target.encode(),
        "query_string": query.encode(), "subprotocols": list(protocols), "server": ("127.0.0.1", 80),
        "headers": [(k.lower().encode(), v.encode("utf-8", "surrogateescape")) for k, v in headers.items()],
        "extensions": {"websocket.http.response": {}},
    }  # fmt: skip
    await app(scope, receive, send)
    said = b"".join((m.get("bytes") or b"") + (m.get("text") or "").encode() + (m.get("body") or b"") for m in sent)
    begun = sent[0] if sent else {"type": "websocket.close"}
    if begun["type"] == "websocket.accept":
        return 101, said
    return int(begun.get("status", 403)), said
