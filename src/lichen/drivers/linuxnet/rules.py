# SPDX-License-Identifier: Apache-2.0
"""nftables as text: pure functions from what is wanted to one transaction."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from ipaddress import ip_network

from lichen.drivers.base import PortSpec, ServiceRule


def base_table(table: str, prefix: str) -> str:
    """The table in the bridge family that sends each port's packets through the port's own chain. Said again it takes
    16 ms, as the kernel then waits for all packets under way; a new port's chain and element take 0.6 ms.
    prefix: how interfaces' names begin; marks on others' ports are others' to set."""
    return f"""
add table bridge {table}
add map bridge {table} ports {{ type ifname : verdict; }}
add map bridge {table} marks {{ type ifname : mark; }}
add chain bridge {table} incoming {{ type filter hook prerouting priority -300; policy accept; }}
flush chain bridge {table} incoming
add rule bridge {table} incoming meta mark set iifname map @marks
add rule bridge {table} incoming iifname vmap @ports
add chain bridge {table} delivered {{ type filter hook forward priority -200; policy accept; }}
flush chain bridge {table} delivered
add rule bridge {table} delivered oifname "{prefix}t*" meta mark set 0
add rule bridge {table} delivered oifname "{prefix}v*" meta mark set 0
add rule bridge {table} delivered meta mark set oifname map @marks
"""


def guard_port(table: str, interface: str, port: PortSpec) -> str:
    """Let only the port's own addresses in from `interface`, no other DHCP server and no router advertisement."""
    chain = f"bridge {table} {interface}"
    held = [*(address for address, _ in port.addresses), *(address for address, _ in port.pairs)]
    v4, v6 = _ranges(held, 4), _ranges(held, 6)
    macs = _set(dict.fromkeys([port.mac, *(mac for _, mac in port.pairs if mac)]))
    rules = [
        f"ether saddr != {macs} drop",
        f"arp saddr ether != {macs} drop",
        f"arp saddr ip != {_set(_ranges(['0.0.0.0', *v4], 4))} drop",  # noqa: S104
        "udp sport 67 drop",
        "ip saddr 0.0.0.0 udp sport 68 udp dport 67 accept",
        f"ip saddr {_set(v4)} accept" if v4 else "",
        "icmpv6 type nd-router-advert drop",
        f"ip6 saddr {_set(_ranges(['fe80::/10', '::', *v6], 6))} accept",
        "ether type != arp drop",
    ]
    text = f"add chain {chain}\nflush chain {chain}\n"
    text += "".join(f"add rule {chain} {rule}\n" for rule in rules if rule)
    return text + f"add element bridge {table} ports {{ {interface} : goto {interface} }}\n"


def _ranges(addresses: Iterable[str], version: int) -> list[str]:
    """Those of one version; none of them overlap, which nft would refuse in a set."""
    networks = [n for n in (ip_network(a, strict=False) for a in addresses) if n.version == version]
    apart = [n for n in dict.fromkeys(networks) if not any(n != m and n.subnet_of(m) for m in networks)]  # type: ignore[arg-type]
    return [str(n[0]) if n.num_addresses == 1 else str(n) for n in apart]


def free_port(table: str, interface: str) -> str:
    """Take a port's filter away, whether or not there is one."""
    element = f"element bridge {table} ports {{ {interface} : goto {interface} }}"
    chain = f"chain bridge {table} {interface}"
    return f"add {chain}\nadd {element}\ndelete {element}\ndelete {chain}\n"


def drop_table(family: str, table: str) -> str:
    return f"add table {family} {table}\ndelete table {family} {table}\n"


def way_out(table: str, hosts: str) -> str:
    """What comes from external networks leaves this host with the host's address, if the host forwards at all
    (`sysctl net.ipv4.ip_forward`, which is for its owner to say). hosts: how the host's interfaces begin."""
    chain = f"ip {table} leaving"
    return f"""
add table ip {table}
add chain {chain} {{ type nat hook postrouting priority srcnat; policy accept; }}
flush chain {chain}
add rule {chain} iifname "{hosts}*" oifname != "{hosts}*" masquerade
"""


def services(table: str, rules: Iterable[ServiceRule]) -> str:
    """The whole table of a network's namespace: one lookup by address, protocol and port leads to the service, which
    spreads connections at random; replies come back through here, so endpoints may share the caller's network."""
    ready: list[ServiceRule] = []
    refused: list[ServiceRule] = []
    for rule in sorted(set(rules), key=lambda r: (r.ip, r.protocol, r.port)):
        (ready if rule.endpoints else refused).append(rule)
    chains = "".join(f"  chain {_chain(r)} {{\n    {_spread(r)}\n  }}\n" for r in ready)
    to_service = ", ".join(f"{_key(r)} : goto {_chain(r)}" for r in ready)
    lookup = f"ip daddr . meta l4proto . th dport vmap {{ {to_service} }}" if ready else ""
    none = f"ip daddr . meta l4proto . th dport {{ {', '.join(map(_key, refused))} }} reject" if refused else ""
    return (
        drop_table("ip", table)
        + f"""table ip {table} {{
{chains}  chain refuse {{ type filter hook prerouting priority -150; policy accept; {none}
  }}
  chain incoming {{ type nat hook prerouting priority dstnat; policy accept; {lookup}
  }}
  chain leaving {{ type nat hook postrouting priority srcnat; policy accept; ct status dnat masquerade
  }}
}}
"""
    )


def _spread(rule: ServiceRule) -> str:
    places = [f"{ip} . {port}" for ip, port in sorted(rule.endpoints)]
    numbered = ", ".join(f"{number} : {place}" for number, place in enumerate(places))
    return f"meta l4proto {rule.protocol.lower()} dnat ip to numgen random mod {len(places)} map {{ {numbered} }}"


def _key(rule: ServiceRule) -> str:
    return f"{rule.ip} . {rule.protocol.lower()} . {rule.port}"


def _chain(rule: ServiceRule) -> str:
    return "service-" + hashlib.sha256(_key(rule).encode()).hexdigest()[:12]


def _set(items: Iterable[str]) -> str:
    return f"{{ {', '.join(items)} }}"
