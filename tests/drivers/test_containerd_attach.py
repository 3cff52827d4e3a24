# SPDX-License-Identifier: Apache-2.0
"""Attached clients of a container, against a containerd that does what the real one does at a container's end: it
closes the connection at once, whatever its clients are about to say."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable
from typing import Any, cast

import pytest
from grpclib.const import Status

from lichen.drivers.base import Exec
from lichen.drivers.containerd import cri_pb2 as pb
from lichen.drivers.containerd import rpc
from lichen.drivers.containerd.attach import start_attach
from lichen.drivers.spdy import Data, Opened, Spdy, data_frame
from lichen.model.errors import Permanent, Temporary

WELL = {"metadata": {}, "status": "Success"}


class Attached:
    """One client, as containerd sees it."""

    def __init__(self, writer: asyncio.StreamWriter, request: pb.AttachRequest) -> None:
        self.writer, self.request = writer, request
        self.streams: dict[str, int] = {}
        self.said: list[tuple[str, bytes, bool]] = []

    def say(self, name: str, data: bytes) -> None:
        if name in self.streams:
            self.writer.write(data_frame(self.streams[name], data))

    def wanted(self) -> set[str]:
        asked = {"stdin", "stdout", "stderr"}
        return {"error", *(name for name in asked if getattr(self.request, name)), *["resize"][: self.request.tty]}


class Containerd:
    """A container that runs, and its clients. late: what the streaming server says to who comes; None: it lets them."""

    def __init__(self) -> None:
        self.tty, self.runs = False, True
        self.late: dict[str, Any] | None = None
        self.clients: list[Attached] = []
        self.heard = asyncio.Condition()
        self._asked: list[pb.AttachRequest] = []
        self.address = ""

    async def call(self, which: rpc.Rpc[Any, Any], request: Any) -> Any:
        if which is rpc.GET_CONTAINER:
            process = json.dumps({"process": {"terminal": self.tty}}).encode()
            return pb.GetContainerResponse(container=pb.ContainerRecord(spec=pb.Any(value=process)))
        if not self.runs:
            raise rpc.Refused("Attach: container is in CONTAINER_EXITED state", Status.UNKNOWN)
        self._asked.append(request)
        return pb.AttachResponse(url=f"http://{self.address}/attach/{len(self._asked) - 1}")

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        client = Attached(writer, self._asked[int(head.split()[1].rpartition("/")[2])])
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
        spdy = Spdy()
        while data := await reader.read(65536):
            for event in spdy.feed(data):
                if isinstance(event, Opened):
                    client.streams[event.headers["streamtype"]] = event.stream
                    writer.write(spdy.reply(event.stream))
                elif isinstance(event, Data):
                    name = next(name for name, number in client.streams.items() if number == event.stream)
                    client.said.append((name, event.data, event.last))
            await self._joined(client)
        writer.close()

    async def _joined(self, client: Attached) -> None:
        async with self.heard:
            if client not in self.clients and set(client.streams) == client.wanted():
                self.clients.append(client)
                if self.late is not None:
                    self._close(client, self.late)
            self.heard.notify_all()

    async def hears(self, said: bytes) -> None:
        async with asyncio.timeout(5), self.heard:
            await self.heard.wait_for(lambda: any(said in data for each in self.clients for _, data, _ in each.said))

    def say(self, name: str, data: bytes) -> None:
        for client in self.clients:
            client.say(name, data)

    def end(self) -> None:
        self.runs = False
        for client in self.clients:
            if client.request.stdout:
                self._close(client, WELL)

    @staticmethod
    def _close(client: Attached, verdict: dict[str, Any]) -> None:
        client.say("error", json.dumps(verdict).encode())
        client.writer.close()


@pytest.fixture
async def containerd() -> AsyncIterator[Containerd]:
    fake = Containerd()
    server = await asyncio.start_server(fake.serve, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    fake.address = f"{host}:{port}"
    yield fake
    server.close()
    for client in fake.clients:
        client.writer.close()


async def attached(containerd: Containerd) -> Exec:
    return await start_attach(cast(rpc.Client, containerd), "c1")


async def all_of(command: Exec) -> tuple[bytes, bytes]:
    """What comes on each stream until the end."""
    said = {1: b"", 2: b""}
    async with asyncio.timeout(5):
        async for stream, data in command.output:
            said[stream] += data
        assert await cast(Awaitable[int], command.wait()) == 0
    return said[1], said[2]


async def test_what_is_said_last_is_heard_though_input_follows_the_end(containerd: Containerd):
    command = await attached(containerd)
    command.stdin(b"exit\n")
    await containerd.hears(b"exit\n")
    containerd.say("stdout", b"good-bye\n")
    containerd.say("stderr", b"oops\n")
    containerd.end()
    for _ in range(20):
        command.stdin(b"more\n")
        await asyncio.sleep(0.001)
    command.stdin(None)
    assert await all_of(command) == (b"good-bye\n", b"oops\n")


async def test_who_takes_output_gives_no_input_and_who_gives_input_takes_no_output(containerd: Containerd):
    command = await attached(containerd)
    command.stdin(b"one\n")
    command.stdin(b"two\n")
    command.stdin(None)
    await containerd.hears(b"two\n")
    hearing, speaking = containerd.clients
    assert (set(hearing.streams), set(speaking.streams)) == ({"error", "stdout", "stderr"}, {"error", "stdin"})
    containerd.end()
    assert await all_of(command) == (b"", b"")
    assert hearing.said == []
    assert speaking.said == [("stdin", b"one\n", False), ("stdin", b"two\n", False), ("stdin", b"", True)]


async def test_a_terminal_has_one_output_and_a_size_and_no_end_of_input(containerd: Containerd):
    containerd.tty = True
    command = await attached(containerd)
    command.resize(100, 30)
    command.stdin(None)
    command.stdin(b"exit\n")
    await containerd.hears(b"exit\n")
    hearing, speaking = containerd.clients
    assert (set(hearing.streams), set(speaking.streams)) == ({"error", "stdout"}, {"error", "stdin", "resize"})
    assert speaking.said == [("resize", b'{"Width":100,"Height":30}', False), ("stdin", b"exit\n", False)]
    containerd.end()
    await all_of(command)


async def test_large_input_comes_whole_and_in_order(containerd: Containerd):
    command, data = await attached(containerd), b"0123456789" * 30_000
    command.stdin(data)
    command.stdin(b"last\n")
    await containerd.hears(b"last\n")
    assert b"".join(part for _, part, _ in containerd.clients[1].said) == data + b"last\n"
    containerd.end()
    await all_of(command)


async def test_a_container_that_ended_before_its_input_was_joined_is_heard(containerd: Containerd):
    async def ends_after_the_first(which: rpc.Rpc[Any, Any], request: Any) -> Any:
        if getattr(request, "stdin", False):
            containerd.say("stdout", b"good-bye\n")
            containerd.end()
        return await real(which, request)

    real, containerd.call = containerd.call, ends_after_the_first  # type: ignore[method-assign]
    command = await attached(containerd)
    command.stdin(b"too late\n")
    await command.room()
    assert await all_of(command) == (b"good-bye\n", b"")


async def test_who_comes_too_late_is_told_so(containerd: Containerd):
    containerd.late = {"status": "Failure", "message": "container is in CONTAINER_EXITED state"}
    with pytest.raises(Permanent, match="CONTAINER_EXITED"):
        await all_of(await attached(containerd))
    containerd.runs = False
    with pytest.raises(rpc.Refused):
        await attached(containerd)


async def test_a_containerd_that_goes_away_is_no_end_of_the_container(containerd: Containerd):
    command = await attached(containerd)
    containerd.say("stdout", b"half\n")
    containerd.clients[0].writer.close()
    said = []
    with pytest.raises(Permanent, match="broke off"):
        async for part in command.output:
            said.append(part)
    assert said == [(1, b"half\n")]


async def test_who_lets_go_ends_both(containerd: Containerd):
    command = await attached(containerd)
    command.kill()
    assert await all_of(command) == (b"", b"")
    async with asyncio.timeout(5):
        for client in containerd.clients:
            await client.writer.wait_closed()


@pytest.mark.parametrize("answer", [b"HTTP/1.1 404 Not Found\r\n\r\n", b"", b"HTTP/1.1 101 Fine\r\n\r\nno SPDY at all"])
async def test_what_does_not_speak_the_protocol_cannot_be_attached_to(containerd: Containerd, answer: bytes):
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    containerd.address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    with pytest.raises(Temporary, match="containerd"):
        await attached(containerd)
    server.close()
