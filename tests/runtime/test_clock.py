# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio

from lichen.runtime.clock import ManualClock, settle


async def test_sleepers_wake_in_order_of_their_times_and_may_sleep_again() -> None:
    clock, woken = ManualClock(1000.0), []

    async def sleeper(name: str, seconds: float, times: int) -> None:
        for _ in range(times):
            await clock.sleep(seconds)
            woken.append((name, clock.now()))

    tasks = [asyncio.create_task(sleeper("slow", 5, 1)), asyncio.create_task(sleeper("quick", 2, 3))]
    await clock.run(5.5)
    assert woken == [("quick", 1002.0), ("quick", 1004.0), ("slow", 1005.0)]
    assert (clock.now(), clock.next_wake) == (1005.5, 1006.0)
    await clock.run(1)
    await asyncio.gather(*tasks)
    assert clock.next_wake is None


async def test_a_cancelled_sleeper_is_forgotten() -> None:
    clock = ManualClock()
    task = asyncio.create_task(clock.sleep(5))
    await settle()
    task.cancel()
    await settle()
    assert clock.next_wake is None
