# SPDX-License-Identifier: Apache-2.0
"""Networks, ports, routers, services and filters, as one node needs them: port in, interface out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from socket import socket
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class SubnetSpec:
    """A range on a network. `gateway` is the address that the network's own namespace answers on, "" for none."""

    id: str
    cidr: str
    gateway: str = ""
    dhcp: bool = True
    dns_nameservers: tuple[str, ...] = ()
    host_routes: tuple[tuple[str, str], ...] = ()  # (destination, next hop)


@dataclass(frozen=True, slots=True)
class Lease:
    """One port as DHCP and DNS know it."""

    port_id: str
    mac: str
    hostname: str
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NetworkSpec:
    """A whole network as one node needs it: a bridge, and a network namespace that answers on the gateways'
    addresses, serves DHCP and translates cluster services' addresses."""

    id: str
    mtu: int = 1450
    segment: int = 0
    subnets: tuple[SubnetSpec, ...] = ()
    leases: tuple[Lease, ...] = ()
    external: bool = False  # leads out: the host itself answers on the gateways' addresses
    addresses: tuple[tuple[str, int], ...] = ()  # (ip, prefix length) of routers' interfaces, besides the gateways
    domain: str = ""  # of its ports' names, without a dot at the end; "": they have none


@dataclass(frozen=True, slots=True)
class PortSpec:
    """One interface. addresses are `(ip, prefix length)`; gateway and mtu are for a pod's own configuration."""

    id: str
    network_id: str
    mac: str
    addresses: tuple[tuple[str, int], ...] = ()
    gateway: str = ""
    mtu: int = 1450
    port_security: bool = True
    pairs: tuple[tuple[str, str], ...] = ()  # (address or range, MAC) that it may send from, too
    groups: tuple[str, ...] | None = None  # ids of its security groups; None: all traffic passes
    ingress: tuple[str, ...] | None = None  # ids of the policies of which one must let it in, too; None: none need to
    egress: tuple[str, ...] | None = None  # the same for what it sends


@dataclass(frozen=True, slots=True)
class FilterRule:
    """Traffic that a security group lets through. protocol: an IP protocol's number, 0 for all; ports: first and last
    (for ICMP type and code), None for all; remote: a range, less some that are in it, or the id of a group, "" for
    everyone."""

    ingress: bool
    version: int = 4
    protocol: int = 0
    port_min: int | None = None
    port_max: int | None = None
    remote_cidr: str = ""
    remote_group: str = ""
    remote_except: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class GroupSpec:
    """A security group, or a network policy: what its ports may receive and send, and the addresses that are in it."""

    id: str
    rules: tuple[FilterRule, ...] = ()
    members: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RouterGateway:
    """A router's way out: its port on an external network. next_hop: that network's gateway, "" for none."""

    network_id: str
    mac: str
    addresses: tuple[tuple[str, int], ...] = ()
    next_hop: str = ""
    snat: bool = True


@dataclass(frozen=True, slots=True)
class RouterSpec:
    """Leads between networks and out. interfaces: (network id, the ranges behind it); floating: (address outside,
    address inside)."""

    id: str
    interfaces: tuple[tuple[str, tuple[str, ...]], ...] = ()
    gateway: RouterGateway | None = None
    floating: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class ServiceRule:
    """A cluster service's address on a network: connections to it go evenly to one of the endpoints."""

    network_id: str
    ip: str
    protocol: str  # "TCP" | "UDP" | "SCTP"
    port: int
    endpoints: tuple[tuple[str, int], ...] = ()


class NetworkDriver(Protocol):
    """Port in, interface out."""

    async def discover(self) -> tuple[frozenset[str], frozenset[str]]:
        """Ids of the networks and of the ports that exist on this machine."""
        ...

    async def ensure_network(self, network: NetworkSpec) -> None:
        """Make or change a network; leases and subnets included, without disturbing its ports."""
        ...

    async def remove_network(self, network_id: str) -> None: ...

    async def plug_tap(self, port: PortSpec) -> str:
        """A tap on the network's bridge, for a VM; returns its interface name."""
        ...

    async def plug_namespace(self, port: PortSpec, netns: str, interface: str = "eth0") -> None:
        """A veth into the network namespace at path `netns`, addressed, up, with its default route."""
        ...

    async def unplug(self, port_id: str) -> None: ...

    async def filter_port(self, port: PortSpec) -> None:
        """Give a plugged port the port security, the security groups and the policies that it is to have now. What is
        not plugged needs nothing; a group that is not known yet lets nothing through."""
        ...

    async def ensure_groups(self, groups: tuple[GroupSpec, ...]) -> None:
        """Make exactly these the security groups and policies of this node (replaces the whole set); ports follow at
        once."""
        ...

    async def discover_routers(self) -> frozenset[str]:
        """Ids of the routers that exist on this machine."""
        ...

    async def ensure_router(self, router: RouterSpec) -> None:
        """Make or change a router. Temporary: one of its networks is not here yet."""
        ...

    async def remove_router(self, router_id: str) -> None: ...

    async def ensure_services(self, rules: tuple[ServiceRule, ...]) -> None:
        """Make exactly these the cluster services of this node (replaces the whole set, atomically)."""
        ...

    async def ensure_names(self, names: Mapping[str, tuple[tuple[str, str], ...]]) -> None:
        """Make exactly these (name, address) pairs what each network's name server says besides its ports' names, by
        network id."""
        ...

    async def cleanup(self) -> None:
        """Remove every interface, namespace and table that this driver ever made."""
        ...


@runtime_checkable
class Reachable(Protocol):
    """Optional, of a NetworkDriver: the node itself can speak to an address on a network (probes)."""

    async def reach(self, network_id: str, ip: str, port: int, data: bytes) -> bytes:
        """Connect by TCP, send `data` if there is any, and return the first bytes of the answer, b"" if nothing was
        sent. OSError: it cannot be reached."""
        ...


@runtime_checkable
class Listening(Protocol):
    """Optional, of a NetworkDriver: the node itself can answer on a network (metadata)."""

    async def listen(self, network_id: str, ip: str, port: int) -> socket:
        """A listening TCP socket at an address of the network's own. Temporary: the network is not here."""
        ...
