# SPDX-License-Identifier: Apache-2.0
"""Interfaces by netlink. All functions work in the network namespace that the calling thread is in."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_interface
from pathlib import Path
from typing import Any

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from lichen.drivers.base import NetworkSpec, PortSpec
from lichen.drivers.linuxnet import namespace
from lichen.drivers.linuxnet.names import GATEWAY, LINK_LOCAL, Names
from lichen.model.errors import Temporary


@dataclass(frozen=True, slots=True)
class Link:
    """What netlink says of an interface. master: index of its bridge, 0 if none."""

    index: int
    name: str
    alias: str
    mac: str
    mtu: int
    master: int


@contextlib.contextmanager
def netlink() -> Iterator[Any]:
    """A netlink socket of the thread's namespace; opening one takes a quarter of a millisecond."""
    route = IPRoute()
    try:
        yield route
    finally:
        route.close()


def all_links(route: Any) -> dict[str, Link]:
    return {link.name: link for link in map(_link, route.get_links())}


def find(route: Any, name: str) -> Link | None:
    """One interface; asking for it alone takes 0.2 ms however many there are, a filtered dump takes 10 with 60."""
    try:
        return next(map(_link, route.link("get", ifname=name)), None)
    except NetlinkError as error:
        if error.code == errno.ENODEV:
            return None
        raise


def delete(route: Any, name: str) -> bool:
    """Delete an interface; False if it was not there."""
    link = find(route, name)
    if link:
        with contextlib.suppress(NetlinkError):
            route.link("del", index=link.index)
    return link is not None


def ensure_bridge(route: Any, names: Names, network: NetworkSpec) -> int:
    """The network's bridge, up, without an address of the host's on it; returns its index."""
    name = names.bridge(network.id)
    link = find(route, name)
    if link is None:
        route.link("add", ifname=name, kind="bridge", br_stp_state=0, br_forward_delay=0, br_mcast_snooping=0)
        _silence(name)
        link = _must(route, name)
        route.link("set", index=link.index, ifalias=names.alias("network", network.id))
    route.link("set", index=link.index, mtu=network.mtu, state="up")
    return link.index


def let_connections_be_followed(route: Any, bridge: int) -> None:
    """Packets between this bridge's ports pass the inet family's hooks too. Temporary: the kernel cannot."""
    if not Path("/proc/sys/net/bridge").exists():
        subprocess.run(["modprobe", "br_netfilter"], check=False, capture_output=True)
        if not Path("/proc/sys/net/bridge").exists():
            raise Temporary("Security groups need the kernel's br_netfilter: modprobe br_netfilter", delay=30)
    route.link("set", index=bridge, kind="bridge", br_nf_call_iptables=1, br_nf_call_ip6tables=1)


def ensure_gateway(route: Any, names: Names, network: NetworkSpec, bridge: int, netns: Path) -> None:
    """A veth from the bridge into the network's namespace, there named gw0, with the gateways' addresses."""
    near = names.veth(network.id)
    with namespace.inside(netns), netlink() as within:
        there = find(within, GATEWAY)
    if find(route, near) is None or there is None:
        delete(route, near)
        _veth(route, near, netns, GATEWAY, _mac(network.id), network.mtu)
        route.link("set", index=_must(route, near).index, ifalias=names.alias("gateway", network.id))
    route.link("set", index=_must(route, near).index, mtu=network.mtu, master=bridge, state="up")
    with namespace.inside(netns), netlink() as within:
        _configure_gateway(within, network)


def ensure_host_end(route: Any, names: Names, network: NetworkSpec, bridge: int) -> None:
    """On an external network the host has the gateways' addresses, on a veth of its own."""
    name, near = names.host(network.id), names.veth(f"host {network.id}")
    if not network.external:
        delete(route, name)
        return
    if find(route, name) is None or find(route, near) is None:
        delete(route, name)
        route.link("add", ifname=near, kind="veth", mtu=network.mtu, peer={"ifname": name, "mtu": network.mtu})
        _silence(near)
        _silence(name)
    route.link("set", index=_must(route, near).index, master=bridge, mtu=network.mtu, state="up")
    host = _must(route, name)
    route.link("set", index=host.index, ifalias=names.alias("host", network.id), mtu=network.mtu, state="up")
    lengths = {subnet.gateway: subnet.cidr.rpartition("/")[2] for subnet in network.subnets if subnet.gateway}
    set_addresses(route, host.index, {f"{ip}/{n}" for ip, n in lengths.items()})


def up(route: Any, name: str) -> int:
    """Bring an interface up; its index."""
    link = _must(route, name)
    route.link("set", index=link.index, state="up")
    return link.index


def attach(route: Any, name: str, bridge: int, alias: str) -> None:
    """An interface becomes a port of a bridge, up."""
    route.link("set", index=_must(route, name).index, ifalias=alias, master=bridge, state="up")


def pair(route: Any, near: str, netns: Path, far: str, mac: str = "") -> None:
    """A veth from here into the namespace at `netns`."""
    with _namespace(netns) as descriptor:
        peer = {"ifname": far, "net_ns_fd": descriptor} | ({"address": mac} if mac else {})
        route.link("add", ifname=near, kind="veth", peer=peer)
    _silence(near)


