# SPDX-License-Identifier: Apache-2.0
"""Events go an hour after they were last seen."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from lichen.kernel.expiry import LIFETIME, Expiry
from lichen.kernel.kernel import SYSTEM
from lichen.kernel.session import Session
from lichen.kinds.builtin import EVENT, NAMESPACE
from lichen.model.kind import new_object
from lichen.model.meta import name_of
from lichen.planning.times import rfc3339, rfc3339_micro
from tests.kernel.helpers import Driven, a_kernel

HOUR = LIFETIME
SOON = 0.3
"""Seconds; times are told in whole ones."""


@asynccontextmanager
async def expiring(session: Session, clock: Driven, **options: Any) -> AsyncIterator[None]:
    task = asyncio.create_task(Expiry(session, clock, **options).run())
    try:
        yield
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
def clock() -> Driven:
    return Driven()


@pytest.fixture
async def session(clock: Driven) -> Session:
    kernel = await a_kernel(clock=clock)
    session = kernel.acting(SYSTEM)
    await session.create(NAMESPACE, new_object(NAMESPACE, "demo"))
    return session


async def happened(session: Session, name: str, **times: Any) -> None:
    event = new_object(EVENT, name, "demo") | {"involvedObject": {"namespace": "demo", "name": "web"}} | times
    await session.create(EVENT, event)


async def names(session: Session) -> list[str]:
    return [name_of(event) for event in (await session.list(EVENT, "demo")).items]


async def left(session: Session, *expected: str) -> None:
    async with asyncio.timeout(10):
        while await names(session) != sorted(expected):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.05)
    assert await names(session) == sorted(expected)


async def test_what_is_over_an_hour_old_goes_at_once_and_nothing_else(session: Session, clock: Driven):
    for name, age in (("old", HOUR + 1), ("young", HOUR - 10)):
        clock.time -= age
        await happened(session, name)
        clock.time += age
    async with expiring(session, clock):
        await left(session, "young")


@pytest.mark.parametrize(
    "times",
    [
        lambda at: {"lastTimestamp": rfc3339(at)},
        lambda at: {"eventTime": rfc3339_micro(at)},
        lambda at: {"series": {"count": 2, "lastObservedTime": rfc3339_micro(at)}},
    ],
)
async def test_what_was_seen_again_stays(session: Session, clock: Driven, times: Any):
    clock.time -= 2 * HOUR
    await happened(session, "lately", **times(clock.time + 1.5 * HOUR))
    await happened(session, "never", **times(clock.time))
    clock.time += 2 * HOUR
    async with expiring(session, clock):
        await left(session, "lately")


async def test_one_that_comes_later_goes_in_its_time(session: Session, clock: Driven):
    async with expiring(session, clock, lifetime=SOON):
        await happened(session, "brief")
        await asyncio.sleep(0.05)
        assert await names(session) == ["brief"]
        clock.time += SOON
        await left(session)


async def test_one_that_is_told_again_while_it_is_waited_for_stays(session: Session, clock: Driven):
    async with expiring(session, clock, lifetime=SOON):
        await happened(session, "again")
        clock.time += SOON
        await session.patch(EVENT, "again", "demo", {"lastTimestamp": rfc3339(clock.time + 100)})
        await asyncio.sleep(2 * SOON)
        assert await names(session) == ["again"]


async def test_an_older_one_is_not_held_up_by_one_that_has_time(session: Session, clock: Driven):
    async with expiring(session, clock):
        await happened(session, "young")
        await asyncio.sleep(0.05)
        clock.time -= 2 * HOUR
        await happened(session, "old")
        clock.time += 2 * HOUR
        await left(session, "young")


async def test_one_that_was_deleted_and_made_again_is_another(session: Session, clock: Driven):
    async with expiring(session, clock, lifetime=SOON):
        await happened(session, "same")
        await session.delete(EVENT, "same", "demo")
        clock.time += 1
        await happened(session, "same")
        await asyncio.sleep(2 * SOON)
        assert await names(session) == ["same"]
