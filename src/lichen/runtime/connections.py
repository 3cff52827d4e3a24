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
BODY_SECONDS = 60.0
BODY_BYTES = 60 * 1024
"""That must have come of a body in each BODY_SECONDS, or all of it: it holds a request, and what has come of it."""
_TOO_SLOW = b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class BoundedHttp(HttpToolsProtocol):
    """uvicorn's protocol, whose parser knows no bounds: it keeps a head for as long as it comes, and waits for ever for
    a body. An application whose client's body is too slow sees that the client has gone."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._unread = 0  # bytes since the parser last understood something
        self._deadline: asyncio.TimerHandle | None = None
        self._lacks_body = False
        self._came = 0  # bytes of a body, since its pace was last looked at
        self._pace: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._hurry()

    def connection_lost(self, exc: Exception | None) -> None:
        self._understood()
        self._has_body()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():  # TLS says good-bye slowly, and hands on what comes meanwhile
            return
        self._unread += len(data)
        super().data_received(data)
        if self._unread and self._deadline is None:
            self._hurry()
        if self._lacks_body and self._pace is None:
            self._look_again()
        if self._unread > MAX_HEAD:
            self.transport.write(_TOO_LARGE)
            self.transport.close()

    def on_headers_complete(self) -> None:
        self._understood()
        self._lacks_body = True
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._understood()
        self._came += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._has_body()
        super().on_message_complete()

    def handle_websocket_upgrade(self) -> None:
        self._has_body()
        super().handle_websocket_upgrade()

    def _hurry(self) -> None:
        self._deadline = self.loop.call_later(HEAD_SECONDS, lambda: self.transport.close())

    def _understood(self) -> None:
        self._unread = 0
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _has_body(self) -> None:
        self._lacks_body = False
        if self._pace is not None:
            self._pace.cancel()
            self._pace = None

    def _look_again(self) -> None:
        self._came = 0
        self._pace = self.loop.call_later(BODY_SECONDS, self._look)

    def _look(self) -> None:
        """At how much of the body came, unless it is the application that lets its client wait."""
        waits_for_us = self.flow.read_paused or (self.cycle is not None and self.cycle.waiting_for_100_continue)
        if self._came >= BODY_BYTES or waits_for_us:
            self._look_again()
            return
        if self.cycle is not None and not self.cycle.response_started:
            self.transport.write(_TOO_SLOW)
        self.transport.close()
