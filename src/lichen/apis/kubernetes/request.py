# SPDX-License-Identifier: Apache-2.0
"""One HTTP request: its head, its query and its body, read once."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qsl

from lichen.apis.kubernetes.routing import Target
from lichen.model.errors import BadRequest, TooLarge
from lichen.model.state import Caller

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]

MAX_BODY = 3 * 1024 * 1024
"""Bytes; upstream's limit."""

_TRUE = frozenset(("1", "t", "T", "true", "TRUE", "True", ""))


class Request:
    """A request while it is answered. `code` and `length` are of the answer, `target` is the object or kind it is
    about, if any: for log and metrics."""

    __slots__ = (
        "caller",
        "code",
        "headers",
        "id",
        "length",
        "method",
        "path",
        "query",
        "receive",
        "scope",
        "send",
        "target",
    )

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope = scope
        self.receive = receive
        self.send = send
        self.method: str = scope.get("method", "GET")
        self.path: str = scope["path"]
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        self.query: dict[str, str] = {}
        given = self.headers.get(b"audit-id") or self.headers.get(b"x-request-id") or b""
        self.id = given.decode("latin-1") if 0 < len(given) <= 64 and given.isascii() else secrets.token_hex(8)
        self.caller: Caller | None = None
        self.target: Target | None = None
        self.code = 0
        self.length = 0

    def parse(self) -> None:
        """Read the query. BadRequest."""
        raw = self.scope["query_string"]
        if raw:
            self.query = query_of(raw)

    def header(self, name: bytes) -> str:
        return self.headers.get(name, b"").decode("latin-1")

    def agent(self) -> str:
        """What the client calls itself, cut short."""
        return self.headers.get(b"user-agent", b"")[:96].decode("latin-1")

    def flag(self, name: str) -> bool:
        """A query parameter as Kubernetes reads booleans: present and not false."""
        value = self.query.get(name)
        return value is not None and value in _TRUE

    def number(self, name: str) -> int | None:
        """A whole query parameter ≥ 0, None if absent or empty. BadRequest."""
        value = self.query.get(name)
        if not value:
            return None
        if not (value.isascii() and value.isdigit() and len(value) < 20):
            raise BadRequest(f'the query parameter {name} must be a whole number, not "{value[:64]}"')
        return int(value)

    async def body(self) -> bytes:
        """The whole body. TooLarge: it is over MAX_BODY; the rest is not read. BadRequest: the client went away."""
        declared = self.headers.get(b"content-length", b"0")
        if declared.isdigit() and int(declared) > MAX_BODY:
            raise _too_large()
        message = await self.receive()
        if not message.get("more_body") and message["type"] == "http.request":
            whole: bytes = message.get("body", b"")
            return whole
        return await self._long_body(message)

    async def _long_body(self, message: Message) -> bytes:
        chunks = [message.get("body", b"")]
        size = len(chunks[0])
        while message.get("more_body"):
            message = await self.receive()
            chunks.append(message.get("body", b""))
            size += len(chunks[-1])
            if size > MAX_BODY:
                raise _too_large()
        if message["type"] == "http.disconnect":
            raise BadRequest("the client went away before its request was complete")
        return b"".join(chunks)


def query_of(raw: bytes) -> dict[str, str]:
    """The first value of each query parameter. BadRequest: it is no UTF-8."""
    query: dict[str, str] = {}
    try:
        for key, value in parse_qsl(raw.decode("latin-1"), keep_blank_values=True, errors="strict"):
            query.setdefault(key, value)
    except ValueError as fault:
        raise BadRequest(f"the query cannot be read: {fault}") from None
    return query


def _too_large() -> TooLarge:
    return TooLarge(f"Request entity too large: limit is {MAX_BODY}")
