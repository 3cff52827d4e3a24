# SPDX-License-Identifier: Apache-2.0
"""HTTP connections that cost no more than they should before anybody knows whose they are."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD = 64 * 1024
"""Bytes that a request's head (or what follows a body in chunks) may have, give or take one read of the socket."""
HEAD_SECONDS = 30.0
"""In which a head must have come: a connection that says nothing, or says it byte by byte, is one that others lack."""
_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class BoundedHttp(HttpToolsProtocol):
    """uvicorn's protocol, whose parser knows no bounds: it keeps a head for as long as it comes."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._unread = 0  # bytes since the parser last understood something
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._hurry()

    def connection_lost(self, exc: Exception | None) -> None:
        self._understood()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():  # TLS says good-bye slowly, and hands on what comes meanwhile
            return
        self._unread += len(data)
        super().data_received(data)
        if self._unread and self._deadline is None:
            self._hurry()
        if self._unread > MAX_HEAD:
            self.transport.write(_TOO_LARGE)
            self.transport.close()

    def on_headers_complete(self) -> None:
        self._understood()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._understood()
        super().on_body(body)

    def _hurry(self) -> None:
        self._deadline = self.loop.call_later(HEAD_SECONDS, lambda: self.transport.close())

    def _understood(self) -> None:
        self._unread = 0
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
