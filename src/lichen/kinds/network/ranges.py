# SPDX-License-Identifier: Apache-2.0
"""Arithmetic of subnets: which addresses a range has, which its pools hold. Pure."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from lichen.kinds.faults import Faults
from lichen.model.data import Object

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address


def first_and_last(network: Network) -> tuple[int, int]:
    """The addresses that hosts may have, as numbers: not the network's own, nor IPv4's broadcast address."""
    first, last = int(network.network_address), int(network.broadcast_address)
    if network.num_addresses <= 2:
        return first, last
    return first + 1, last - 1 if network.version == 4 else last


def default_gateway(network: Network) -> str:
    """The first address that a host may have."""
    return str(type(network.network_address)(first_and_last(network)[0]))


def default_pools(network: Network, gateway: str | None) -> list[Object]:
    """All but the gateway."""
    first, last = first_and_last(network)
    if not gateway or ip_address(gateway) not in network:
        return _pools(network, [(first, last)])
    hole = int(ip_address(gateway))
    return _pools(network, [(first, min(hole - 1, last)), (max(hole + 1, first), last)])


def _pools(network: Network, ranges: list[tuple[int, int]]) -> list[Object]:
    make = type(network.network_address)
    return [{"start": str(make(low)), "end": str(make(high))} for low, high in ranges if low <= high]


def ranges_of(spec: Object) -> list[tuple[int, int]]:
    """A subnet's pools as numbers, in order."""
    return sorted((int(ip_address(p["start"])), int(ip_address(p["end"]))) for p in spec.get("allocationPools") or [])


def check_subnet(spec: Object, faults: Faults) -> None:
    """Range, gateway, pools, servers and routes fit together."""
    network = parse_cidr(spec.get("cidr", ""), faults)
    if network is None:
        return
    gateway = spec.get("gatewayIp")
    if gateway and _inside(gateway, network, "spec.gatewayIp", faults) and gateway in _reserved(network):
        faults.invalid("spec.gatewayIp", gateway, "is the address of the network itself or its broadcast address")
    _check_pools(spec, network, faults)
    for index, server in enumerate(spec.get("dnsNameservers") or ()):
        _address(server, f"spec.dnsNameservers[{index}]", faults)
    for index, route in enumerate(spec.get("hostRoutes") or ()):
        path = f"spec.hostRoutes[{index}]"
        there = parse_cidr(route["destination"], faults, f"{path}.destination")
        hop = _address(route["nexthop"], f"{path}.nexthop", faults)
        if there is not None and hop is not None and there.version != hop.version:
            faults.invalid(f"{path}.nexthop", route["nexthop"], f"must be of IPv{there.version}, as its destination")


def _reserved(network: Network) -> tuple[str, ...]:
    if network.version == 6 or network.num_addresses <= 2:
        return ()
    return str(network.network_address), str(network.broadcast_address)


def parse_cidr(text: str, faults: Faults, path: str = "spec.cidr") -> Network | None:
    """A range; a fault if it is none, or has bits beyond its prefix."""
    network = range_of(text)
    if network is None:
        faults.invalid(path, text, "must be a range of addresses, as 10.0.0.0/24")
        return None
    if str(network) != text:
        faults.invalid(path, text, f"is not a range of addresses; {network} is")
        return None
    return network


def _check_pools(spec: Object, network: Network, faults: Faults) -> None:
    end_before = -1
    gateway = address_of(spec.get("gatewayIp") or "")
    for index, pool in enumerate(sorted(spec.get("allocationPools") or [], key=_start)):
        path = f"spec.allocationPools[{index}]"
        ends = [_inside(pool.get(word, ""), network, f"{path}.{word}", faults) for word in ("start", "end")]
        if ends[0] is None or ends[1] is None:
            continue
        low, high = int(ends[0]), int(ends[1])
        if low > high:
            faults.invalid(path, pool, "start must not be behind end")
        if low <= end_before:
            faults.invalid(path, pool, "pools must not overlap")
        if gateway is not None and low <= int(gateway) <= high:
            faults.invalid(path, pool, f"must not hold the gateway {gateway}")
        end_before = high


def _start(pool: Object) -> int:
    address = address_of(pool.get("start", ""))
    return int(address) if address else 0


def address_of(text: str) -> Address | None:
    """An address, None if the text is none. A zone (`fe80::1%eth0`) means nothing beyond its host, and may hold any
    character: nothing that is written into a host's configuration has one."""
    try:
        return None if "%" in text else ip_address(text)
    except ValueError:
        return None


def range_of(text: str) -> Network | None:
    """A range, or one address as the range of itself; None if the text is neither, or has a zone."""
    try:
        return None if "%" in text else ip_network(text, strict=False)
    except ValueError:
        return None


def _address(text: str, path: str, faults: Faults) -> Address | None:
    address = address_of(text)
    if address is None:
        faults.invalid(path, text, "must be a valid IP address")
    return address


def _inside(text: str, network: Network, path: str, faults: Faults) -> Address | None:
    address = _address(text, path, faults)
    if address is not None and address not in network:
        faults.invalid(path, text, f"is not in {network}")
        return None
    return address
