# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio

from lichen.runtime.clock import ManualClock, settle
from lichen.runtime.queue import WorkQueue
from lichen.runtime.schedule import Schedule


def test_a_key_added_twice_is_taken_once() -> None:
    schedule: Schedule[str] = Schedule()
    for key in ("a", "b", "a"):
        schedule.add(key)
    assert [schedule.take(), schedule.take(), schedule.take()] == ["a", "b", None]


def test_a_key_added_while_in_work_is_ready_again_only_when_that_is_done() -> None:
    schedule: Schedule[str] = Schedule()
    schedule.add("a")
    assert schedule.take() == "a"
    schedule.add("a")
    assert schedule.take() is None
    schedule.done("a")
    assert schedule.take() == "a"


def test_the_earliest_due_time_counts_and_work_forgets_it() -> None:
    schedule: Schedule[str] = Schedule()
    schedule.add_at("a", 10)
    schedule.add_at("a", 5)
    schedule.add_at("a", 7)
    assert schedule.next_due == 5
    schedule.release(5)
    assert (schedule.take(), schedule.next_due) == ("a", None)
    schedule.done("a")
    schedule.add_at("a", 20)
    schedule.add("a")
    assert (schedule.take(), schedule.next_due) == ("a", None)


def test_back_off_doubles_up_to_its_limit_and_begins_anew_after_a_success() -> None:
    schedule: Schedule[str] = Schedule(base=1, limit=5)
    assert [schedule.failed("a", 0) for _ in range(5)] == [1, 2, 4, 5, 5]
    assert schedule.failed("a", 0, delay=30) == 30
    schedule.succeeded("a")
    assert schedule.failed("a", 0) == 1


async def test_delayed_keys_come_when_they_are_due() -> None:
    clock = ManualClock()
    queue: WorkQueue[str] = WorkQueue(clock)
    queue.add_after("late", 10)
    queue.add_after("soon", 3)
    getter = asyncio.create_task(queue.get())
    await clock.run(2.9)
    assert not getter.done()
    await clock.run(0.2)
    assert getter.result() == "soon"
    late = asyncio.create_task(queue.get())
    await clock.run(7)
    assert late.result() == "late"
    queue.close()


async def test_a_cancelled_waiter_passes_its_key_on() -> None:
    queue: WorkQueue[str] = WorkQueue(ManualClock())
    first, second = asyncio.create_task(queue.get()), asyncio.create_task(queue.get())
    await settle()
    queue.add("a")
    first.cancel()
    assert await asyncio.wait_for(second, 1) == "a"
