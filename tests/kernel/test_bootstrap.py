# SPDX-License-Identifier: Apache-2.0
"""The external network, and the way out to it, that every cloud is given once, whenever it was made."""

from __future__ import annotations

import pytest

from lichen.kernel.kernel import SYSTEM, Kernel
from lichen.kernel.session import Session
from lichen.kinds.network.network import Network
from lichen.kinds.network.port import Port
from lichen.kinds.network.router import Router
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


async def routers(session: Session) -> list[str]:
    return [router["metadata"]["name"] for router in (await session.list(Router.KIND)).items]


async def do_without(session: Session, *, network: bool = True) -> None:
    """What an admin does who wants no way out, or not even what is outside."""
    await session.delete(Port.KIND, "cluster-router", SYSTEM_NAMESPACE)
    await session.delete(Router.KIND, "cluster", SYSTEM_NAMESPACE)
    if network:
        await session.delete(Subnet.KIND, "public", SYSTEM_NAMESPACE)
        await session.delete(Network.KIND, "public", SYSTEM_NAMESPACE)


async def an_earlier_cloud(offered: str | None = None) -> tuple[MemoryStore, Session]:
    """It was never offered the network, or `offered` alone."""
    store = MemoryStore()
    session = await started(store)
    await do_without(session, network=offered is None)
    marked = {"metadata": {"annotations": {OFFERED: offered}}}
    await session.patch(Network.KIND, CLUSTER_NETWORK, SYSTEM_NAMESPACE, marked)
    return store, session


async def test_the_network_that_all_share_has_a_way_out():
    session = await started(MemoryStore())
    router = await session.get(Router.KIND, "cluster", SYSTEM_NAMESPACE)
    inside = await session.get(Port.KIND, "cluster-router", SYSTEM_NAMESPACE)
    assert router["spec"]["externalGateway"]["fixedIps"][0]["ipAddress"].startswith("172.24.4.")
    assert [fixed["ipAddress"] for fixed in inside["spec"]["fixedIps"]] == ["10.244.0.1"]
    assert inside["spec"]["deviceId"] == router["spec"]["id"]


async def test_a_cloud_that_has_the_network_already_is_given_the_way_out():
    store, session = await an_earlier_cloud("public")
    assert await routers(session) == []
    assert await routers(await started(store)) == ["cluster"]


async def test_a_way_out_that_is_there_is_the_only_one():
    store, session = await an_earlier_cloud("public")
    gateway = {"externalGateway": {"network": "public"}}
    router = await session.create(Router.KIND, new_object(Router.KIND, "theirs", SYSTEM_NAMESPACE, gateway))
    spec = {
        "network": "cluster",
        "deviceOwner": "network:router_interface",
        "deviceId": router["spec"]["id"],
        "fixedIps": [{"subnet": "cluster", "ipAddress": "10.244.0.1"}],
    }
    await session.create(Port.KIND, new_object(Port.KIND, "theirs", SYSTEM_NAMESPACE, spec))
    assert await routers(await started(store)) == ["theirs"]


async def test_a_cloud_of_an_earlier_release_is_given_it():
    store, _ = await an_earlier_cloud()
    session = await started(store)
    assert await networks(session) == ["cluster", "public"]
    assert await routers(session) == ["cluster"]
    subnet = await session.get(Subnet.KIND, "public", SYSTEM_NAMESPACE)
    assert subnet["spec"]["cidr"] == "172.24.4.0/24"


async def test_an_admin_may_do_without_it_for_good():
    store = MemoryStore()
    await do_without(await started(store))
    session = await started(store)
    assert (await networks(session), await routers(session)) == (["cluster"], [])


async def test_an_admin_may_do_without_the_way_out_alone():
    store = MemoryStore()
    await do_without(await started(store), network=False)
    session = await started(store)
    assert (await networks(session), await routers(session)) == (["cluster", "public"], [])


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
