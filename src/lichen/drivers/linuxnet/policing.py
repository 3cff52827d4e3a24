# SPDX-License-Identifier: Apache-2.0
"""Policies where a service's endpoint is chosen: in a network's namespace, as nftables text. Pure.

A call for a service leaves its caller's port with the service's address and reaches the endpoint with the gateway's.
Only in between, in the namespace that translates it, are both ends known. There a port is known by its address, which
is its own within its network.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from lichen.drivers.base import GroupSpec, PortSpec
from lichen.drivers.linuxnet import filters
from lichen.drivers.linuxnet.rules import drop_table


def is_policed(port: PortSpec) -> bool:
    return port.ingress is not None or port.egress is not None


def table(name: str, ports: Iterable[PortSpec], groups: Mapping[str, GroupSpec]) -> str:
    """The whole table of a network with these policed ports. groups: what is known of them, by id."""
    ports = sorted(ports, key=lambda port: port.id)
    text = drop_table("inet", name) + f"add table inet {name}\n"
    text += "".join(filters.group(name, groups.get(each, GroupSpec(each))) for each in _needed(ports, groups))
    selves = ", ".join(f"{ip} . {ip}" for port in ports for ip in _addresses(port))
    text += f"add set inet {name} selves {{ type ipv4_addr . ipv4_addr; }}\n"
    text += f"add element inet {name} selves {{ {selves} }}\n" if selves else ""
    text += _way(name, "out", "saddr", 0, [(port, port.egress) for port in ports])
    return text + _way(name, "in", "daddr", 1, [(port, port.ingress) for port in ports])


def _way(name: str, way: str, side: str, priority: int, ports: list[tuple[PortSpec, tuple[str, ...] | None]]) -> str:
    """A direction: ports with the same policies share a chain."""
    sets = sorted({policies for _, policies in ports if policies is not None})
    text = "".join(_chain(name, f"{way}-{number}", way, policies) for number, policies in enumerate(sets))
    elements = ", ".join(
        f"{ip} : goto {way}-{sets.index(policies)}"
        for port, policies in ports
        for ip in _addresses(port)
        if policies is not None
    )
    text += f"add map inet {name} {way} {{ type ipv4_addr : verdict; }}\n"
    text += f"add element inet {name} {way} {{ {elements} }}\n" if elements else ""
    text += f"add chain inet {name} {way} {{ type filter hook forward priority {priority}; policy accept; }}\n"
    said = [filters.CONNECTED, "ip saddr . ip daddr @selves accept", f"ip {side} vmap @{way}"]
    return text + "".join(f"add rule inet {name} {way} {rule}\n" for rule in said)


def _chain(name: str, chain: str, way: str, policies: tuple[str, ...]) -> str:
    said = [*(f"jump {filters.chain_of(each, way)}" for each in policies), "drop"]
    return f"add chain inet {name} {chain}\n" + "".join(f"add rule inet {name} {chain} {rule}\n" for rule in said)


def _addresses(port: PortSpec) -> list[str]:
    """Services are translated for IPv4 only."""
    return [ip for ip, _ in port.addresses if ":" not in ip]


def _needed(ports: Iterable[PortSpec], groups: Mapping[str, GroupSpec]) -> list[str]:
    """The policies of these ports, and the groups that their rules name."""
    policies = {each for port in ports for each in (*(port.ingress or ()), *(port.egress or ()))}
    known = [groups[each] for each in policies if each in groups]
    return sorted(policies | {rule.remote_group for spec in known for rule in spec.rules if rule.remote_group})
