# SPDX-License-Identifier: Apache-2.0
"""Routers in the kernel: between networks, out by the router's address, in by a floating one."""

from __future__ import annotations

import dataclasses

import pytest

from lichen.drivers.base import NetworkSpec, PortSpec, RouterGateway, RouterSpec, SubnetSpec
from lichen.drivers.linuxnet import LinuxNetworks
from tests.conformance.networks import a_network, a_port
from tests.real.machine import inside, run
from tests.real.test_filters import plugged, reaches
from tests.real.test_networks import Site, fetch, networks, site

pytestmark = pytest.mark.real
__all__ = ["networks", "site"]


def outside(site: Site) -> NetworkSpec:
    """An external network of a range that no machine has, another for each test at the same time."""
    third = int(site.prefix[1:3], 16)
    subnet = SubnetSpec("out", f"198.18.{third}.0/24", f"198.18.{third}.1", dhcp=False)
    return NetworkSpec("out-" + site.mark, external=True, subnets=(subnet,))


def a_router(site: Site, *ports: PortSpec, floating: tuple[tuple[str, str], ...] = ()) -> RouterSpec:
    network = outside(site)
    gateway = network.subnets[0].gateway
    address = gateway.rpartition(".")[0] + ".2"
    way_out = RouterGateway(network.id, "fa:16:3e:aa:00:02", ((address, 24),), gateway)
    ranges = {port.network_id: port.gateway.rpartition(".")[0] + ".0/24" for port in ports}
    return RouterSpec("router-" + site.mark, tuple((n, (r,)) for n, r in ranges.items()), way_out, floating)


async def another(networks: LinuxNetworks, site: Site) -> PortSpec:
    """A port on a second network, 10.8.0.0/24."""
    port = a_port("b-" + site.mark, 12, addresses=(("10.8.0.12", 24),), gateway="10.8.0.1")
    subnet = SubnetSpec("subnet-b", "10.8.0.0/24", "10.8.0.1")
    await networks.ensure_network(a_network(port, subnets=(subnet,)))
    return port


async def test_the_host_reaches_a_port_by_its_floating_ip_and_the_port_reaches_the_host(
    site: Site, networks: LinuxNetworks
) -> None:
    port, neighbour = (a_port("a-" + site.mark, number) for number in (11, 12))
    await networks.ensure_network(a_network(port, neighbour))
    await networks.ensure_network(outside(site))
    inner, next_door = await plugged(site, networks, port, neighbour)
    host = outside(site).subnets[0].gateway
    floating = host.rpartition(".")[0] + ".50"
    router = a_router(site, port)
    await networks.ensure_router(router)
    await networks.ensure_router(router)
    assert await networks.discover_routers() == {router.id}
    assert " 0% packet loss" in await inside(inner, "busybox", "ping", "-c", "1", "-W", "2", host)
    await networks.ensure_router(dataclasses.replace(router, floating=((floating, "10.9.0.11"),)))
    page = await run("curl", "-sS", "-m", "5", "--retry", "10", "--retry-connrefused", f"http://{floating}:8080/")
    assert page == "a page\n"
    assert await fetch(next_door, f"http://{floating}:8080/") == "a page\n"
    await networks.ensure_router(dataclasses.replace(router, floating=((floating, "10.9.0.12"),)))
    assert await run("curl", "-sS", "-m", "5", "--retry", "9", f"http://{floating}:8080/") == "a page\n"
    await networks.ensure_router(router)
    assert "page" not in await run("curl", "-sS", "-m", "1", f"http://{floating}:8080/", check=False)
    await networks.remove_router(router.id)
    assert await networks.discover_routers() == frozenset()
    assert "100% packet loss" in await inside(inner, "busybox", "ping", "-c", "1", "-W", "1", host, check=False)


async def test_a_router_leads_from_network_to_network_and_stops_when_one_leaves(
    site: Site, networks: LinuxNetworks
) -> None:
    one = a_port("a-" + site.mark, 11)
    await networks.ensure_network(a_network(one))
    two = await another(networks, site)
    first, second = await plugged(site, networks, one, two)
    router = dataclasses.replace(a_router(site, one, two), gateway=None)
    assert not await reaches(first, "http://10.8.0.12:8080/")
    await networks.ensure_router(router)
    assert await fetch(first, "http://10.8.0.12:8080/") == "a page\n"
    assert await fetch(second, "http://10.9.0.11:8080/") == "a page\n"
    await networks.ensure_router(dataclasses.replace(router, interfaces=router.interfaces[:1]))
    assert not await reaches(first, "http://10.8.0.12:8080/")


async def test_nothing_comes_in_from_outside_but_by_a_floating_ip(site: Site, networks: LinuxNetworks) -> None:
    port = a_port("a-" + site.mark, 11)
    await networks.ensure_network(a_network(port))
    await networks.ensure_network(outside(site))
    await plugged(site, networks, port)
    router = a_router(site, port)
    await networks.ensure_router(router)
    stranger = site.netns()
    host = outside(site).subnets[0].gateway
    base = host.rpartition(".")[0]
    visitor = a_port(outside(site).id, 99, addresses=((f"{base}.99", 24),), gateway=f"{base}.2")
    await networks.plug_namespace(visitor, stranger)
    assert not await reaches(stranger, "http://10.9.0.11:8080/")
