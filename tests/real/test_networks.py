# SPDX-License-Identifier: Apache-2.0
"""The network suite over the real kernel, and traffic between VMs and network namespaces."""

from __future__ import annotations

import asyncio
import os
import secrets
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from lichen.drivers.base import GuestNic, ServiceRule, SubnetSpec
from lichen.drivers.linuxnet import LinuxNetworks
from lichen.drivers.linuxnet.names import short
from tests.conformance.guests import running
from tests.conformance.networks import NetworkConformance, Reopened, a_network, a_port
from tests.real.machine import NOTHING, belongings, inside, run
from tests.real.test_guests import QemuBench, bench

pytestmark = pytest.mark.real
__all__ = ["bench"]


class Site:
    """Names of one test on this machine, and the namespaces and processes it makes."""

    def __init__(self) -> None:
        self.prefix = "x" + secrets.token_hex(2)
        self.mark = f"lichentest{self.prefix}"
        self.folder = Path(tempfile.gettempdir()) / self.mark
        self.processes: list[subprocess.Popen[bytes]] = []
        self.namespaces: list[str] = []

    def driver(self) -> LinuxNetworks:
        return LinuxNetworks(self.folder, prefix=self.prefix, namespace=self.mark)

    def netns(self) -> str:
        name = f"{self.mark}-{len(self.namespaces)}"
        subprocess.run(["ip", "netns", "add", name], check=True)
        self.namespaces.append(name)
        return f"/run/netns/{name}"

    def serve(self, netns: str, page: str, port: int = 8080) -> None:
        """A web page in a namespace, up when this returns."""
        folder = Path(tempfile.mkdtemp(prefix=self.mark))
        (folder / "index.html").write_text(page)
        command = ["busybox", "httpd", "-f", "-p", str(port), "-h", str(folder)]
        self.processes.append(subprocess.Popen(["nsenter", f"--net={netns}", *command]))

    def close(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait()
        for name in self.namespaces:
            subprocess.run(["ip", "netns", "del", name], check=True)
        for folder in Path(tempfile.gettempdir()).glob(f"{self.mark}?*"):
            (folder / "index.html").unlink()
            folder.rmdir()


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()
    yield site
    site.close()
    assert belongings(site.mark) == NOTHING
    assert belongings(site.prefix)["interfaces"] == set()
    assert not site.folder.exists()


@pytest.fixture
async def networks(site: Site) -> AsyncIterator[LinuxNetworks]:
    networks = site.driver()
    yield networks
    await networks.cleanup()
    await networks.close()


@pytest.fixture
def reopened(site: Site, networks: LinuxNetworks) -> Reopened:
    return site.driver


@pytest.fixture
def netns(site: Site) -> str:
    return site.netns()


class TestLinuxNetworks(NetworkConformance):
    pass


async def fetch(netns: str | Path, url: str) -> str:
    """The page as fetched inside a namespace, tried until the server is up."""
    return await inside(
        netns, "curl", "-sS", "-m", "5", "--retry", "20", "--retry-connrefused", "--retry-delay", "1", url
    )


async def test_a_vm_and_pods_on_one_network_reach_each_other_and_a_cluster_service(
    site: Site, networks: LinuxNetworks, bench: QemuBench
) -> None:
    network_id = "net-" + site.mark
    vm, first, second = (a_port(network_id, number) for number in (11, 12, 13))
    await networks.ensure_network(a_network(vm, first, second))
    pods = [site.netns(), site.netns()]
    for pod, port, page in zip(pods, (first, second), ("page one\n", "page two\n"), strict=True):
        await networks.plug_namespace(port, pod)
        site.serve(pod, page)
    service = ServiceRule(network_id, "10.96.0.10", "TCP", 80, (("10.9.0.12", 8080), ("10.9.0.13", 8080)))
    await networks.ensure_services((service, ServiceRule(network_id, "10.96.0.11", "TCP", 80)))

    script = b"""#!/bin/sh
fetch http://10.9.0.12:8080/
for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16; do fetch http://10.96.0.10/; done
fetch http://10.96.0.11/ || echo refused
ping -c 1 -W 2 10.9.0.13
nslookup host2
"""
    tap = await networks.plug_tap(vm)
    files = {
        "openstack/latest/meta_data.json": b'{"hostname": "web-1"}',
        "openstack/latest/user_data": script,
    }
    guest = await running(bench, nics=(GuestNic(tap, vm.mac),), files=files)

    said = (await bench.guests.console(guest.id)).decode()
    assert "lichen-tiny: address 10.9.0.11/24" in said
    assert said.count("page one") > 1
    assert "page two" in said
    assert said.count("page") - said.count("web page") == 17
    assert "refused" in said
    assert "1 packets received" in said
    assert "10.9.0.13" in said[said.index("Name:") :]
    assert await fetch(pods[0], "http://10.9.0.11/") == "Hello from web-1 at 10.9.0.11 \n"
    from_pod = {await fetch(pods[0], "http://10.96.0.10/") for _ in range(16)}
    assert from_pod == {"page one\n", "page two\n"}
    assert await fetch(networks.netns(network_id), "http://10.9.0.13:8080/") == "page two\n"


async def test_two_vms_fetch_each_others_page_and_a_soft_restart_keeps_the_address(
    site: Site, networks: LinuxNetworks, bench: QemuBench
) -> None:
    network_id = "net-" + site.mark
    ports = [a_port(network_id, number) for number in (21, 22)]
    await networks.ensure_network(a_network(*ports))
    script = b"""#!/bin/sh
for i in 1 2 3 4 5 6 7 8 9 10; do fetch http://10.9.0.%d/ && break; sleep 1; done
"""
    guests = []
    for port, other in zip(ports, (22, 21), strict=True):
        files = {
            "openstack/latest/meta_data.json": b'{"hostname": "vm-%d"}' % (43 - other),
            "openstack/latest/user_data": script % other,
        }
        tap = await networks.plug_tap(port)
        guests.append(asyncio.create_task(running(bench, nics=(GuestNic(tap, port.mac),), files=files)))
    one, two = [await guest for guest in guests]
    assert "Hello from vm-22 at 10.9.0.22" in (await bench.guests.console(one.id)).decode()
    assert "Hello from vm-21 at 10.9.0.21" in (await bench.guests.console(two.id)).decode()
    await bench.guests.reset(one.id, grace=10)
    await bench.booted(one.id, 2)
    assert (await bench.guests.console(one.id)).decode().count("address 10.9.0.21/24") == 2


async def test_two_networks_with_the_same_addresses_do_not_meet(site: Site, networks: LinuxNetworks) -> None:
    pods = []
    for name in ("a", "b"):
        port = a_port(f"{name}-{site.mark}", 12)
        await networks.ensure_network(a_network(port))
        pods.append(site.netns())
        await networks.plug_namespace(port, pods[-1])
        site.serve(pods[-1], f"page of {name}\n")
    lonely = a_port(f"a-{site.mark}", 13)
    caller = site.netns()
    await networks.plug_namespace(lonely, caller)
    assert {await fetch(caller, "http://10.9.0.12:8080/") for _ in range(4)} == {"page of a\n"}
    assert "100% packet loss" in await inside(
        pods[1], "busybox", "ping", "-c", "1", "-W", "1", "10.9.0.13", check=False
    )


async def test_a_port_speaks_only_with_its_own_addresses_unless_port_security_is_off(
    site: Site, networks: LinuxNetworks
) -> None:
    network_id = "net-" + site.mark
    honest, liar = site.netns(), site.netns()
    port = a_port(network_id, 13)
    await networks.ensure_network(a_network())
    await networks.ensure_network(a_network(port))
    await networks.plug_namespace(a_port(network_id, 12), honest)
    await networks.plug_namespace(port, liar)
    ping = ("busybox", "ping", "-c", "1", "-W", "1", "-I")
    await inside(liar, *ping, "10.9.0.13", "10.9.0.12")
    await inside(liar, "ip", "address", "add", "10.9.0.77/24", "dev", "eth0")
    assert "100% packet loss" in await inside(liar, *ping, "10.9.0.77", "10.9.0.12", check=False)
    await networks.plug_namespace(a_port(network_id, 13, id=port.id, port_security=False), liar)
    await inside(liar, "ip", "address", "add", "10.9.0.77/24", "dev", "eth0")
    await inside(liar, *ping, "10.9.0.77", "10.9.0.12")


async def test_the_host_has_no_address_on_the_networks(site: Site, networks: LinuxNetworks) -> None:
    port = a_port("net-" + site.mark, 12)
    await networks.ensure_network(a_network(port))
    await networks.plug_tap(port)
    addresses = await run("ip", "-o", "address")
    assert site.prefix not in addresses


async def test_dnsmasq_reads_new_leases_without_a_restart_and_comes_back_when_killed(
    site: Site, networks: LinuxNetworks
) -> None:
    network_id = "net-" + site.mark
    pidfile = site.folder / "dhcp" / short(network_id) / "dnsmasq.pid"
    port, late = a_port(network_id, 12), a_port(network_id, 13)
    await networks.ensure_network(a_network(port))
    pod = site.netns()
    await networks.plug_namespace(port, pod)
    before = pidfile.read_text()
    await networks.ensure_network(a_network(port, late))
    assert pidfile.read_text() == before
    async with asyncio.timeout(5):
        while "10.9.0.13" not in await inside(pod, "busybox", "nslookup", "host1", "10.9.0.1", check=False):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    os.kill(int(before), 9)
    async with asyncio.timeout(5):
        while not pidfile.exists() or pidfile.read_text() in ("", before):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    subnet = SubnetSpec("subnet", "10.9.0.0/24", "10.9.0.1", dhcp=False)
    await networks.ensure_network(a_network(port, subnets=(subnet,)))
    assert not pidfile.exists()


@pytest.mark.parametrize("gateway", ["10.9.0.1", ""], ids=["gateway", "no gateway"])
async def test_dhcp_gives_each_port_its_own_address_and_strangers_none(
    site: Site, networks: LinuxNetworks, tmp_path: Path, gateway: str
) -> None:
    network_id = "net-" + site.mark
    known, stranger = a_port(network_id, 12), a_port(network_id, 13)
    subnet = SubnetSpec("subnet", "10.9.0.0/24", gateway, host_routes=(("10.8.0.0/16", "10.9.0.2"),))
    await networks.ensure_network(a_network(known, subnets=(subnet,)))
    script = tmp_path / "said"
    script.write_text("#!/bin/sh\nset\n")
    script.chmod(0o700)
    client = ("busybox", "udhcpc", "-i", "eth0", "-f", "-q", "-n", "-t", "3", "-T", "1", "-A", "1", "-s", str(script))
    answers = []
    for port in (known, stranger):
        pod = site.netns()
        await networks.plug_namespace(port, pod)
        await inside(pod, "ip", "address", "flush", "dev", "eth0")
        answers.append(await inside(pod, *client, "-O", "121", "-O", "mtu", check=False))
    said = answers[0]
    assert "ip='10.9.0.12'" in said
    assert "mtu='1450'" in said
    assert ("0.0.0.0/0 10.9.0.1" in said) == bool(gateway)
    assert "10.8.0.0/16 10.9.0.2" in said
    assert "no lease, failing" in answers[1]
