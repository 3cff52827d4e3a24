# SPDX-License-Identifier: Apache-2.0
"""Security groups as nftables text. Pure.

The bridge family knows a packet's ports but no connections; the inet family knows connections but, of a bridged packet,
only the bridge. So the bridge's hooks write down the port as the packet's mark (on its way in the sender's, on its way
out the receiver's), and the inet hooks, which br_netfilter calls in between, go by that mark. Networks may use the same
addresses: each has a conntrack zone of its own.

Whatever the groups say, a port may ask for its address, for names and for its metadata. All else that listens at the
link-local address (the relay to the API) is reached as far as the groups let the port out.

Policies are asked after the groups, in hooks of their own: what passes must pass both.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address

from lichen.drivers.base import FilterRule, GroupSpec, PortSpec
from lichen.drivers.linuxnet.names import LINK_LOCAL, short

_ICMP = {1: "icmp", 58: "icmpv6"}
CONNECTED = "ct state established,related accept"
_DISCOVERY = "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-solicit, mld2-listener-report } accept"


def base_table(table: str, bridges: str) -> str:
    """What all ports have in common. bridges: how the bridges' names begin."""
    inet = f"inet {table}"
    foreign = f'iifname != "{bridges}*" accept'
    asking = [
        foreign,
        CONNECTED,
        "udp sport 68 udp dport 67 accept",
        f"ip daddr {LINK_LOCAL} udp dport 53 accept",
        f"ip daddr {LINK_LOCAL} tcp dport {{ 53, 80 }} accept",
        _DISCOVERY,
    ]
    answering = [foreign, CONNECTED, "udp sport 67 udp dport 68 accept", _DISCOVERY]
    before, between = "prerouting priority -140", "forward priority 0"
    after_before, after_between = "prerouting priority -139", "forward priority 1"
    return f"""
add table {inet}
add map {inet} zones {{ typeof iifname : ct zone; }}
add set {inet} services {{ type ipv4_addr; }}
add chain {inet} sorting {{ type filter hook prerouting priority -300; policy accept; }}
flush chain {inet} sorting
add rule {inet} sorting ct zone set iifname map @zones
""" + "".join((
        _stage(table, "sending", before, asking, "senders"),
        _stage(table, "receiving", between, answering, "receivers"),
        _stage(table, "leaving", after_before, asking, "leavers"),
        _stage(table, "arriving", after_between, answering, "arrivers"),
    ))  # fmt: skip


def _stage(table: str, chain: str, hook: str, rules: Iterable[str], verdicts: str) -> str:
    """A hook's chain: what always passes, then what the port's own chain says."""
    text = f"add map inet {table} {verdicts} {{ type mark : verdict; }}\n"
    text += f"add chain inet {table} {chain} {{ type filter hook {hook}; policy accept; }}\n"
    text += f"flush chain inet {table} {chain}\n"
    return text + "".join(f"add rule inet {table} {chain} {rule}\n" for rule in [*rules, f"meta mark vmap @{verdicts}"])


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
        text += "".join(f"add rule {chain} jump {chain_of(group, way)}\n" for group in groups)
        text += f"add rule {chain} drop\n"
        text += f"add element inet {table} {into} {{ {mark} : goto {way}-{interface} }}\n"
    return text + _marked(table, interface)


def free_port(table: str, interface: str) -> str:
    """Take a port's groups away, whether or not it has any."""
    text = _marked(table, interface) + f"delete element bridge {table} marks {{ {interface} }}\n"
    for way, into in (("in", "receivers"), ("out", "senders")):
        text += _gone(table, f"{way}-{interface}", f"{into} {{ {_mark(interface)} : goto {way}-{interface} }}")
    return text


def police_port(table: str, interface: str, port: PortSpec) -> str:
    """Let through what any of the port's policies does, in each direction in which it has some. A port reaches itself;
    the node reaches its ports, and calls for services, which are filtered where their endpoint is chosen (`policing`).
    """
    own = [address for address, _ in port.addresses]
    always = {"in": _family("saddr", [*own, LINK_LOCAL, *([port.gateway] if port.gateway else [])])}
    always["out"] = [*_family("daddr", own), "ip daddr @services accept"]
    text = ""
    for way, into, policies in (("in", "arrivers", port.ingress), ("out", "leavers", port.egress)):
        if policies is None:
            continue
        chain = f"inet {table} policed-{way}-{interface}"
        text += f"add chain {chain}\nflush chain {chain}\n" + "".join(_declared(table, each) for each in policies)
        said = [*always[way], *(f"jump {chain_of(each, way)}" for each in policies), "drop"]
        text += "".join(f"add rule {chain} {rule}\n" for rule in said)
        text += f"add element inet {table} {into} {{ {_mark(interface)} : goto policed-{way}-{interface} }}\n"
    return text + _marked(table, interface)


def unpolice_port(table: str, interface: str) -> str:
    """Take a port's policies away, whether or not it has any. Its mark stays: of what nobody filters, nobody asks."""
    text = ""
    for way, into in (("in", "arrivers"), ("out", "leavers")):
        chain = f"policed-{way}-{interface}"
        text += _gone(table, chain, f"{into} {{ {_mark(interface)} : goto {chain} }}")
    return text


def services(table: str, addresses: Iterable[str]) -> str:
    """The addresses that the networks' namespaces translate into an endpoint's."""
    known, text = sorted(set(addresses)), f"flush set inet {table} services\n"
    return text + (f"add element inet {table} services {{ {', '.join(known)} }}\n" if known else "")


def _family(side: str, addresses: Iterable[str]) -> list[str]:
    return [f"{'ip6' if ':' in address else 'ip'} {side} {address} accept" for address in addresses]


def _marked(table: str, interface: str) -> str:
    return f"add element bridge {table} marks {{ {interface} : {_mark(interface)} }}\n"


def _gone(table: str, chain: str, element: str) -> str:
    """Remove an element and the chain that it leads to, there or not."""
    chain, element = f"chain inet {table} {chain}", f"element inet {table} {element}"
    return f"add {chain}\nadd {element}\ndelete {element}\nflush {chain}\ndelete {chain}\n"


def group(table: str, spec: GroupSpec) -> str:
    """A group's rules and members, replaced."""
    text = _declared(table, spec.id)
    for remote in sorted({rule.remote_group for rule in spec.rules} - {"", spec.id}):
        text += _declared(table, remote)
    for way in ("in", "out"):
        text += f"flush chain inet {table} {chain_of(spec.id, way)}\n"
    for version in (4, 6):
        name = f"inet {table} {_set(spec.id, version)}"
        members = sorted(m for m in set(spec.members) if ip_address(m).version == version)
        text += f"flush set {name}\n"
        text += f"add element {name} {{ {', '.join(members)} }}\n" if members else ""
    for rule in spec.rules:
        text += f"add rule inet {table} {chain_of(spec.id, 'in' if rule.ingress else 'out')} {_rule(rule)}\n"
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
    words += [f"{family} {side} != {excepted}" for excepted in rule.remote_except]
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
    text = "".join(f"add chain inet {table} {chain_of(group_id, way)}\n" for way in ("in", "out"))
    for version in (4, 6):
        text += f"add set inet {table} {_set(group_id, version)} {{ type ipv{version}_addr; }}\n"
    return text


def chain_of(group_id: str, way: str) -> str:
    return f"group-{short(group_id)}-{way}"


def _set(group_id: str, version: int) -> str:
    return f"members-{short(group_id)}-{version}"


def _mark(interface: str) -> str:
    """A port's mark: the digits its name ends in."""
    return f"0x{interface[-8:]}"
