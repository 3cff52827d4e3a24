# SPDX-License-Identifier: Apache-2.0
"""Security groups as nftables text. Pure.

The bridge family knows a packet's ports but no connections; the inet family knows connections but, of a bridged packet,
only the bridge. So the bridge's hooks write down the port as the packet's mark (on its way in the sender's, on its way
out the receiver's), and the inet hooks, which br_netfilter calls in between, go by that mark. Networks may use the same
addresses: each has a conntrack zone of its own.

Whatever the groups say, a port may ask for its address, for names and for its metadata. All else that listens at the
link-local address (the relay to the API) is reached as far as the groups let the port out.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address

from lichen.drivers.base import FilterRule, GroupSpec
from lichen.drivers.linuxnet.names import LINK_LOCAL, short

_ICMP = {1: "icmp", 58: "icmpv6"}
_DISCOVERY = "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-solicit, mld2-listener-report } accept"


def base_table(table: str, bridges: str) -> str:
    """What all ports have in common. bridges: how the bridges' names begin."""
    inet = f"inet {table}"
    return f"""
add table {inet}
add map {inet} zones {{ typeof iifname : ct zone; }}
add map {inet} senders {{ type mark : verdict; }}
add map {inet} receivers {{ type mark : verdict; }}
add chain {inet} sorting {{ type filter hook prerouting priority -300; policy accept; }}
add chain {inet} sending {{ type filter hook prerouting priority -140; policy accept; }}
add chain {inet} receiving {{ type filter hook forward priority 0; policy accept; }}
flush chain {inet} sorting
flush chain {inet} sending
flush chain {inet} receiving
add rule {inet} sorting ct zone set iifname map @zones
add rule {inet} sending iifname != "{bridges}*" accept
add rule {inet} sending ct state established,related accept
add rule {inet} sending udp sport 68 udp dport 67 accept
add rule {inet} sending ip daddr {LINK_LOCAL} udp dport 53 accept
add rule {inet} sending ip daddr {LINK_LOCAL} tcp dport {{ 53, 80 }} accept
add rule {inet} sending {_DISCOVERY}
add rule {inet} sending meta mark vmap @senders
add rule {inet} receiving iifname != "{bridges}*" accept
add rule {inet} receiving ct state established,related accept
add rule {inet} receiving udp sport 67 udp dport 68 accept
add rule {inet} receiving {_DISCOVERY}
add rule {inet} receiving meta mark vmap @receivers
"""


def zone(table: str, bridge: str, network_id: str) -> str:
    """The conntrack zone of a network."""
    return f"add element inet {table} zones {{ {bridge} : {int(short(network_id), 16) % 65535 + 1} }}\n"


def no_zone(table: str, bridge: str, network_id: str) -> str:
    return zone(table, bridge, network_id) + f"delete element inet {table} zones {{ {bridge} }}\n"


def guard_port(table: str, interface: str, groups: Iterable[str]) -> str:
    """Let through what any of the groups does, and nothing else."""
    mark, groups = _mark(interface), sorted(groups)
    text = ""
    for group in groups:
        text += _declared(table, group)
    for way, into in (("in", "receivers"), ("out", "senders")):
        chain = f"inet {table} {way}-{interface}"
        text += f"add chain {chain}\nflush chain {chain}\n"
        text += "".join(f"add rule {chain} jump {_chain(group, way)}\n" for group in groups)
        text += f"add rule {chain} drop\n"
        text += f"add element inet {table} {into} {{ {mark} : goto {way}-{interface} }}\n"
    return text + f"add element bridge {table} marks {{ {interface} : {mark} }}\n"


def free_port(table: str, interface: str) -> str:
    """Take a port's groups away, whether or not it has any."""
    mark = _mark(interface)
    text = f"add element bridge {table} marks {{ {interface} : {mark} }}\n"
    text += f"delete element bridge {table} marks {{ {interface} }}\n"
    for way, into in (("in", "receivers"), ("out", "senders")):
        chain = f"inet {table} {way}-{interface}"
        element = f"element inet {table} {into} {{ {mark} : goto {way}-{interface} }}"
        text += f"add chain {chain}\nadd {element}\ndelete {element}\nflush chain {chain}\ndelete chain {chain}\n"
    return text


def group(table: str, spec: GroupSpec) -> str:
    """A group's rules and members, replaced."""
    text = _declared(table, spec.id)
    for remote in sorted({rule.remote_group for rule in spec.rules} - {"", spec.id}):
        text += _declared(table, remote)
    for way in ("in", "out"):
        text += f"flush chain inet {table} {_chain(spec.id, way)}\n"
    for version in (4, 6):
        name = f"inet {table} {_set(spec.id, version)}"
        members = sorted(m for m in set(spec.members) if ip_address(m).version == version)
        text += f"flush set {name}\n"
        text += f"add element {name} {{ {', '.join(members)} }}\n" if members else ""
    for rule in spec.rules:
        text += f"add rule inet {table} {_chain(spec.id, 'in' if rule.ingress else 'out')} {_rule(rule)}\n"
    return text


def no_group(table: str, group_id: str) -> str:
    """A group that is gone lets nothing through; ports may still name it."""
    return group(table, GroupSpec(group_id))


def _rule(rule: FilterRule) -> str:
    family = "ip" if rule.version == 4 else "ip6"
    words = [f"meta nfproto ipv{rule.version}"]
    side = "saddr" if rule.ingress else "daddr"
    if rule.remote_cidr:
        words.append(f"{family} {side} {rule.remote_cidr}")
    if rule.remote_group:
        words.append(f"{family} {side} @{_set(rule.remote_group, rule.version)}")
    protocol = 58 if rule.version == 6 and rule.protocol == 1 else rule.protocol
    if protocol:
        words.append(f"meta l4proto {protocol}")
    if protocol in _ICMP:
        for word, number in (("type", rule.port_min), ("code", rule.port_max)):
            words += [f"{_ICMP[protocol]} {word} {number}"] if number is not None else []
    elif rule.port_min is not None:
        words.append(f"th dport {rule.port_min}-{rule.port_max}")
    return " ".join([*words, "accept"])


def _declared(table: str, group_id: str) -> str:
    """A group's chains and sets, empty if they were not there."""
    text = "".join(f"add chain inet {table} {_chain(group_id, way)}\n" for way in ("in", "out"))
    for version in (4, 6):
        text += f"add set inet {table} {_set(group_id, version)} {{ type ipv{version}_addr; }}\n"
    return text


def _chain(group_id: str, way: str) -> str:
    return f"group-{short(group_id)}-{way}"


def _set(group_id: str, version: int) -> str:
    return f"members-{short(group_id)}-{version}"


def _mark(interface: str) -> str:
    """A port's mark: the digits its name ends in."""
    return f"0x{interface[-8:]}"
