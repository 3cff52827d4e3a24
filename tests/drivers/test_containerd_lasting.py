# SPDX-License-Identifier: Apache-2.0
"""What an agent has asked of containerd is not broken off by the agent's end: against a server that, like containerd,
breaks off what it does for a client whose connection closes."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from grpclib.const import Cardinality, Handler
from grpclib.server import Server, Stream

from lichen.drivers.containerd import cri_pb2 as pb
from lichen.drivers.containerd import rpc

AGENT = """
import asyncio, sys
from pathlib import Path
from lichen.drivers.containerd import cri_pb2 as pb, lasting, rpc

lasting._HOLD = "read -r _; exec sleep " + sys.argv[2]

async def main():
    await rpc.Client(Path(sys.argv[1])).call(rpc.START_CONTAINER, pb.ContainerRequest(container_id="c1"))

asyncio.run(main())
"""


class Containerd:
    """Starts a container in the time of `goes_on`."""

    def __init__(self) -> None:
        self.begun, self.goes_on, self.over = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.done: list[str] = []

    async def start(self, stream: Stream[Any, Any]) -> None:
        request = await stream.recv_message()
        assert request is not None
        self.begun.set()
        try:
            await self.goes_on.wait()
            self.done.append(request.container_id)
            await stream.send_message(pb.Empty())
        finally:
            self.over.set()

    def __mapping__(self) -> dict[str, Handler]:
        path = rpc.START_CONTAINER.path
        return {path: Handler(self.start, Cardinality.UNARY_UNARY, pb.ContainerRequest, pb.Empty)}


@pytest.fixture
async def containerd(tmp_path: Path) -> AsyncIterator[Containerd]:
    fake = Containerd()
    server = Server([fake])
    await server.start(path=str(tmp_path / "sock"))
    yield fake
    server.close()
    await server.wait_closed()


async def killed_in_the_middle(containerd: Containerd, socket: Path, seconds: float) -> None:
    """An agent that asked for a start was killed while it went on; its connection is held for `seconds` more."""
    agent = await asyncio.create_subprocess_exec(sys.executable, "-c", AGENT, str(socket), str(seconds))
    async with asyncio.timeout(20):
        await containerd.begun.wait()
    agent.kill()
    await agent.wait()


async def test_a_start_goes_on_though_the_agent_is_killed(containerd: Containerd, tmp_path: Path):
    await killed_in_the_middle(containerd, tmp_path / "sock", 5)
    await asyncio.sleep(0.3)
    assert not containerd.over.is_set()
    containerd.goes_on.set()
    async with asyncio.timeout(5):
        await containerd.over.wait()
    assert containerd.done == ["c1"]


async def test_the_connection_is_let_go_after_a_while(containerd: Containerd, tmp_path: Path):
    await killed_in_the_middle(containerd, tmp_path / "sock", 0.2)
    async with asyncio.timeout(5):
        await containerd.over.wait()
    assert containerd.done == []


async def test_who_closes_a_client_leaves_no_process(containerd: Containerd, tmp_path: Path):
    client = rpc.Client(tmp_path / "sock")
    containerd.goes_on.set()
    await client.call(rpc.START_CONTAINER, pb.ContainerRequest(container_id="c1"))
    holder = client._channel._holder
    assert holder is not None and holder.poll() is None
    await client.close()
    assert holder.poll() is not None
