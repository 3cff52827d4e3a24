# SPDX-License-Identifier: Apache-2.0
"""An ASGI app on a listening socket, with TLS: the one way in which Lichen serves HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Coroutine
from pathlib import Path
from typing import Any
from weakref import WeakSet

import uvicorn
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState

from lichen.daemon.sockets import BACKLOG
from lichen.runtime.connections import BoundedHttp

CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""Of TLS 1.2: forward secret and authenticated. TLS 1.3 has no others."""
GRACE = 5.0
FLUSH = 1.0
"""Seconds for connections to say good-bye."""


class _Connections(set[Any]):
    """The open connections. `changed` is set whenever one has gone."""

    def __init__(self) -> None:
        super().__init__()
        self.changed = asyncio.Event()
        self.shaking_hands: WeakSet[_Connection] = WeakSet()

    def discard(self, connection: Any) -> None:
        super().discard(connection)
        self.changed.set()

    async def gone(self) -> None:
        """All that were accepted have ended, those too whose TLS handshake was under way."""
        while self or self.shaking_hands:
            self.changed.clear()
            await self.changed.wait()


class _HeadWithBody:
    """A connection's transport on which an answer's head waits for the first of its body, at most until the loop's next
    turn: both go out as one TLS record. What is held is never more than a head, so that back-pressure stays uvicorn's.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._head = b""
        self._soon = asyncio.get_running_loop().call_soon

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        if self._head:
            data, self._head = self._head + data, b""
        elif data.startswith(b"HTTP/1.1 "):
            self._head = data
            self._soon(self._flush)
            return
        self._transport.write(data)

    def close(self) -> None:
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        head, self._head = self._head, b""
        if head and not self._transport.is_closing():
            self._transport.write(head)


class _Connection(BoundedHttp):
    """Accepted at once, counted as a connection by uvicorn only once its handshake is done."""

    def __init__(self, config: uvicorn.Config, state: ServerState, connections: _Connections) -> None:
        super().__init__(config=config, server_state=state, app_state={})
        self._connections = connections
        connections.shaking_hands.add(self)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(_HeadWithBody(transport))  # type: ignore[arg-type]
        self._connections.shaking_hands.discard(self)


class _WebSocket(WebSocketsSansIOProtocol):
    """The application alone chooses a subprotocol: names that kubectl offers (`SPDY/3.1+portforward.k8s.io`) are no
    tokens as the library wants them."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.conn.process_subprotocol = _no_choice  # type: ignore[method-assign]


def _no_choice(headers: Any) -> None:
    return None


def server_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """What a listener accepts, the same wherever Lichen listens and whatever the server's library thinks."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    context.load_cert_chain(certificate, key)
    return context


@contextlib.asynccontextmanager
async def serving(
    app: Any, sock: socket.socket, tls: tuple[Path, Path], *, patience: float = 0.0
) -> AsyncIterator[None]:
    """Serve `app` on `sock` with (certificate, key) until the block ends; then open requests get GRACE seconds.

    patience: seconds for which, at the end, connections that are already open may still ask; each is told with its
    next answer that it was the last. That way no request crosses a connection's end, while another process that has
    the same socket answers new connections.

    uvicorn's protocols are used without its Server, whose main loop wakes ten times a second for signals and dates.
    """
    config = uvicorn.Config(
        app,
        http=_Connection,
        ws=_WebSocket,
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        timeout_keep_alive=75,
        ws_max_size=4 * 1024 * 1024,
        ws_ping_interval=None,
    )
    config.load()
    state = ServerState()
    state.connections = connections = _Connections()
    server = await asyncio.get_running_loop().create_server(
        lambda: _Connection(config, state, connections), sock=sock, ssl=server_context(*tls), backlog=BACKLOG
    )
    try:
        yield
    finally:
        server.close()
        await _drain(state, connections, patience)


async def _drain(state: ServerState, connections: _Connections, patience: float) -> None:
    state.default_headers.append((b"connection", b"close"))
    if patience:
        await _at_most(patience, connections.gone())
    for connection in list(connections):
        connection.shutdown()
    if state.tasks:
        await asyncio.wait(state.tasks, timeout=GRACE)
    for task in list(state.tasks):
        task.cancel()
    connections.shaking_hands.clear()
    await _at_most(FLUSH, connections.gone())


async def _at_most(seconds: float, work: Coroutine[Any, Any, None]) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(work, seconds)
