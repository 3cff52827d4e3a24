# SPDX-License-Identifier: Apache-2.0
"""The external network that every cloud is given once, whenever it was made."""

from __future__ import annotations

import pytest

from lichen.kernel.kernel import SYSTEM, Kernel
from lichen.kernel.session import Session
from lichen.kinds.network.network import Network
from lichen.kinds.network.subnet import Subnet
from lichen.model.kind import new_object
from lichen.model.names import CLUSTER_NETWORK, OFFERED, SYSTEM_NAMESPACE
from lichen.store.memory import MemoryStore
from tests.kernel.helpers import AllowAll


async def started(store: MemoryStore) -> Session:
    kernel = Kernel(store, AllowAll())
    await kernel.start()
    return kernel.acting(SYSTEM)


async def networks(session: Session) -> list[str]:
    return sorted(network["metadata"]["name"] for network in (await session.list(Network.KIND)).items)


async def an_earlier_cloud() -> tuple[MemoryStore, Session]:
    """It was never offered the network."""
    store = MemoryStore()
    session = await started(store)
    await session.delete(Subnet.KIND, "public", SYSTEM_NAMESPACE)
    await session.delete(Network.KIND, "public", SYSTEM_NAMESPACE)
    unmarked = {"metadata": {"annotations": {OFFERED: None}}}
    await session.patch(Network.KIND, CLUSTER_NETWORK, SYSTEM_NAMESPACE, unmarked)
    return store, session


async def test_a_cloud_of_an_earlier_release_is_given_it():
    store, _ = await an_earlier_cloud()
    session = await started(store)
    assert await networks(session) == ["cluster", "public"]
    subnet = await session.get(Subnet.KIND, "public", SYSTEM_NAMESPACE)
    assert subnet["spec"]["cidr"] == "172.24.4.0/24"


async def test_an_admin_may_do_without_it_for_good():
    store = MemoryStore()
    session = await started(store)
    await session.delete(Subnet.KIND, "public", SYSTEM_NAMESPACE)
    await session.delete(Network.KIND, "public", SYSTEM_NAMESPACE)
    assert await networks(await started(store)) == ["cluster"]


@pytest.mark.parametrize(
    ("name", "cidr", "given"),
    [("public", "203.0.113.0/24", False), ("outside", "172.24.0.0/16", False), ("outside", "203.0.113.0/24", True)],
)
async def test_it_takes_neither_name_nor_addresses_of_an_external_network_that_is_there(
    name: str, cidr: str, given: bool
):
    store, session = await an_earlier_cloud()
    await session.create(
        Network.KIND, new_object(Network.KIND, name, "default", {"displayName": name, "external": True})
    )
    await session.create(Subnet.KIND, new_object(Subnet.KIND, name, "default", {"network": name, "cidr": cidr}))
    found = (await (await started(store)).list(Network.KIND, SYSTEM_NAMESPACE)).items
    assert [n["metadata"]["name"] for n in found] == ["cluster", "public"][: 2 if given else 1]
