# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio

import msgspec
import pytest

from lichen.agent.usage import Meter
from lichen.drivers.base import ContainerUsage
from lichen.model.usage import Measured, Usage
from tests.agent.test_app import Client
from tests.agent.world import World, a_pod, run_pod

KEY = ("uid", "main", 0)


class Busy:
    """A host on which one container keeps half a core busy, and time that passes only when somebody sleeps."""

    def __init__(self) -> None:
        self.time = 1000.0
        self.looks = 0
        self.containers: ContainerUsage = {}
        self.attempt = 0

    def now(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.time += seconds
        await asyncio.sleep(0)

    def node(self) -> Usage:
        self.looks += 1
        return Usage(round(self.time * 2e9), 77)

    async def pods(self) -> ContainerUsage:
        return {("uid", "main", self.attempt): Usage(round((self.time - 900) * 5e8), 55)}

    def meter(self) -> Meter:
        return Meter(self.node, self.pods, self)  # type: ignore[arg-type]


@pytest.fixture
def host() -> Busy:
    return Busy()


async def test_the_first_who_asks_waits_for_a_second_look(host: Busy):
    told = await host.meter().measure()
    assert told == Measured(1001.0, 1.0, Usage(2_000_000_000, 77), {"uid": {"main": Usage(500_000_000, 55)}})


async def test_later_the_while_since_the_last_look_is_told_at_once(host: Busy):
    meter = host.meter()
    await meter.measure()
    host.time += 30
    told = await meter.measure()
    assert (told.at, told.window, told.pods["uid"]["main"].cpu) == (1031.0, 30.0, 500_000_000)


async def test_many_who_ask_at_once_share_a_look(host: Busy):
    meter = host.meter()
    told = await asyncio.gather(*(meter.measure() for _ in range(10)))
    assert host.looks == 2
    assert set(map(repr, told)) == {repr(told[0])}


async def test_what_was_long_ago_is_not_told_as_now(host: Busy):
    meter = host.meter()
    await meter.measure()
    host.time += 3600
    assert (await meter.measure()).window == 1.0


async def test_a_container_that_was_started_anew_is_no_jump_back(host: Busy):
    meter = host.meter()
    await meter.measure()
    host.attempt, host.time = 1, host.time + 5
    assert (await meter.measure()).pods == {}


async def test_a_node_tells_what_its_pods_use(world: World):
    pod = await run_pod(world, a_pod("worker"))
    status, body = await Client(world.agent.app).get("/usage")
    told = msgspec.json.decode(body, type=Measured)
    [used] = told.pods[pod["metadata"]["uid"]].values()
    assert (status, used.memory) == (200, 8 << 20)
    assert 500_000 <= used.cpu <= 1_500_000  # a thousandth of a core
    assert told.node.memory == used.memory
