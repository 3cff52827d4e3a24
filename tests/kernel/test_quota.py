# SPDX-License-Identifier: Apache-2.0
"""ResourceQuotas and LimitRanges: what is refused, what is filled in, what is counted."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import Any

import pytest

from lichen.kernel.admission import weights
from lichen.kernel.kernel import SYSTEM, Kernel
from lichen.kernel.session import Session
from lichen.kinds.builtin import CONFIG_MAP, LIMIT_RANGE, NAMESPACE, POD, RESOURCE_QUOTA, SERVICE
from lichen.model.errors import Forbidden
from lichen.model.kind import new_object
from lichen.model.names import CONTROLLERS
from lichen.model.state import Caller
from tests.kernel.custom.crontab import CRONTAB, GROUP, a_crontab, define
from tests.kernel.helpers import AllowAll, a_kernel

Object = dict[str, Any]


def a_quota(hard: Object, name: str = "q", **spec: Any) -> Object:
    return new_object(RESOURCE_QUOTA, name, "default", {"hard": hard, **spec})


def a_pod(name: str = "p", resources: Object | None = None, **spec: Any) -> Object:
    container = {"name": "c", "image": "i", **({"resources": resources} if resources else {})}
    return new_object(POD, name, "default", {"containers": [container], **spec})


async def until_used(session: Session, used: Object, name: str = "q") -> Object:
    """The quota, once its status says that this is used."""
    async with asyncio.timeout(5), aclosing(session.watch(RESOURCE_QUOTA, "default")) as events:  # type: ignore[type-var]
        async for event in events:
            quota: Object = event.object
            if quota["metadata"].get("name") == name and (quota.get("status") or {}).get("used") == used:
                return quota
    raise AssertionError


async def test_what_is_used_is_counted_as_objects_come_and_go(session: Session) -> None:
    hard = {"configmaps": "5", "count/configmaps": "5", "services": "2", "services.nodeports": "1"}
    await session.create(RESOURCE_QUOTA, a_quota(hard))
    before = {"configmaps": "0", "count/configmaps": "0", "services": "1", "services.nodeports": "0"}
    counted = await until_used(session, before)
    assert counted["status"]["hard"] == hard
    await session.create(CONFIG_MAP, new_object(CONFIG_MAP, "m", "default"))
    await until_used(session, {**before, "configmaps": "1", "count/configmaps": "1"})
    spec = {"type": "NodePort", "ports": [{"port": 80}]}
    await session.create(SERVICE, new_object(SERVICE, "s", "default", spec))
    await session.delete(CONFIG_MAP, "m", "default")
    await until_used(session, {**before, "services": "2", "services.nodeports": "1"})
    with pytest.raises(Forbidden, match="exceeded quota: q, requested: services=1, used: services=2"):
        await session.create(SERVICE, new_object(SERVICE, "t", "default", {"ports": [{"port": 80}]}))


async def test_a_pod_that_ended_gives_back_what_it_took(session: Session) -> None:
    await session.create(RESOURCE_QUOTA, a_quota({"pods": "1", "requests.cpu": "1"}))
    await session.create(POD, a_pod(resources={"requests": {"cpu": "600m"}}))
    await until_used(session, {"pods": "1", "requests.cpu": "600m"})
    with pytest.raises(Forbidden):
        await session.create(POD, a_pod("late"))
    await session.patch(POD, "p", "default", {"status": {"phase": "Succeeded"}}, subresource="status")
    await until_used(session, {"pods": "0", "requests.cpu": "0"})
    await session.create(POD, a_pod("late"))


@pytest.mark.parametrize(
    ("scope", "inside", "outside"),
    [
        ({"scopes": ["BestEffort"]}, a_pod(), a_pod(resources={"requests": {"cpu": "1"}})),
        ({"scopes": ["NotBestEffort"]}, a_pod(resources={"requests": {"cpu": "1"}}), a_pod()),
        ({"scopes": ["Terminating"]}, a_pod(activeDeadlineSeconds=60), a_pod()),
        ({"scopes": ["NotTerminating"]}, a_pod(), a_pod(activeDeadlineSeconds=60)),
        (
            {"scopeSelector": {"matchExpressions": [
                {"scopeName": "PriorityClass", "operator": "In", "values": ["system-node-critical"]}
            ]}},
            a_pod(priorityClassName="system-node-critical"),
            a_pod(),
        ),
    ],
)  # fmt: skip
async def test_a_scope_picks_its_pods(session: Session, scope: Object, inside: Object, outside: Object) -> None:
    await session.create(RESOURCE_QUOTA, a_quota({"pods": "1"}, **scope))
    outside["metadata"]["name"] = "outside"
    await session.create(POD, outside)
    await session.create(POD, inside)
    await until_used(session, {"pods": "1"})
    inside["metadata"]["name"] = "more"
    with pytest.raises(Forbidden, match="exceeded quota"):
        await session.create(POD, inside)
    outside["metadata"]["name"] = "free"
    await session.create(POD, outside)


async def test_a_quota_that_is_changed_is_counted_and_one_that_is_wrong_is_corrected(kernel: Kernel) -> None:
    session = kernel.acting(SYSTEM)
    await session.create(RESOURCE_QUOTA, a_quota({"configmaps": "1"}))
    await until_used(session, {"configmaps": "0"})
    await session.patch(RESOURCE_QUOTA, "q", "default", {"spec": {"hard": {"secrets": "2"}}})
    await until_used(session, {"configmaps": "0", "secrets": "0"})
    stored = await kernel.store.get(RESOURCE_QUOTA, "q", "default")
    stored["status"]["used"] = {"configmaps": "9"}
    await kernel.store.update(RESOURCE_QUOTA, stored)
    again = Kernel(kernel.store, AllowAll())
    await again.start()
    await until_used(again.acting(SYSTEM), {"configmaps": "0", "secrets": "0"})


async def test_containers_get_the_defaults_of_a_limit_range(session: Session) -> None:
    limit = {"type": "Container", "max": {"cpu": "2"}, "min": {"memory": "1Mi"}, "defaultRequest": {"cpu": "100m"}}
    made = await session.create(LIMIT_RANGE, new_object(LIMIT_RANGE, "l", "default", {"limits": [limit]}))
    assert made["spec"]["limits"][0]["default"] == {"cpu": "2"}
    assert made["spec"]["limits"][0]["defaultRequest"] == {"cpu": "100m", "memory": "1Mi"}
    pod = await session.create(POD, a_pod())
    assert pod["spec"]["containers"][0]["resources"] == {
        "requests": {"cpu": "100m", "memory": "1Mi"},
        "limits": {"cpu": "2"},
    }
    assert "LimitRanger plugin set" in pod["metadata"]["annotations"]["kubernetes.io/limit-ranger"]
    own = await session.create(POD, a_pod("own", resources={"limits": {"cpu": "1"}, "requests": {"memory": "2Mi"}}))
    assert own["spec"]["containers"][0]["resources"]["limits"] == {"cpu": "1"}
    assert own["spec"]["containers"][0]["resources"]["requests"] == {"cpu": "1", "memory": "2Mi"}


@pytest.mark.parametrize(
    ("limit", "resources", "said"),
    [
        ({"type": "Container", "max": {"cpu": "1"}}, {"limits": {"cpu": "2"}}, "Container is 1, but limit is 2"),
        ({"type": "Container", "min": {"cpu": "1"}}, {"requests": {"cpu": "500m"}}, "is 1, but request is 500m"),
        ({"type": "Pod", "max": {"cpu": "1"}}, {"limits": {"cpu": "2"}}, "maximum cpu usage per Pod is 1"),
        (
            {"type": "Container", "maxLimitRequestRatio": {"cpu": "2"}},
            {"limits": {"cpu": "3"}, "requests": {"cpu": "1"}},
            "max limit to request ratio",
        ),
    ],
)
async def test_what_is_out_of_bounds_is_refused(session: Session, limit: Object, resources: Object, said: str) -> None:
    await session.create(LIMIT_RANGE, new_object(LIMIT_RANGE, "l", "default", {"limits": [limit]}))
    with pytest.raises(Forbidden, match=said):
        await session.create(POD, a_pod(resources=resources))


async def test_objects_of_installed_kinds_are_counted(session: Session) -> None:
    await define(session)
    await session.create(RESOURCE_QUOTA, a_quota({f"count/crontabs.{GROUP}": "1"}))
    await session.create(CRONTAB, a_crontab())
    await until_used(session, {f"count/crontabs.{GROUP}": "1"})
    with pytest.raises(Forbidden, match="exceeded quota"):
        await session.create(CRONTAB, a_crontab("two"))


MEMBER = Caller("mia", ("system:authenticated",))


def a_map(name: str, size: int) -> Object:
    return {**new_object(CONFIG_MAP, name, "default"), "data": {"text": "x" * size}}


async def test_who_has_as_many_bytes_as_a_quota_allows_writes_nothing_that_grows(kernel: Kernel) -> None:
    admin, member = kernel.acting(SYSTEM), kernel.acting(MEMBER)
    await admin.create(RESOURCE_QUOTA, a_quota({"lichen.dev/bytes": "1Mi"}))
    for name in ("a", "b"):
        await member.create(CONFIG_MAP, a_map(name, 700_000))
    await until_used(admin, {"lichen.dev/bytes": "2Mi"})
    with pytest.raises(Forbidden, match=r"exceeded quota: the objects of namespace default have \d+ bytes of 1048576"):
        await member.create(CONFIG_MAP, a_map("c", 1))
    with pytest.raises(Forbidden):
        await member.patch(CONFIG_MAP, "a", "default", {"data": {"more": "x"}})
    await admin.create(CONFIG_MAP, a_map("c", 1))
    await member.patch(CONFIG_MAP, "a", "default", {"data": {"text": "x"}})
    await until_used(admin, {"lichen.dev/bytes": "1Mi"})
    await member.create(CONFIG_MAP, a_map("d", 1))


async def test_what_was_taken_is_free_again_when_it_is_deleted_or_the_quota_is(kernel: Kernel) -> None:
    admin, member = kernel.acting(SYSTEM), kernel.acting(MEMBER)
    held = a_map("a", 9_000)
    held["metadata"]["finalizers"] = ["x.dev/y"]
    await member.create(CONFIG_MAP, held)
    await admin.create(RESOURCE_QUOTA, a_quota({"lichen.dev/bytes": "8k"}))
    with pytest.raises(Forbidden):
        await member.create(CONFIG_MAP, a_map("b", 1))
    await member.delete(CONFIG_MAP, "a", "default")
    await member.patch(CONFIG_MAP, "a", "default", {"metadata": {"finalizers": None}})
    await member.create(CONFIG_MAP, a_map("b", 9_000))
    with pytest.raises(Forbidden):
        await member.create(CONFIG_MAP, a_map("c", 1))
    await admin.delete(RESOURCE_QUOTA, "q", "default")
    await member.create(CONFIG_MAP, a_map("c", 1))


async def test_bytes_have_a_bound_where_no_quota_says_it_and_others_are_not_held_to_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(weights, "MOST", 20_000)
    kernel = await a_kernel()
    admin, member = kernel.acting(SYSTEM), kernel.acting(MEMBER)
    await admin.create(NAMESPACE, new_object(NAMESPACE, "other"))
    await member.create(CONFIG_MAP, a_map("a", 30_000))
    with pytest.raises(Forbidden):
        await member.create(CONFIG_MAP, a_map("b", 1))
    await member.create(CONFIG_MAP, new_object(CONFIG_MAP, "b", "other"))
    await kernel.acting(Caller(CONTROLLERS)).create(CONFIG_MAP, a_map("b", 1))


async def test_a_kernel_that_starts_knows_what_there_is_and_what_may_be() -> None:
    first = await a_kernel()
    await first.acting(SYSTEM).create(CONFIG_MAP, a_map("a", 9_000))
    await first.acting(SYSTEM).create(RESOURCE_QUOTA, a_quota({"lichen.dev/bytes": "8k"}))
    again = Kernel(first.store, AllowAll())
    await again.start()
    with pytest.raises(Forbidden):
        await again.acting(MEMBER).create(CONFIG_MAP, a_map("b", 1))
