# SPDX-License-Identifier: Apache-2.0
"""Failures on a remote-command WebSocket, told inside it.

A client whose handshake is refused tries SPDY next and then shows that refusal, not the first one: so what the node
says is sent on the error channel of a socket that was accepted.
"""

from __future__ import annotations

from typing import Any

import msgspec

from lichen.apis.kubernetes.request import Message, Scope, Send
from lichen.apis.kubernetes.status import status_body
from lichen.model.errors import ApiError, BadRequest, Unavailable

_SPOKEN = ("v5.channel.k8s.io", "v4.channel.k8s.io")
_ERROR = b"\x03"


def speaks_channels(scope: Scope) -> str:
    """The subprotocol with an error channel that the client offers, "" if none."""
    return next((name for name in scope.get("subprotocols") or () if name in _SPOKEN), "")


async def tell_failure(scope: Scope, send: Send, error: ApiError) -> None:
    """Accept the socket, say what went wrong, close it."""
    await send({"type": "websocket.accept", "subprotocol": speaks_channels(scope)})
    await send({"type": "websocket.send", "bytes": _ERROR + status_body(error)})
    await send({"type": "websocket.close", "code": 1000, "reason": ""})


class Denial:
    """Turns an application's refusal of a handshake into a failure told on the socket."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self._scope = scope
        self._send = send
        self._code = 0
        self._body: list[bytes] = []

    async def __call__(self, message: Message) -> None:
        kind = message["type"]
        if kind == "websocket.http.response.start":
            self._code = message["status"]
        elif kind == "websocket.http.response.body":
            self._body.append(message.get("body", b""))
            if not message.get("more_body"):
                await tell_failure(self._scope, self._send, _error_of(self._code, b"".join(self._body)))
        else:
            await self._send(message)


def _error_of(code: int, body: bytes) -> ApiError:
    message = _message_of(body) or f"the node's agent refused with {code}"
    return Unavailable(message) if code >= 500 else BadRequest(message)


def _message_of(body: bytes) -> str:
    """The message of a Status, or the text itself."""
    try:
        status: Any = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return body[:512].decode("utf-8", "replace").strip()
    return str(status.get("message", "")) if isinstance(status, dict) else ""
