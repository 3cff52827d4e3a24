# SPDX-License-Identifier: Apache-2.0
"""What is deleted while something is made that leads to it: one of the two is refused, and nothing is left over."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from lichen.kernel.admission import Request
from lichen.kernel.kernel import SYSTEM, Kernel
from lichen.kernel.session import Session
from lichen.kinds.builtin import CONFIG_MAP
from lichen.kinds.compute.flavor import Flavor
from lichen.kinds.compute.server import Server
from lichen.kinds.network.network import Network
from lichen.kinds.network.port import Port
from lichen.kinds.network.router import Router
from lichen.kinds.network.securitygroup import SecurityGroup
from lichen.kinds.network.subnet import Subnet
from lichen.kinds.volume.attachment import VolumeAttachment
from lichen.kinds.volume.snapshot import VolumeSnapshot
from lichen.kinds.volume.volume import Volume
from lichen.model.data import Object
from lichen.model.errors import ApiError, Conflict, InternalError
from lichen.model.kind import Kind, new_object
from lichen.model.state import DEFAULT_OPTIONS
from lichen.store.sqlite import SqliteStore
from tests.kernel.helpers import AllowAll, a_kernel

NS = "default"
ROUTER = "00000000-0000-4000-8000-000000000001"


async def make(session: Session, kind: Kind, name: str, spec: Object) -> Object:
    return await session.create(kind, new_object(kind, name, NS if kind.namespaced else "", spec))


async def a_volume(session: Session) -> None:
    await make(session, Volume.KIND, "x", {"size": 1})
    await session.patch(Volume.KIND, "x", NS, {"status": {"phase": "Available"}}, subresource="status")


async def a_network(session: Session) -> None:
    await make(session, Network.KIND, "x", {})
    await make(session, Subnet.KIND, "x", {"network": "x", "cidr": "10.0.0.0/24"})


async def a_server(session: Session) -> None:
    await a_volume(session)
    await make(session, Flavor.KIND, "small", {"vcpus": 1, "memory": 1})
    await make(session, Server.KIND, "x", {"flavor": "small", "networks": []})


async def a_router(session: Session) -> None:
    await a_network(session)
    await make(session, Router.KIND, "x", {"id": ROUTER})


async def a_group(session: Session) -> None:
    await a_network(session)
    await make(session, SecurityGroup.KIND, "x", {})


INTERFACE = {"network": "x", "deviceOwner": "network:router_interface", "deviceId": ROUTER}
RACES: list[tuple[Callable[[Session], Awaitable[None]], Kind, Object, Kind]] = [
    (a_network, Port.KIND, {"network": "x"}, Network.KIND),
    (a_group, Port.KIND, {"network": "x", "securityGroups": ["x"]}, SecurityGroup.KIND),
    (a_router, Port.KIND, INTERFACE, Router.KIND),
    (a_volume, VolumeSnapshot.KIND, {"volume": "x"}, Volume.KIND),
    (a_server, VolumeAttachment.KIND, {"volume": "x", "server": "x"}, Volume.KIND),
]


@pytest.mark.parametrize("delay", [0.0, 0.0003, 0.001])
@pytest.mark.parametrize("race", RACES, ids=lambda race: f"{race[1].kind} {race[3].kind}")
async def test_what_leads_to_it_and_its_deletion_are_not_both_answered_with_success(
    tmp_path: Path, race: Any, delay: float
) -> None:
    furnish, made, spec, deleted = race
    for first in ("made", "deleted"):
        store = await SqliteStore.open(tmp_path / f"{first}.db")
        session = await running(store)
        await furnish(session)

        async def later(write: Awaitable[Object]) -> bool:
            await asyncio.sleep(delay)
            return await succeeds(write)

        making, going = make(session, made, "x", spec), session.delete(deleted, "x", NS)
        order = (making, going) if first == "made" else (going, making)
        assert sum(await asyncio.gather(succeeds(order[0]), later(order[1]))) == 1
        await store.close()


async def test_a_copy_is_made_where_its_source_is_of_what_is_whole(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path / "x.db")
    session = await running(store)
    await make(session, Volume.KIND, "x", {"size": 1, "node": "n1", "availabilityZone": "here"})
    with pytest.raises(Conflict, match="volume x is Creating, not Available"):
        await make(session, Volume.KIND, "early", {"source": "x"})
    await session.patch(Volume.KIND, "x", NS, {"status": {"phase": "Available"}}, subresource="status")
    copy = await make(session, Volume.KIND, "copy", {"source": "x"})
    assert (copy["spec"]["node"], copy["spec"]["availabilityZone"]) == ("n1", "here")
    await session.patch(Volume.KIND, "x", NS, {"metadata": {"finalizers": ["lichen.dev/node"]}})
    await session.delete(Volume.KIND, "x", NS)
    with pytest.raises(Conflict, match="volume x is Deleting, not Available"):
        await make(session, Volume.KIND, "late", {"source": "x"})
    await store.close()


async def test_a_port_on_any_subnet_is_not_left_on_one_that_goes(tmp_path: Path) -> None:
    """It is made without an address, or the subnet stays."""
    store = await SqliteStore.open(tmp_path / "x.db")
    session = await running(store)
    await a_network(session)
    await asyncio.gather(
        succeeds(session.delete(Subnet.KIND, "x", NS)), succeeds(make(session, Port.KIND, "x", {"network": "x"}))
    )
    port, subnets = await session.get(Port.KIND, "x", NS), (await session.list(Subnet.KIND, NS)).items
    assert bool(port["spec"].get("fixedIps")) == bool(subnets)
    await store.close()


async def running(store: SqliteStore) -> Session:
    kernel = Kernel(store, AllowAll())
    await kernel.start()
    return kernel.acting(SYSTEM)


async def succeeds(write: Awaitable[Object]) -> bool:
    try:
        await write
    except ApiError:
        return False
    return True


class Following:
    """A plugin whose first step after a write is `first`, and whose second is written down."""

    kinds = (CONFIG_MAP,)
    verbs = ("create",)

    def __init__(self, first: Callable[[], Awaitable[None]]) -> None:
        self._first = first
        self.done = asyncio.Event()

    async def admit(self, request: Request) -> None:
        async def second() -> None:
            self.done.set()

        request.done += [self._first, second]


async def test_what_follows_a_write_is_done_though_a_part_of_it_fails() -> None:
    async def fail() -> None:
        raise InternalError("no")

    kernel, plugin = await a_kernel(), Following(fail)
    kernel.admission.append(plugin)
    with pytest.raises(InternalError):
        await kernel.acting(SYSTEM).create(CONFIG_MAP, new_object(CONFIG_MAP, "x", NS), DEFAULT_OPTIONS)
    assert plugin.done.is_set()


async def test_what_follows_a_write_is_done_though_the_caller_goes_away() -> None:
    begun = asyncio.Event()

    async def wait() -> None:
        begun.set()
        await asyncio.sleep(0.01)

    kernel, plugin = await a_kernel(), Following(wait)
    kernel.admission.append(plugin)
    write = asyncio.create_task(kernel.acting(SYSTEM).create(CONFIG_MAP, new_object(CONFIG_MAP, "x", NS)))
    await begun.wait()
    write.cancel()
    await asyncio.wait_for(plugin.done.wait(), 2)
