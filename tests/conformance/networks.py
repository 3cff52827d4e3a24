# SPDX-License-Identifier: Apache-2.0
"""What every NetworkDriver must do: the Linux one and the fake run this same suite.

class TestFakeNetworks(NetworkConformance):
    @pytest.fixture
    async def networks(self): ...           # a driver on a machine of its own, cleaned up afterwards
    @pytest.fixture
    def reopened(self, networks): ...       # callable: another driver on the same machine, as after a restart
    @pytest.fixture
    def netns(self): ...                    # path of an empty network namespace (any text for a fake)
"""

from __future__ import annotations

import uuid
from collections.abc import Callable

import pytest

from lichen.drivers.base import (
    FilterRule,
    GroupSpec,
    Lease,
    NetworkDriver,
    NetworkSpec,
    PortSpec,
    RouterSpec,
    ServiceRule,
    SubnetSpec,
)
from lichen.model.errors import Temporary

Reopened = Callable[[], NetworkDriver]


def a_network(*ports: PortSpec, **changes: object) -> NetworkSpec:
    """A network 10.9.0.0/24 whose gateway is .1, and the ports' leases."""
    fields: dict[str, object] = {
        "id": ports[0].network_id if ports else str(uuid.uuid4()),
        "subnets": (SubnetSpec("subnet", "10.9.0.0/24", "10.9.0.1"),),
        "leases": tuple(
            Lease(port.id, port.mac, f"host{number}", tuple(a for a, _ in port.addresses))
            for number, port in enumerate(ports)
        ),
    }
    return NetworkSpec(**{**fields, **changes})  # type: ignore[arg-type]


def a_port(network_id: str, number: int, **changes: object) -> PortSpec:
    """Port 10.9.0.<number>."""
    fields: dict[str, object] = {
        "id": str(uuid.uuid4()),
        "network_id": network_id,
        "mac": f"fa:16:3e:00:00:{number:02x}",
        "addresses": ((f"10.9.0.{number}", 24),),
        "gateway": "10.9.0.1",
    }
    return PortSpec(**{**fields, **changes})  # type: ignore[arg-type]


