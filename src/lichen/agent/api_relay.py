# SPDX-License-Identifier: Apache-2.0
"""The Kubernetes API as pods and guests of a node reach it: a way in on each of the node's networks.

The networks' ClusterIP of service `kubernetes` leads to `ADDRESS`:`PORT` in the network's own namespace. What connects
there is passed on, byte by byte, to where the API listens: TLS goes through, so the agent sees neither tokens nor
answers, and who asks is told by their token alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from socket import SO_KEEPALIVE, SOL_SOCKET

from lichen.drivers.base import Listening
from lichen.planning.api_service import ADDRESS, PORT

log = logging.getLogger(__name__)

CONNECTIONS = 128
"""How many connections one address may have open at once: the agent's descriptors are for everybody."""
PATIENCE = 10.0
"""Seconds for the API to accept; while it restarts, its socket queues connections."""
_CHUNK = 64 * 1024


class ApiRelay:
    """One listening socket a network. api: host and port of the API as this node reaches it."""

    def __init__(self, driver: Listening, api: tuple[str, int]) -> None:
        self._driver = driver
        self._api = api
        self._servers: dict[str, asyncio.Server] = {}
        self._open: Counter[tuple[str, str]] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()

    async def ensure(self, network_id: str) -> None:
        """Answer on this network from now on."""
        if network_id in self._servers:
            return
        socket = await self._driver.listen(network_id, ADDRESS, PORT)

        async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await self._accepted(network_id, reader, writer)

        self._servers[network_id] = await asyncio.start_server(accepted, sock=socket)

    def drop(self, network_id: str) -> None:
        server = self._servers.pop(network_id, None)
        if server is not None:
            server.close()

    def close(self) -> None:
        for network_id in tuple(self._servers):
            self.drop(network_id)
        for task in self._tasks:
            task.cancel()

    async def _accepted(self, network_id: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        caller = (network_id, writer.get_extra_info("peername")[0])
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._open[caller] += 1
        try:
            if self._open[caller] > CONNECTIONS:
                log.warning(
                    "%s on network %s has %d connections to the API: no more", caller[1], caller[0], CONNECTIONS
                )
                return
            await self._relay(reader, writer)
        except asyncio.CancelledError:
            log.debug("the connection of %s ends with the agent", caller[1])
        finally:
            self._tasks.discard(task)
            self._open[caller] -= 1
            if not self._open[caller]:
                del self._open[caller]
            writer.close()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                onwards, back = await asyncio.open_connection(*self._api)
        except (OSError, TimeoutError) as error:
            log.warning("the API cannot be reached for a workload: %s", error)
            return
        for end in (writer, back):
            end.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_KEEPALIVE, 1)
        try:
            async with asyncio.TaskGroup() as ways:
                ways.create_task(_pass(reader, back))
                ways.create_task(_pass(onwards, writer))
        finally:
            back.close()


async def _pass(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    """Until the source has ended, which the target is told; a target that is gone ends both ways."""
    with contextlib.suppress(ConnectionError):
        while data := await source.read(_CHUNK):
            target.write(data)
            await target.drain()
        target.write_eof()
        return
    target.transport.abort()
