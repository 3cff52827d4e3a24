# SPDX-License-Identifier: Apache-2.0
"""An ASGI app on a listening socket, with TLS: the one way in which Lichen serves HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import uvicorn
from uvicorn.server import ServerState

from lichen.daemon.sockets import BACKLOG

GRACE = 5.0


@contextlib.asynccontextmanager
async def serving(app: Any, sock: socket.socket, tls: tuple[Path, Path]) -> AsyncIterator[None]:
    """Serve `app` on `sock` with (certificate, key) until the block ends; then open requests get GRACE seconds.

    uvicorn's protocols are used without its Server, whose main loop wakes ten times a second for signals and dates.
    """
    config = uvicorn.Config(
        app,
        http="httptools",
        ws="websockets-sansio",
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        ssl_certfile=str(tls[0]),
        ssl_keyfile=str(tls[1]),
        timeout_keep_alive=75,
        ws_max_size=4 * 1024 * 1024,
        ws_ping_interval=None,
    )
    config.load()
    state = ServerState()
    protocol = cast("type[Any]", config.http_protocol_class)
    server = await asyncio.get_running_loop().create_server(
        lambda: protocol(config=config, server_state=state, app_state={}), sock=sock, ssl=config.ssl, backlog=BACKLOG
    )
    try:
        yield
    finally:
        server.close()
        for connection in list(state.connections):
            connection.shutdown()
        if state.tasks:
            await asyncio.wait(state.tasks, timeout=GRACE)
        for task in list(state.tasks):
            task.cancel()
