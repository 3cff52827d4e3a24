# SPDX-License-Identifier: Apache-2.0
"""grpc probes, asked of grpclib's own health service, and of what is none."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from grpclib.health.check import ServiceStatus
from grpclib.health.service import OVERALL, Health
from grpclib.server import Server

from lichen.agent.grpc_health import check
from lichen.kinds.builtin import POD
from tests.agent.world import World, a_pod, run_pod


class Shop:
    """A service with a name and nothing else."""

    def __mapping__(self) -> dict[str, Any]:
        return {"/shop.Till/Pay": None}


async def asked(port: int, service: str = "") -> tuple[bool, str]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        return await asyncio.wait_for(check(reader, writer, service), 5)
    finally:
        writer.close()


async def served(handlers: list[Any]) -> tuple[Server, int]:
    server = Server(handlers)
    await server.start("127.0.0.1", 0)
    return server, server._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]


@pytest.fixture
async def port() -> AsyncIterator[int]:
    """A server that is well, with a service that is not."""
    well, ill = ServiceStatus(), ServiceStatus()
    well.set(True)
    ill.set(False)
    server, number = await served([Health({OVERALL: [well], Shop(): [ill]})])
    yield number
    server.close()
    await server.wait_closed()


async def test_a_server_that_is_well_says_so(port: int) -> None:
    assert (await asked(port))[0] is True


@pytest.mark.parametrize(
    ("service", "words"),
    [
        ("shop.Till", 'service unhealthy (responded with "NOT_SERVING")'),
        ("shop.Nothing", "the server knows no service 'shop.Nothing'"),
    ],
)
async def test_a_service_that_is_not_says_why(port: int, service: str, words: str) -> None:
    assert await asked(port, service) == (False, words)


async def test_a_server_without_the_protocol_is_told(port: int) -> None:
    server, number = await served([])
    good, words = await asked(number)
    server.close()
    await server.wait_closed()
    assert (good, "does not implement the grpc health protocol" in words) == (False, True)


@pytest.mark.parametrize("said", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\xff" * 64, b""])
async def test_what_speaks_something_else_is_not_well(said: bytes) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.write(said)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    assert (await asked(server.sockets[0].getsockname()[1]))[0] is False
    server.close()


async def test_a_simulated_container_passes_its_grpc_probe(world: World) -> None:
    container = {"name": "main", "image": "busybox", "command": ["sleep", "1000"],
                 "readinessProbe": {"grpc": {"port": 9000, "service": ""}}}  # fmt: skip
    await run_pod(world, a_pod("web", container))
    await world.until(POD, "web", lambda pod: pod["status"]["containerStatuses"][0]["ready"])
