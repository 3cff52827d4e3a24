# SPDX-License-Identifier: Apache-2.0
"""Security groups in the kernel: who may come in, who may go out, whose answers pass."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from lichen.drivers.base import FilterRule, GroupSpec, GuestNic, PortSpec
from lichen.drivers.linuxnet import LinuxNetworks
from tests.conformance.guests import running
from tests.conformance.networks import a_network, a_port
from tests.real.machine import inside
from tests.real.test_guests import QemuBench, bench
from tests.real.test_networks import Site, fetch, networks, site

pytestmark = pytest.mark.real
__all__ = ["bench", "networks", "site"]
ALL_OUT = FilterRule(ingress=False)


async def reaches(netns: str | Path, url: str) -> bool:
    return "page" in await inside(netns, "curl", "-sS", "-m", "1", url, check=False)


async def plugged(site: Site, networks: LinuxNetworks, *ports: PortSpec) -> list[str]:
    """A namespace with a web page for each port."""
    spaces = []
    for port in ports:
        netns = site.netns()
        await networks.plug_namespace(port, netns)
        site.serve(netns, "a page\n")
        spaces.append(netns)
    return spaces


async def test_a_group_lets_its_members_in_and_others_not(site: Site, networks: LinuxNetworks) -> None:
    network_id = "net-" + site.mark
    one, two = (a_port(network_id, number, groups=("g",)) for number in (11, 12))
    stranger = a_port(network_id, 13)
    await networks.ensure_network(a_network(one, two, stranger))
    group = GroupSpec("g", (ALL_OUT, FilterRule(ingress=True, remote_group="g")), ("10.9.0.11", "10.9.0.12"))
    await networks.ensure_groups((group,))
    first, second, third = await plugged(site, networks, one, two, stranger)
    assert await fetch(first, "http://10.9.0.12:8080/") == "a page\n"
    assert await fetch(first, "http://10.9.0.13:8080/") == "a page\n"  # answers pass
    assert not await reaches(third, "http://10.9.0.11:8080/")
    await networks.ensure_groups((dataclasses.replace(group, members=(*group.members, "10.9.0.13")),))
    assert await reaches(third, "http://10.9.0.11:8080/")
    await networks.ensure_groups((dataclasses.replace(group, members=("10.9.0.11",)),))
    assert not await reaches(third, "http://10.9.0.11:8080/")
    assert not await reaches(second, "http://10.9.0.11:8080/")


async def test_rules_choose_by_port_by_range_and_by_direction(site: Site, networks: LinuxNetworks) -> None:
    network_id = "net-" + site.mark
    server, caller = a_port(network_id, 11, groups=("web",)), a_port(network_id, 12)
    await networks.ensure_network(a_network(server, caller))
    within, without = await plugged(site, networks, server, caller)
    assert not await reaches(without, "http://10.9.0.11:8080/")  # a group that is not known lets nothing through

    async def rules(*wanted: FilterRule) -> None:
        await networks.ensure_groups((GroupSpec("web", wanted),))

    await rules(FilterRule(ingress=True, protocol=6, port_min=8000, port_max=9000))
    assert await reaches(without, "http://10.9.0.11:8080/")
    assert not await reaches(within, "http://10.9.0.12:8080/")
    await rules(FilterRule(ingress=True, protocol=6, port_min=80, port_max=80), ALL_OUT)
    assert not await reaches(without, "http://10.9.0.11:8080/")
    assert await reaches(within, "http://10.9.0.12:8080/")
    await rules(FilterRule(ingress=True, remote_cidr="10.9.0.12/32"))
    assert await reaches(without, "http://10.9.0.11:8080/")
    await rules(FilterRule(ingress=True, remote_cidr="10.9.0.128/25"), FilterRule(ingress=True, protocol=1, port_min=8))
    assert not await reaches(without, "http://10.9.0.11:8080/")
    ping = ("busybox", "ping", "-c", "1", "-W", "1", "10.9.0.11")
    assert " 0% packet loss" in await inside(without, *ping, check=False)
    await networks.filter_port(dataclasses.replace(server, groups=None))
    assert await reaches(without, "http://10.9.0.11:8080/")
    await networks.filter_port(dataclasses.replace(server, groups=()))
    assert not await reaches(without, "http://10.9.0.11:8080/")


async def test_a_filter_outlives_the_driver_that_made_it_and_another_changes_it(
    site: Site, networks: LinuxNetworks
) -> None:
    network_id = "net-" + site.mark
    server, caller = a_port(network_id, 11, groups=("web",)), a_port(network_id, 12)
    await networks.ensure_network(a_network(server, caller))
    await networks.ensure_groups((GroupSpec("web", (FilterRule(ingress=True),)),))
    _, without = await plugged(site, networks, server, caller)
    assert await fetch(without, "http://10.9.0.11:8080/") == "a page\n"
    again = site.driver()
    await again.filter_port(server)
    await again.ensure_groups((GroupSpec("web"),))
    assert not await reaches(without, "http://10.9.0.11:8080/")
    await again.unplug(server.id)
    await again.ensure_groups(())
    await again.close()


async def test_networks_with_the_same_addresses_keep_their_connections_apart(
    site: Site, networks: LinuxNetworks
) -> None:
    spaces = []
    group = GroupSpec("g", (ALL_OUT, FilterRule(ingress=True)))
    await networks.ensure_groups((group, GroupSpec("closed", (ALL_OUT,))))
    for name, groups in (("a", ("g",)), ("b", ("closed",))):
        ports = [a_port(f"{name}-{site.mark}", number, groups=groups) for number in (11, 12)]
        await networks.ensure_network(a_network(*ports))
        spaces.append(await plugged(site, networks, *ports))
    url = ("http://10.9.0.12:8080/", "--local-port", "40000")
    assert "page" in await inside(spaces[0][0], "curl", "-sS", "-m", "5", "--retry", "5", "--retry-connrefused", *url)
    assert "page" not in await inside(spaces[1][0], "curl", "-sS", "-m", "1", *url, check=False)


async def test_two_drivers_on_one_machine_leave_each_others_ports_alone(site: Site, networks: LinuxNetworks) -> None:
    network_id = "net-" + site.mark
    server, caller = a_port(network_id, 11, groups=("closed",)), a_port(network_id, 12)
    await networks.ensure_network(a_network(server, caller))
    await networks.ensure_groups((GroupSpec("closed", (ALL_OUT,)),))
    neighbour = LinuxNetworks(site.folder / "neighbour", prefix="y" + site.prefix[1:], namespace=site.mark + "n")
    try:
        other = a_port("other-" + site.mark, 11, groups=())
        await neighbour.ensure_network(a_network(other))
        await neighbour.plug_tap(other)
        _, without = await plugged(site, networks, server, caller)
        assert not await reaches(without, "http://10.9.0.11:8080/")
    finally:
        await neighbour.cleanup()
        await neighbour.close()


LINK_LOCAL = "169.254.169.254"
ASKS = f"""#!/bin/sh
nslookup host1 {LINK_LOCAL}
fetch http://{LINK_LOCAL}/ || echo no metadata
for port in 81 6443 8080; do fetch http://{LINK_LOCAL}:$port/ && echo reached $port; done
"""


async def at_link_local(networks: LinuxNetworks, site: Site, network_id: str) -> None:
    """The network's namespace answers there on the metadata's port and on three others."""
    for port in (80, 81, 6443, 8080):
        site.serve(str(networks.netns(network_id)), f"page at {port}\n", port)
        await fetch(networks.netns(network_id), f"http://{LINK_LOCAL}:{port}/")


async def test_a_pod_that_may_nothing_reaches_names_and_metadata_at_the_link_local_address_and_nothing_else(
    site: Site, networks: LinuxNetworks
) -> None:
    network_id = "net-" + site.mark
    shut, free = a_port(network_id, 11, groups=()), a_port(network_id, 12)
    await networks.ensure_network(a_network(shut, free))
    await at_link_local(networks, site, network_id)
    for port, reached in ((shut, {80}), (free, {80, 81, 6443, 8080})):
        pod = site.netns()
        await networks.plug_namespace(port, pod)
        assert "10.9.0.12" in await inside(pod, "busybox", "nslookup", "-type=a", "host1", LINK_LOCAL, check=False)
        said = {number for number in (80, 81, 6443, 8080) if await reaches(pod, f"http://{LINK_LOCAL}:{number}/")}
        assert said == reached


async def test_a_vm_that_may_nothing_reaches_names_and_metadata_at_the_link_local_address_and_nothing_else(
    site: Site, networks: LinuxNetworks, bench: QemuBench
) -> None:
    network_id = "net-" + site.mark
    vm, other = a_port(network_id, 11, groups=()), a_port(network_id, 12)
    await networks.ensure_network(a_network(vm, other))
    await at_link_local(networks, site, network_id)
    tap = await networks.plug_tap(vm)
    files = {
        "openstack/latest/meta_data.json": b'{"hostname": "web-1"}',
        "openstack/latest/user_data": ASKS.encode(),
    }
    guest = await running(bench, nics=(GuestNic(tap, vm.mac),), files=files)
    said = (await bench.guests.console(guest.id)).decode()
    assert "10.9.0.12" in said[said.index("Name:") :]
    assert "page at 80" in said
    assert "reached" not in said
    assert "page at 81" not in said and "page at 6443" not in said and "page at 8080" not in said
