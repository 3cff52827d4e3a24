# SPDX-License-Identifier: Apache-2.0
"""The metadata service of a node: on each of its networks, at 169.254.169.254, it answers by who asks.

A guest is known by the network it asks from and by its address, which port security lets nobody else use; no header
says anything about it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import uvicorn
from uvicorn.server import ServerState

from lichen.agent.metadata import Tree, answer
from lichen.drivers.base import Listening
from lichen.model.errors import ApiError, Temporary
from lichen.runtime.connections import BoundedHttp

log = logging.getLogger(__name__)

ADDRESS, PORT = "169.254.169.254", 80

Find = Callable[[str, str], Awaitable[tuple[Tree, tuple[str, ...]] | None]]
"""(network id, address) → what that guest may read, and the names of its keys; None: it is no guest of this node."""


class _Patient(BoundedHttp):
    """Answers those too who have said all they want to say (`printf … | nc`)."""

    def eof_received(self) -> bool:  # type: ignore[override]
        return True


class MetadataServer:
    """One listening socket a network."""

    def __init__(self, driver: Listening, find: Find) -> None:
        self._driver = driver
        self._find = find
        self._servers: dict[str, asyncio.Server] = {}
        self._state = ServerState()

    async def ensure(self, network_id: str) -> None:
        """Answer on this network from now on."""
        if network_id in self._servers:
            return
        socket = await self._driver.listen(network_id, ADDRESS, PORT)
        config = uvicorn.Config(
            self._app(network_id), http="httptools", ws="none", lifespan="off", log_config=None, access_log=False,
            server_header=False, proxy_headers=False,
        )  # fmt: skip
        config.load()
        loop = asyncio.get_running_loop()
        self._servers[network_id] = await loop.create_server(
            lambda: _Patient(config=config, server_state=self._state, app_state={}), sock=socket
        )

    def drop(self, network_id: str) -> None:
        server = self._servers.pop(network_id, None)
        if server is not None:
            server.close()

    def close(self) -> None:
        for network_id in tuple(self._servers):
            self.drop(network_id)

    def _app(self, network_id: str) -> Any:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            status, body = await self._answer(network_id, scope)
            kind = b"application/json" if scope["path"].endswith(".json") else b"text/plain; charset=utf-8"
            headers = [(b"content-type", kind), (b"content-length", str(len(body)).encode())]
            await send({"type": "http.response.start", "status": status, "headers": headers})
            await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

        return app

    async def _answer(self, network_id: str, scope: Any) -> tuple[int, bytes]:
        if scope["method"] not in ("GET", "HEAD"):
            return 405, b"405 Method Not Allowed\n"
        try:
            found = await self._find(network_id, (scope.get("client") or ("",))[0])
        except (ApiError, Temporary) as error:
            log.warning("metadata for %s on network %s: %s", scope.get("client"), network_id, error)
            return 503, b"503 Service Unavailable\n"
        said = answer(*found, scope["path"]) if found is not None else None
        return (404, b"404 Not Found\n") if said is None else (200, said)
