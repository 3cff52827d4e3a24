# SPDX-License-Identifier: Apache-2.0
"""lifecycle.postStart and lifecycle.preStop, on a simulated node."""

from __future__ import annotations

import asyncio
import time

from lichen.kinds.builtin import EVENT, POD
from lichen.model.data import Object
from tests.agent.world import World, a_pod, run_pod


def sh(script: str) -> Object:
    return {"exec": {"command": ["sh", "-c", script]}}


def hooked(name: str, **lifecycle: Object) -> Object:
    container = {"name": "main", "image": "busybox", "command": ["sh", "-c", "sleep 1000"], "lifecycle": lifecycle}
    return a_pod(name, container)


def restarts(pod: Object) -> int:
    return int(((pod.get("status") or {}).get("containerStatuses") or [{}])[0].get("restartCount", 0))


async def the_event(world: World, reason: str) -> Object:
    async with asyncio.timeout(5):
        while True:
            for event in (await world.store.list(EVENT, "demo")).items:
                if event["reason"] == reason:
                    return event
            await asyncio.sleep(0.01)


async def seconds_to_go(world: World, name: str, grace: int) -> float:
    began = time.monotonic()
    await world.delete_pod(name, grace)
    await world.until_gone(POD, name)
    return time.monotonic() - began


async def test_a_pod_runs_when_its_post_start_is_done(world: World) -> None:
    began = time.monotonic()
    await run_pod(world, hooked("web", postStart=sh("sleep 0.5")))
    assert time.monotonic() - began >= 0.5


async def test_a_container_whose_post_start_fails_is_started_again(world: World) -> None:
    await run_pod(world, hooked("web", postStart=sh("echo no luck; exit 3")))
    event = await the_event(world, "FailedPostStartHook")
    assert event["type"] == "Warning"
    assert event["message"] == "PostStart hook of container main failed: the command ended with code 3: no luck"
    await world.until(POD, "web", lambda pod: restarts(pod) > 0)


async def test_a_pod_is_deleted_though_its_post_start_never_ends(world: World) -> None:
    await run_pod(world, hooked("web", postStart=sh("sleep 1000")), "Pending")
    await asyncio.sleep(0.2)
    assert await seconds_to_go(world, "web", 1) < 4


async def test_a_container_ends_when_its_pre_stop_is_done(world: World) -> None:
    await run_pod(world, hooked("web", preStop={"sleep": {"seconds": 1}}))
    assert await seconds_to_go(world, "web", 30) >= 1


async def test_a_pre_stop_that_fails_or_takes_too_long_is_told_and_changes_nothing(world: World) -> None:
    await run_pod(world, hooked("fails", preStop=sh("exit 4")))
    await seconds_to_go(world, "fails", 30)
    event = await the_event(world, "FailedPreStopHook")
    assert event["message"] == "PreStop hook of container main failed: the command ended with code 4"
    await run_pod(world, hooked("slow", preStop=sh("sleep 1000")), number=10)
    assert 1 <= await seconds_to_go(world, "slow", 1) < 4


async def test_a_page_is_asked_for_as_a_hook(world: World) -> None:
    get = {"httpGet": {"port": 80, "path": "/bye"}}
    await run_pod(world, hooked("web", postStart=get, preStop=get))
    await seconds_to_go(world, "web", 5)
    reasons = {event["reason"] for event in (await world.store.list(EVENT, "demo")).items}
    assert not {"FailedPostStartHook", "FailedPreStopHook"} & reasons
