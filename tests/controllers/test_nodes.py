# SPDX-License-Identifier: Apache-2.0
"""Nodes that fall silent, come back, are tainted or go; with a clock that is driven."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from lichen.kinds.builtin import DEPLOYMENT, LEASE, NODE, POD
from lichen.model.data import Object
from lichen.model.meta import find_condition, is_deleting, name_of
from lichen.runtime.clock import ManualClock
from tests.controllers.world import Cloud, a_cloud, a_workload


class Driven(ManualClock):
    """Seconds pass when the test says so."""


@pytest.fixture
async def driven() -> AsyncIterator[Cloud]:
    async with a_cloud(nodes=2, clock=Driven()) as cloud:
        yield cloud


async def passes(cloud: Cloud, seconds: float, *alive: str) -> None:
    """Time passes, and these nodes renew their leases meanwhile."""
    assert isinstance(cloud.clock, Driven)
    while seconds > 0:
        for name in alive:
            await cloud.renew(name)
        await cloud.clock.run(min(seconds, 10.0))
        seconds -= 10.0
        await cloud.settle(0.01)


def says(status: str) -> object:
    return lambda node: (find_condition(node, "Ready") or {}).get("status") == status


def keys(node: Object) -> set[str]:
    return {taint["key"] for taint in node["spec"].get("taints") or []}


async def ready(cloud: Cloud, node: str) -> None:
    condition = {"type": "Ready", "status": "True", "reason": "Ready", "message": ""}
    await cloud.patch(NODE, node, {"status": {"conditions": [condition]}}, "status")


async def test_a_silent_node_is_unknown_and_tainted_and_its_pods_leave(driven: Cloud):
    await driven.create(DEPLOYMENT, "web", a_workload(4))
    await driven.until(DEPLOYMENT, "web", lambda d: d["status"].get("availableReplicas") == 4)
    assert {p["spec"]["nodeName"] for p in await driven.all(POD)} == {"n1", "n2"}
    driven.lingering = lambda pod: pod["spec"]["nodeName"] == "n1"
    driven.healthy = lambda pod: pod["spec"]["nodeName"] != "n1"
    await passes(driven, 60, "n2")
    node = await driven.until(NODE, "n1", says("Unknown"))
    assert keys(await driven.until(NODE, "n1", keys)) == {"node.kubernetes.io/unreachable"}
    assert not any(is_deleting(p) for p in await driven.all(POD))
    await passes(driven, 330, "n2")
    pods = await driven.until_all(POD, lambda pods: sum(not is_deleting(p) for p in pods) == 4)
    assert {p["spec"]["nodeName"] for p in pods if not is_deleting(p)} == {"n2"}
    await driven.until(DEPLOYMENT, "web", lambda d: d["status"].get("availableReplicas") == 4)
    assert name_of(node) == "n1"
    await driven.renew("n1")
    await ready(driven, "n1")
    await driven.until(NODE, "n1", lambda n: not keys(n))


async def test_nobody_leaves_when_all_nodes_are_silent(driven: Cloud):
    await driven.create(DEPLOYMENT, "web", a_workload(2))
    await driven.until(DEPLOYMENT, "web", lambda d: d["status"].get("availableReplicas") == 2)
    before = await driven.names(POD)
    await passes(driven, 600)
    await driven.until(NODE, "n1", says("Unknown"))
    await driven.until(NODE, "n2", says("Unknown"))
    assert await driven.names(POD) == before
    assert not any(is_deleting(p) for p in await driven.all(POD))


async def test_pods_of_a_node_that_was_deleted_go(driven: Cloud):
    await driven.create(DEPLOYMENT, "web", a_workload(2))
    await driven.until(DEPLOYMENT, "web", lambda d: d["status"].get("availableReplicas") == 2)
    driven.lingering = lambda pod: pod["spec"]["nodeName"] == "n1"
    await driven.state.delete(NODE, "n1")
    await driven.state.delete(LEASE, "n1", "kube-node-lease")
    await passes(driven, 50, "n2")
    pods = await driven.until_all(
        POD, lambda pods: len(pods) == 2 and {p["spec"].get("nodeName") for p in pods} == {"n2"}
    )
    assert len(pods) == 2
