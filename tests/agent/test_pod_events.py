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


async def test_a_probe_that_fails_is_told_with_what_it_said(world: World):
    probe = {"exec": {"command": ["sh", "-c", "echo not yet; exit 1"]}, "periodSeconds": 1}
    await run_pod(world, a_pod("shy", a_container("sleep 100") | {"readinessProbe": probe}))
    event = (await told(world, lambda found: "Unhealthy" in found))["Unhealthy"]
    assert event["type"] == "Warning"
    assert event["message"] == "Readiness probe failed: the command ended with code 1: not yet"


async def test_a_container_that_is_ended_for_its_probe_is_told_so(world: World):
    probe = {"exec": {"command": ["sh", "-c", "exit 1"]}, "failureThreshold": 1}
    await run_pod(world, a_pod("ill", a_container("sleep 100") | {"livenessProbe": probe}))
    events = await told(world, lambda found: "Killing" in found)
    assert events["Killing"]["message"] == "Container main failed liveness probe, will be restarted"
    assert events["Unhealthy"]["message"] == "Liveness probe failed: the command ended with code 1"


async def test_an_image_that_cannot_be_had_is_told_in_kubernetes_words(world: World):
    await run_pod(world, a_pod("lost", {"name": "main", "image": "missing.lichen.dev/x"}), "Pending")
    event = (await told(world, lambda found: "Failed" in found))["Failed"]
    assert event["message"].startswith('Failed to pull image "missing.lichen.dev/x": ')


async def test_a_volume_that_is_not_there_is_told(world: World):
    volume = {"name": "v", "persistentVolumeClaim": {"claimName": "missing"}}
    await run_pod(world, a_pod("lost", volumes=[volume]), "Pending")
    event = (await told(world, lambda found: "FailedMount" in found))["FailedMount"]
    assert event["type"] == "Warning"
    assert "missing" in event["message"]