class NetworkConformance:
    async def test_an_empty_machine_has_no_network_and_no_port(self, networks: NetworkDriver) -> None:
        assert await networks.discover() == (frozenset(), frozenset())

    async def test_networks_and_ports_are_found_by_their_ids(self, networks: NetworkDriver, netns: str) -> None:
        network = a_network()
        tap, veth = a_port(network.id, 11), a_port(network.id, 12)
        await networks.ensure_network(network)
        assert await networks.plug_tap(tap)
        await networks.plug_namespace(veth, netns)
        assert await networks.discover() == (frozenset({network.id}), frozenset({tap.id, veth.id}))

    async def test_doing_it_again_changes_nothing(self, networks: NetworkDriver, netns: str) -> None:
        network = a_network()
        tap, veth = a_port(network.id, 11), a_port(network.id, 12)
        names = set()
        for _ in range(2):
            await networks.ensure_network(network)
            names.add(await networks.plug_tap(tap))
            await networks.plug_namespace(veth, netns)
            await networks.ensure_services((ServiceRule(network.id, "10.96.0.1", "TCP", 80, (("10.9.0.12", 80),)),))
        assert len(names) == 1
        assert await networks.discover() == (frozenset({network.id}), frozenset({tap.id, veth.id}))

    async def test_two_ports_have_two_taps(self, networks: NetworkDriver) -> None:
        network = a_network()
        await networks.ensure_network(network)
        taps = {await networks.plug_tap(a_port(network.id, number)) for number in (11, 12)}
        assert len(taps) == 2
        assert all(len(tap) <= 15 for tap in taps)

    async def test_a_port_of_a_network_that_is_not_here_has_to_wait(self, networks: NetworkDriver, netns: str) -> None:
        with pytest.raises(Temporary):
            await networks.plug_tap(a_port("nowhere", 11))
        with pytest.raises(Temporary):
            await networks.plug_namespace(a_port("nowhere", 12), netns)

    async def test_an_unplugged_port_is_gone(self, networks: NetworkDriver, netns: str) -> None:
        network = a_network()
        tap, veth = a_port(network.id, 11), a_port(network.id, 12)
        await networks.ensure_network(network)
        await networks.plug_tap(tap)
        await networks.plug_namespace(veth, netns)
        for port in (tap, veth, tap):
            await networks.unplug(port.id)
        assert await networks.discover() == (frozenset({network.id}), frozenset())

    async def test_a_changed_network_keeps_its_ports(self, networks: NetworkDriver) -> None:
        network = a_network()
        port = a_port(network.id, 11)
        await networks.ensure_network(network)
        await networks.plug_tap(port)
        await networks.ensure_network(a_network(port, mtu=1400))
        assert await networks.discover() == (frozenset({network.id}), frozenset({port.id}))

    async def test_a_removed_network_is_gone(self, networks: NetworkDriver) -> None:
        network, other = a_network(), a_network()
        await networks.ensure_network(network)
        await networks.ensure_network(other)
        await networks.remove_network(network.id)
        await networks.remove_network(network.id)
        assert await networks.discover() == (frozenset({other.id}), frozenset())

    async def test_services_of_absent_networks_and_without_endpoints_are_no_fault(
        self, networks: NetworkDriver
    ) -> None:
        network = a_network()
        await networks.ensure_network(network)
        await networks.ensure_services(
            (ServiceRule("nowhere", "10.96.0.1", "TCP", 80), ServiceRule(network.id, "10.96.0.2", "UDP", 53))
        )
        await networks.ensure_services(())

    async def test_a_new_driver_finds_what_the_old_one_made(
        self, networks: NetworkDriver, reopened: Reopened, netns: str
    ) -> None:
        network = a_network()
        port = a_port(network.id, 11)
        await networks.ensure_network(network)
        await networks.plug_namespace(port, netns)
        again = reopened()
        assert await again.discover() == (frozenset({network.id}), frozenset({port.id}))
        await again.unplug(port.id)
        await again.remove_network(network.id)
        assert await networks.discover() == (frozenset(), frozenset())

    async def test_groups_and_filters_can_be_said_again_and_in_any_order(self, networks: NetworkDriver) -> None:
        network = a_network()
        port = a_port(network.id, 11, groups=("one", "unknown"))
        rules = (FilterRule(ingress=True, protocol=6, port_min=80, port_max=80), FilterRule(False, remote_group="two"))
        await networks.ensure_network(network)
        await networks.filter_port(port)
        await networks.plug_tap(port)
        for groups in ((GroupSpec("one", rules, ("10.9.0.11", "fd00::1")),), (), (GroupSpec("two"),)):
            await networks.ensure_groups(groups)
            await networks.ensure_groups(groups)
            await networks.filter_port(port)
        await networks.unplug(port.id)

    async def test_a_router_joins_networks_that_are_here_and_is_found_by_its_id(
        self, networks: NetworkDriver, reopened: Reopened
    ) -> None:
        network = a_network()
        router = RouterSpec("router-" + network.id, ((network.id, ("10.9.0.0/24",)),))
        with pytest.raises(Temporary):
            await networks.ensure_router(router)
        await networks.ensure_network(network)
        for _ in range(2):
            await networks.ensure_router(router)
        again = reopened()
        assert await again.discover_routers() == {router.id}
        for _ in range(2):
            await again.remove_router(router.id)
        assert await networks.discover_routers() == frozenset()

    async def test_cleanup_removes_all(self, networks: NetworkDriver, reopened: Reopened, netns: str) -> None:
        network = a_network()
        await networks.ensure_network(network)
        await networks.plug_tap(a_port(network.id, 11))
        await networks.plug_namespace(a_port(network.id, 12), netns)
        await reopened().cleanup()
        assert await networks.discover() == (frozenset(), frozenset())