def _veth(route: Any, near: str, netns: Path, far: str, mac: str, mtu: int) -> None:
    """A veth whose far end begins its life in another namespace: moving it there later takes ten milliseconds."""
    with _namespace(netns) as descriptor:
        peer = {"ifname": far, "address": mac, "mtu": mtu, "net_ns_fd": descriptor}
        route.link("add", ifname=near, kind="veth", mtu=mtu, peer=peer)
    _silence(near)


def _configure_gateway(route: Any, network: NetworkSpec) -> None:
    namespace.set_sysctl("ipv4/ip_forward", "1")
    for interface in ("all", GATEWAY):
        namespace.set_sysctl(f"ipv4/conf/{interface}/send_redirects", "0")
    namespace.set_sysctl(f"ipv6/conf/{GATEWAY}/accept_dad", "0")
    gateway = _must(route, GATEWAY)
    route.link("set", index=_must(route, "lo").index, state="up")
    route.link("set", index=gateway.index, mtu=network.mtu, state="up")
    lengths = {subnet.gateway: subnet.cidr.rpartition("/")[2] for subnet in network.subnets if subnet.gateway}
    own = {} if network.external else {**dict(network.addresses), **lengths}
    set_addresses(route, gateway.index, {f"{LINK_LOCAL}/32", *(f"{ip}/{n}" for ip, n in own.items())})


def set_addresses(route: Any, index: int, wanted: set[str]) -> set[str]:
    """Exactly these addresses (`ip/length`) of global scope on an interface; returns those that are new."""
    present = {
        f"{message.get_attr('IFA_ADDRESS')}/{message['prefixlen']}"
        for message in route.get_addr(index=index)
        if message["scope"] == 0
    }
    normal = {str(ip_interface(address)) for address in wanted}
    for address in present - normal:
        ip, _, length = address.rpartition("/")
        route.addr("del", index=index, address=ip, prefixlen=int(length))
    for address in normal - present:
        ip, _, length = address.rpartition("/")
        route.addr("add", index=index, address=ip, prefixlen=int(length))
    return normal - present


def ensure_tap(route: Any, names: Names, port: PortSpec, bridge: int) -> str:
    """A persistent tap on the bridge, up."""
    name = names.tap(port.id)
    link = find(route, name)
    if link is None:
        route.link("add", ifname=name, kind="tuntap", mode="tap")
        _silence(name)
        link = _must(route, name)
        route.link("set", index=link.index, ifalias=names.alias("port", port.id))
    route.link("set", index=link.index, mtu=port.mtu, master=bridge, state="up")
    return name


def ensure_veth(route: Any, names: Names, port: PortSpec, bridge: int, netns: Path, interface: str) -> str:
    """A veth from the bridge to `interface` in the namespace at `netns`, configured and announced."""
    near = names.veth(port.id)
    with namespace.inside(netns), netlink() as within:
        there = find(within, interface)
    if find(route, near) is None or there is None or there.mac != port.mac:
        delete(route, near)
        _veth(route, near, netns, interface, port.mac, port.mtu)
    link = _must(route, near)
    route.link("set", index=link.index, ifalias=names.alias("port", port.id))
    route.link("set", index=link.index, mtu=port.mtu, master=bridge, state="up")
    with namespace.inside(netns), netlink() as within:
        _configure_port(within, port, interface)
    return near


def _configure_port(route: Any, port: PortSpec, interface: str) -> None:
    link = _must(route, interface)
    # The kernel announces addresses (gratuitous ARP) when the interface comes up with them.
    namespace.set_sysctl(f"ipv4/conf/{interface}/arp_notify", "1")
    namespace.set_sysctl(f"ipv6/conf/{interface}/accept_dad", "0")
    namespace.set_sysctl(f"ipv6/conf/{interface}/accept_ra", "0")
    set_addresses(route, link.index, {f"{ip}/{length}" for ip, length in port.addresses})
    route.link("set", index=_must(route, "lo").index, state="up")
    route.link("set", index=link.index, mtu=port.mtu, state="up")
    if port.gateway:
        route.route("replace", dst="default", gateway=port.gateway, oif=link.index)


def _silence(name: str) -> None:
    """No IPv6 of the host's own on this interface: guests must not reach the host by its link-local address."""
    namespace.set_sysctl(f"ipv6/conf/{name}/disable_ipv6", "1")


@contextlib.contextmanager
def _namespace(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _must(route: Any, name: str) -> Link:
    link = find(route, name)
    if link is None:
        raise NetlinkError(errno.ENODEV, f"no interface {name}")
    return link


def _link(message: Any) -> Link:
    return Link(
        index=message["index"],
        name=message.get_attr("IFLA_IFNAME"),
        alias=message.get_attr("IFLA_IFALIAS") or "",
        mac=message.get_attr("IFLA_ADDRESS") or "",
        mtu=message.get_attr("IFLA_MTU") or 0,
        master=message.get_attr("IFLA_MASTER") or 0,
    )


def _mac(network_id: str) -> str:
    """The gateway's address, the same wherever and whenever the network is made."""
    digest = hashlib.sha256(f"gateway {network_id}".encode()).hexdigest()
    return "0a:" + ":".join(digest[i : i + 2] for i in range(0, 10, 2))
