# SPDX-License-Identifier: Apache-2.0
"""Garbage collection by owner: Background, Foreground, Orphan."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from lichen.kernel.collector import Collector
from lichen.kernel.kernel import SYSTEM, Kernel
from lichen.kernel.session import Session
from lichen.kinds.builtin import CONFIG_MAP, NAMESPACE, REPLICA_SET, SECRET
from lichen.model.data import Object
from lichen.model.errors import NotFound
from lichen.model.kind import Kind, new_object
from lichen.model.meta import is_deleting, owner_reference, owners_of
from tests.kernel.helpers import a_kernel


@pytest.fixture
async def session() -> AsyncIterator[Session]:
    kernel = await a_kernel()
    session = kernel.acting(SYSTEM)
    await session.create(NAMESPACE, new_object(NAMESPACE, "demo"))
    async for _ in collected(kernel):
        yield session


async def collected(kernel: Kernel) -> AsyncIterator[None]:
    task = asyncio.create_task(Collector(kernel.acting(SYSTEM), kernel.catalog).run())
    try:
        yield
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def make(session: Session, name: str, *owners: Object, kind: Kind = CONFIG_MAP, **metadata: Any) -> Object:
    references = [owner_reference(owner, controller=number == 0) for number, owner in enumerate(owners)]
    more = {"ownerReferences": references} if references else {}
    return await session.create(kind, new_object(kind, name, "demo", **more, **metadata))


async def exists(session: Session, name: str, kind: Kind = CONFIG_MAP) -> bool:
    try:
        await session.get(kind, name, "demo")
    except NotFound:
        return False
    return True


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(10):
        while not await condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def until_gone(session: Session, *names: str) -> None:
    async def all_gone() -> bool:
        return not any([await exists(session, name) for name in names])

    await until(all_gone)


async def test_what_belongs_to_a_deleted_owner_goes_after_it_and_so_on(session: Session):
    owner = await make(session, "owner")
    child = await make(session, "child", owner)
    await make(session, "grandchild", child)
    await make(session, "stranger")
    await session.delete(CONFIG_MAP, "owner", "demo")
    await until_gone(session, "owner", "child", "grandchild")
    assert await exists(session, "stranger")


async def test_what_is_made_for_an_owner_that_is_gone_already_goes(session: Session):
    owner = await make(session, "owner")
    await session.delete(CONFIG_MAP, "owner", "demo")
    await make(session, "late", owner)
    await until_gone(session, "late")


async def test_another_of_the_same_name_is_no_owner(session: Session):
    owner = await make(session, "owner")
    await make(session, "child", owner)
    await session.delete(CONFIG_MAP, "owner", "demo")
    await make(session, "owner")
    await until_gone(session, "child")
    assert await exists(session, "owner")


async def test_one_living_owner_is_enough(session: Session):
    first, second = await make(session, "first"), await make(session, "second")
    await make(session, "child", first, second)
    await session.delete(CONFIG_MAP, "first", "demo")

    async def let_off() -> bool:
        return [o["name"] for o in owners_of(await session.get(CONFIG_MAP, "child", "demo"))] == ["second"]

    await until(let_off)


async def test_in_the_foreground_the_owner_waits_for_what_belongs_to_it(session: Session):
    owner = await make(session, "owner")
    await make(session, "child", owner, finalizers=["example.org/held"])
    await session.delete(CONFIG_MAP, "owner", "demo", propagation="Foreground")

    async def marked() -> bool:
        return is_deleting(await session.get(CONFIG_MAP, "child", "demo"))

    await until(marked)
    await asyncio.sleep(0.1)
    assert is_deleting(await session.get(CONFIG_MAP, "owner", "demo"))
    patch = {"metadata": {"finalizers": ["foregroundDeletion"]}}
    await session.patch(CONFIG_MAP, "child", "demo", patch)
    await until_gone(session, "owner", "child")


async def test_in_the_foreground_what_also_belongs_to_another_stays(session: Session):
    first, second = await make(session, "first"), await make(session, "second")
    await make(session, "shared", first, second)
    await session.delete(CONFIG_MAP, "first", "demo", propagation="Foreground")
    await until_gone(session, "first")
    assert [o["name"] for o in owners_of(await session.get(CONFIG_MAP, "shared", "demo"))] == ["second"]


async def test_two_owners_that_wait_in_the_foreground_do_not_hold_each_other_up(session: Session):
    first, second = await make(session, "first"), await make(session, "second")
    await make(session, "shared", first, second)
    await session.delete(CONFIG_MAP, "first", "demo", propagation="Foreground")
    await session.delete(CONFIG_MAP, "second", "demo", propagation="Foreground")
    await until_gone(session, "first", "second", "shared")


async def test_a_circle_of_owners_goes_whole(session: Session):
    made = [await make(session, f"o{number}") for number in range(3)]
    for number, obj in enumerate(made):
        owners = [owner_reference(made[number - 1])]
        await session.patch(CONFIG_MAP, obj["metadata"]["name"], "demo", {"metadata": {"ownerReferences": owners}})
    await session.delete(CONFIG_MAP, "o0", "demo", propagation="Foreground")
    await until(lambda: all_gone(session))


async def all_gone(session: Session) -> bool:
    return not (await session.list(CONFIG_MAP, "demo")).items


async def test_orphans_stay_even_if_they_were_made_a_moment_ago(session: Session):
    owner = await make(session, "owner")
    for number in range(20):
        await make(session, f"child-{number}", owner)
    await session.delete(CONFIG_MAP, "owner", "demo", propagation="Orphan")
    await until_gone(session, "owner")
    await asyncio.sleep(0.1)
    for number in range(20):
        assert owners_of(await session.get(CONFIG_MAP, f"child-{number}", "demo")) == []


async def test_an_owner_of_a_kind_that_is_not_known_keeps_its_own(session: Session):
    reference = {"apiVersion": "example.org/v1", "kind": "Widget", "name": "w", "uid": "1"}
    await session.create(CONFIG_MAP, new_object(CONFIG_MAP, "child", "demo", ownerReferences=[reference]))
    await asyncio.sleep(0.1)
    assert await exists(session, "child")


async def test_owners_of_another_kind_count_too(session: Session):
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    spec = {"replicas": 0, "selector": {"matchLabels": {"a": "b"}}, "template": template}
    owner = await session.create(REPLICA_SET, new_object(REPLICA_SET, "rs", "demo", spec))
    await make(session, "child", owner, kind=SECRET)
    await session.delete(REPLICA_SET, "rs", "demo")

    async def gone() -> bool:
        return not await exists(session, "child", SECRET)

    await until(gone)
