# SPDX-License-Identifier: Apache-2.0
"""A router: a network namespace with a veth into the namespace of each network it joins, and one on the bridge of its
external network. A network's namespace answers on the gateway's address already; it sends what it cannot deliver on to
the router. Between the two are addresses that nobody else sees, the same on every link.

All functions work in the network namespace that the calling thread is in: the host's.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pyroute2.netlink.exceptions import NetlinkError

from lichen.drivers.base import RouterGateway, RouterSpec
from lichen.drivers.linuxnet import links, namespace, nft
from lichen.drivers.linuxnet.names import OUTSIDE, Names, short
from lichen.model.errors import Temporary

ROUTER_END, NETWORK_END = "169.254.254.1", "169.254.254.2"
Netns = Callable[[str], Path]


def ensure(route: Any, names: Names, router: RouterSpec, netns: Netns) -> None:
    """Make the namespace and its links what the router says. netns: where a network's or router's namespace is."""
    own = netns(router.id)
    for network_id, _ in router.interfaces:
        if not namespace.exists(netns(network_id)):
            raise Temporary(f"Network {network_id} is not on this node yet")
    namespace.create(own)
    wanted = {inside_name(network_id) for network_id, _ in router.interfaces}
    with namespace.inside(own), links.netlink() as within:
        namespace.set_sysctl("ipv4/ip_forward", "1")
        links.up(within, "lo")
        for name in links.all_links(within):
            if name.startswith("n") and name not in wanted:
                links.delete(within, name)
    for network_id, ranges in router.interfaces:
        _join(router.id, network_id, ranges, own, netns(network_id))
    if router.gateway is not None:
        _lead_out(route, names, router, router.gateway, own)
    else:
        links.delete(route, names.veth(router.id))
    with namespace.inside(own):
        nft.apply(rules(names.namespace, router))


def remove(route: Any, names: Names, router_id: str, own: Path) -> None:
    links.delete(route, names.veth(router_id))
    namespace.remove(own)


def inside_name(network_id: str) -> str:
    return f"n{short(network_id)}"


def _join(router_id: str, network_id: str, ranges: tuple[str, ...], own: Path, there: Path) -> None:
    """A link between the router's and the network's namespace, with the routes over it."""
    near, far = inside_name(network_id), f"r{short(router_id)}"
    with namespace.inside(there), links.netlink() as within:
        has_far = links.find(within, far) is not None
    with namespace.inside(own), links.netlink() as within:
        if links.find(within, near) is None or not has_far:
            links.delete(within, near)
            links.pair(within, near, there, far)
        link = links.up(within, near)
        links.set_addresses(within, link, {f"{ROUTER_END}/32"})
        for cidr in ranges:
            within.route("replace", dst=cidr, gateway=NETWORK_END, oif=link, flags=["onlink"])
    with namespace.inside(there), links.netlink() as within:
        link = links.up(within, far)
        links.set_addresses(within, link, {f"{NETWORK_END}/32"})
        within.route("replace", dst="default", gateway=ROUTER_END, oif=link, flags=["onlink"])


def _lead_out(route: Any, names: Names, router: RouterSpec, gateway: RouterGateway, own: Path) -> None:
    """The router's own interface on the external network's bridge, with its addresses and the floating ones."""
    bridge = links.find(route, names.bridge(gateway.network_id))
    if bridge is None:
        raise Temporary(f"Network {gateway.network_id} is not on this node yet")
    near = names.veth(router.id)
    with namespace.inside(own), links.netlink() as within:
        there = links.find(within, OUTSIDE)
    if links.find(route, near) is None or there is None or there.mac != gateway.mac:
        links.delete(route, near)
        links.pair(route, near, own, OUTSIDE, gateway.mac)
    links.attach(route, near, bridge.index, names.alias("router", router.id))
    with namespace.inside(own), links.netlink() as within:
        link = links.up(within, OUTSIDE)
        floating = {f"{outside}/32" for outside, _ in router.floating}
        new = links.set_addresses(within, link, {*(f"{ip}/{n}" for ip, n in gateway.addresses), *floating})
        if gateway.next_hop:
            within.route("replace", dst="default", gateway=gateway.next_hop, oif=link)
        else:
            with contextlib.suppress(NetlinkError):
                within.route("del", dst="default", oif=link)
        for address in sorted(new):
            _announce(gateway.mac, address.partition("/")[0])


def _announce(mac: str, ip: str) -> None:
    """Tell the neighbours whose the address is now (a gratuitous ARP)."""
    if ":" in ip:
        return
    hardware, address, everyone = bytes.fromhex(mac.replace(":", "")), socket.inet_aton(ip), b"\xff" * 6
    packet = struct.pack("!6s6sHHHBBH6s4s6s4s", everyone, hardware, 0x0806, 1, 0x0800, 6, 4, 1,
                         hardware, address, everyone, address)  # fmt: skip
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as wire:
        wire.bind((OUTSIDE, 0))
        wire.send(packet)


def rules(table: str, router: RouterSpec) -> str:
    """The table of a router's namespace: floating addresses lead in and out, the rest leaves as the router itself, and
    nothing else comes in."""
    floating = sorted(router.floating)
    into = ", ".join(f"{outside} : {inside}" for outside, inside in floating)
    out = ", ".join(f"{inside} : {outside}" for outside, inside in floating)
    lead = f"dnat ip to ip daddr map {{ {into} }}" if floating else ""
    own = next((ip for ip, _ in (router.gateway.addresses if router.gateway else ()) if ":" not in ip), "")
    leaving, entering = [], []
    if own:
        if floating:
            leaving.append(f'oifname "{OUTSIDE}" snat ip to ip saddr map {{ {out} }}')
        # Who calls a floating address from inside must get the answer through here again.
        leaving.append(f'iifname "n*" oifname "n*" ct status dnat snat to {own}')
        if router.gateway and router.gateway.snat:
            leaving.append(f'oifname "{OUTSIDE}" snat to {own}')
            entering.append(f'iifname "{OUTSIDE}" oifname "n*" ct state new ct status & dnat == 0 drop')
    listed = "\n    ".join
    return f"""add table ip {table}
delete table ip {table}
table ip {table} {{
  chain incoming {{ type nat hook prerouting priority dstnat; policy accept;
    {lead}
  }}
  chain passing {{ type filter hook forward priority filter; policy accept;
    {listed(entering)}
  }}
  chain leaving {{ type nat hook postrouting priority srcnat; policy accept;
    {listed(leaving)}
  }}
}}
"""
