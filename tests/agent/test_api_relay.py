# SPDX-License-Identifier: Apache-2.0
"""The way in to the API that a node has on each of its networks."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing

import pytest

from lichen.agent import api_relay
from lichen.agent.api_relay import ApiRelay
from lichen.planning.api_service import ADDRESS, PORT


class OnLoopback:
    """Listens on this machine instead of a network's namespace."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, int]] = []
        self.socket = socket.create_server(("127.0.0.1", 0))

    async def listen(self, network_id: str, ip: str, port: int) -> socket.socket:
        self.asked.append((network_id, ip, port))
        self.socket.setblocking(False)
        return self.socket


@asynccontextmanager
async def relayed() -> AsyncIterator[tuple[str, int]]:
    """An API that answers what it was told in capitals once it has heard all, and where its relay listens."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with closing(writer):
            writer.write((await reader.read()).upper())
            await writer.drain()

    api = await asyncio.start_server(answer, "127.0.0.1", 0)
    driver = OnLoopback()
    relay = ApiRelay(driver, api.sockets[0].getsockname())
    try:
        await relay.ensure("net-1")
        await relay.ensure("net-1")
        assert driver.asked == [("net-1", ADDRESS, PORT)]
        yield driver.socket.getsockname()
    finally:
        relay.close()
        api.close()


async def test_what_is_said_comes_through_and_so_does_its_end():
    async with relayed() as place:
        reader, writer = await asyncio.open_connection(*place)
        said = b"hello " * 100_000
        writer.write(said)
        writer.write_eof()
        assert await reader.read() == said.upper()
        writer.close()


async def test_one_address_cannot_take_all_connections(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(api_relay, "CONNECTIONS", 2)
    async with relayed() as place:
        held = [await asyncio.open_connection(*place) for _ in range(2)]
        reader, writer = await asyncio.open_connection(*place)
        assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()
        held[0][1].write(b"still")
        held[0][1].write_eof()
        assert await held[0][0].read() == b"STILL"
        for _, open_writer in held:
            open_writer.close()


async def test_a_relay_without_an_api_hangs_up():
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        place = nobody.getsockname()
    driver = OnLoopback()
    relay = ApiRelay(driver, place)
    await relay.ensure("net-1")
    reader, writer = await asyncio.open_connection(*driver.socket.getsockname())
    assert await asyncio.wait_for(reader.read(), 5) == b""
    writer.close()
    relay.drop("net-1")
