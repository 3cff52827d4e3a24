# SPDX-License-Identifier: Apache-2.0
"""Whatever is sent, the answer is an object or a refusal in words, never an accident."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import random
from collections.abc import Iterator
from typing import Any

import pytest

from lichen.kernel.kernel import SYSTEM, Kernel
from lichen.kernel.session import Session
from lichen.kinds.builtin import CONFIG_MAP, DEPLOYMENT, JOB, NAMESPACE, POD, SERVICE
from lichen.kinds.compute.flavor import Flavor
from lichen.kinds.compute.server import Server
from lichen.kinds.network.address import Address
from lichen.kinds.network.port import Port
from lichen.kinds.network.subnet import Subnet
from lichen.model.data import Object
from lichen.model.errors import ApiError
from lichen.model.kind import Kind, new_object
from lichen.model.state import PatchType
from lichen.store.memory import MemoryStore
from tests.kernel.helpers import AllowAll, a_kernel

CONTAINER = {
    "name": "c",
    "image": "b",
    "ports": [{"name": "http", "containerPort": 80}],
    "env": [{"name": "a", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
    "resources": {"requests": {"cpu": "100m"}, "limits": {"cpu": 1}},
    "volumeMounts": [{"name": "v", "mountPath": "/x"}],
    "readinessProbe": {"httpGet": {"port": 80}},
}
SPEC = {"containers": [CONTAINER], "volumes": [{"name": "v", "emptyDir": {}}], "tolerations": [{"operator": "Exists"}]}
TEMPLATE = {"metadata": {"labels": {"a": "b"}}, "spec": SPEC}
SUBNET = {"network": "cluster", "cidr": "10.9.0.0/24", "allocationPools": [{"start": "10.9.0.5", "end": "10.9.0.9"}]}
BODIES: list[tuple[Kind, Object]] = [
    (CONFIG_MAP, {"data": {"a": "b"}}),
    (NAMESPACE, {}),
    (POD, {"spec": SPEC}),
    (DEPLOYMENT, {"spec": {"selector": {"matchLabels": {"a": "b"}}, "template": TEMPLATE}}),
    (JOB, {"spec": {"template": {"spec": {**SPEC, "restartPolicy": "Never"}}}}),
    (SERVICE, {"spec": {"ports": [{"port": 80, "targetPort": "http", "nodePort": 30001}], "type": "NodePort"}}),
    (Subnet.KIND, {"spec": SUBNET}),
    (Port.KIND, {"spec": {"network": "cluster", "fixedIps": [{"subnet": "cluster", "ipAddress": "10.244.9.9"}]}}),
    (Flavor.KIND, {"spec": {"vcpus": 1, "memory": 1, "id": "a"}}),
    (Server.KIND, {"spec": {"flavor": "f", "networks": [{"network": "cluster"}]}}),
]
ODD: list[Any] = [
    None, "", 0, -1, True, [], {}, "x", "10.0.0.0/8", "a/b", 1.5, 2**70, "é\0", [None], {"a": None}, ["x"], "x" * 300,
    {"x": {"y": 1}}, [[]], [{}], {"$patch": "x"},
]  # fmt: skip


def paths(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in items:
        yield from paths(value, (*path, key))


def spoiled(obj: Object, dice: random.Random) -> Object:
    """A copy in which one part is gone or odd."""
    obj = copy.deepcopy(obj)
    path = dice.choice([path for path in paths(obj) if path])
    node: Any = obj
    for step in path[:-1]:
        node = node[step]
    if dice.random() < 0.3:
        del node[path[-1]]
    else:
        node[path[-1]] = copy.deepcopy(dice.choice(ODD))
    return obj


def a_body(kind: Kind, name: str, body: Object) -> Object:
    return {**new_object(kind, name, "default"), **copy.deepcopy(body)}


@pytest.mark.parametrize("kind_and_body", BODIES, ids=lambda pair: pair[0].plural)
async def test_odd_objects_and_patches_are_refused_in_words(
    session: Session, kind_and_body: tuple[Kind, Object]
) -> None:
    kind, body = kind_and_body
    dice = random.Random(kind.plural)
    namespace = "default" if kind.namespaced else ""
    for number in range(150):
        with contextlib.suppress(ApiError):
            await session.create(kind, spoiled(a_body(kind, f"n{number}", body), dice))
    with contextlib.suppress(ApiError):
        await session.create(kind, a_body(kind, "whole", body))
    for number in range(150):
        spoilt = spoiled(a_body(kind, "whole", body), dice)
        type = (PatchType.MERGE, PatchType.STRATEGIC)[number % 2]
        with contextlib.suppress(ApiError):
            await session.patch(kind, "whole", namespace, spoilt, type=type)
        with contextlib.suppress(ApiError):
            await session.update(kind, spoilt)


class SlowStore(MemoryStore):
    """Ports take their time."""

    async def create(self, kind: Kind, obj: Object, *options: Any) -> Object:
        if kind == Port.KIND:
            await asyncio.sleep(0.05)
        return await super().create(kind, obj, *options)


async def test_a_caller_that_goes_away_leaves_claim_and_port_together() -> None:
    kernel = Kernel(SlowStore(), AllowAll())
    await kernel.start()
    session = kernel.acting(SYSTEM)
    port = new_object(Port.KIND, "p", "default", Port.Spec(network="cluster"))
    task = asyncio.create_task(session.create(Port.KIND, port))
    await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.wait([task])
    stored = await session.get(Port.KIND, "p", "default")
    claims = (await session.list(Address.KIND)).items
    assert [c["spec"]["portId"] for c in claims if c["spec"]["port"].startswith("default/")] == [stored["spec"]["id"]]


async def test_a_kernel_can_be_made_twice_over_one_store() -> None:
    first = await a_kernel()
    second = Kernel(first.store, AllowAll())
    await second.start()
    found = (await second.acting(SYSTEM).list(Subnet.KIND)).items
    assert sorted(subnet["metadata"]["name"] for subnet in found) == ["cluster", "public"]
