# SPDX-License-Identifier: Apache-2.0
"""Ports forwarded over plain channels, as client libraries do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from lichen.agent.forwarded_channels import ChannelForwarder, ports_of
from lichen.model.errors import BadRequest


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Say again what comes, till `bye`."""
    while (data := await reader.read(100)) and data != b"bye":
        writer.write(data.upper())
    writer.close()


class Client:
    """Both ends of a socket; port 1 refuses."""

    def __init__(self, echo: int, *ports: int) -> None:
        self.said: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.heard: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._echo = echo
        forwarder = ChannelForwarder(list(ports), self._dial, self.said.get, self.heard.put)
        self.task = asyncio.create_task(forwarder.run())

    async def _dial(self, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if port == 1:
            raise ConnectionRefusedError("refused")
        return await asyncio.open_connection("127.0.0.1", self._echo)

    def say(self, data: bytes) -> None:
        self.said.put_nowait({"type": "websocket.receive", "bytes": data})

    async def hears(self) -> Any:
        message = await asyncio.wait_for(self.heard.get(), 5)
        return message.get("bytes", message["type"])


@pytest.fixture
async def echo() -> AsyncIterator[int]:
    server = await asyncio.start_server(_echo, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def test_each_port_has_two_channels_that_begin_with_its_number_and_ends_by_itself(echo: int):
    client = Client(echo, 80, 8080)
    assert [await client.hears() for _ in range(4)] == [b"\x00P\x00", b"\x01P\x00", b"\x02\x90\x1f", b"\x03\x90\x1f"]
    client.say(b"\x02hi")
    assert await client.hears() == b"\x02HI"
    client.say(b"\x02bye")
    client.say(b"\x00still")
    assert await client.hears() == b"\x00STILL"
    client.say(b"\x00bye")
    assert await client.hears() == "websocket.close"
    await asyncio.wait_for(client.task, 5)


async def test_a_port_that_cannot_be_reached_says_so_on_its_channel_of_errors(echo: int):
    client = Client(echo, 1)
    assert [await client.hears() for _ in range(3)] == [
        b"\x00\x01\x00",
        b"\x01\x01\x00",
        b"\x01error forwarding port 1 to the pod: refused",
    ]
    assert await client.hears() == "websocket.close"


async def test_what_is_no_ports_is_passed_over_and_a_client_that_goes_ends_all(echo: int):
    client = Client(echo, 80)
    for odd in (b"", b"\x01x", b"\x09x"):
        client.say(odd)
    client.said.put_nowait({"type": "websocket.disconnect"})
    await asyncio.wait_for(client.task, 5)
    assert client.heard.qsize() == 2


def test_ports_are_read_together_or_one_by_one():
    assert ports_of(["80,81", "82"]) == [80, 81, 82]


@pytest.mark.parametrize("values", [[], [""], ["0"], ["65536"], ["http"], ["80,"], ["²"], ["80"] * 65])
def test_what_is_no_port_is_refused(values: list[str]):
    with pytest.raises(BadRequest):
        ports_of(values)
