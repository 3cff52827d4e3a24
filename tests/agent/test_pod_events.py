# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
from collections.abc import Callable

from lichen.kinds.builtin import EVENT
from lichen.model.data import Object
from tests.agent.world import World, a_pod, run_pod


async def told(world: World, enough: Callable[[dict[str, Object]], bool]) -> dict[str, Object]:
    """The events of the demo namespace by reason, once they are enough."""
    found: dict[str, Object] = {}
    async with asyncio.timeout(5):
        while not enough(found):
            await asyncio.sleep(0.01)
            found = {event["reason"]: event for event in (await world.store.list(EVENT, "demo")).items}
    return found


def a_container(script: str) -> Object:
    return {"name": "main", "image": "busybox", "command": ["sh", "-c", script]}


async def test_a_pods_life_is_told(world: World):
    await run_pod(world, a_pod())
    await world.delete_pod("web")
    events = await told(world, lambda found: "Killing" in found)
    assert {reason: event["message"] for reason, event in events.items()} == {
        "Pulled": 'Container image "busybox" is present on the machine',
        "Created": "Created container: main",
        "Started": "Started container main",
        "Killing": "Stopping container main",
    }
    assert events["Started"]["source"] == {"component": "lichen-agent", "host": "node-1"}
    assert events["Started"]["involvedObject"]["name"] == "web"


async def test_a_container_that_keeps_ending_is_told_as_a_warning(world: World):
    await run_pod(world, a_pod("loop", a_container("exit 1")))
    events = await told(world, lambda found: "BackOff" in found)
    assert events["BackOff"]["type"] == "Warning"
    assert events["BackOff"]["message"] == "Back-off restarting failed container main in pod loop"
