# SPDX-License-Identifier: Apache-2.0
"""From objects to what a network driver wants: networks with their leases, ports, service rules. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping

from lichen.drivers.base import (
    FilterRule,
    GroupSpec,
    Lease,
    NetworkSpec,
    PortSpec,
    RouterGateway,
    RouterSpec,
    ServiceRule,
    SubnetSpec,
)
from lichen.kinds.network.filters import protocol_number
from lichen.kinds.network.network import Network
from lichen.kinds.network.port import Port
from lichen.kinds.network.router import ROUTER_INTERFACE, Router
from lichen.kinds.network.securitygroup import SecurityGroup, SecurityGroupRule
from lichen.kinds.network.subnet import Subnet
from lichen.model.data import Object
from lichen.model.meta import labels_of, name_of, namespace_of
from lichen.planning.api_service import ADDRESS as RELAY
from lichen.planning.api_service import PORT as RELAY_PORT
from lichen.planning.api_service import is_api_service
from lichen.planning.ports import port_hostname

CLUSTER_DOMAIN = "cluster.local"
SERVICE_NAME = "kubernetes.io/service-name"


def network_spec(network: Object, subnets: Iterable[Object], ports: Iterable[Object]) -> NetworkSpec:
    """A network with its subnets and a lease for each of its ports that has an address, in a stable order."""
    spec = Network.of(network).spec
    subnets, ports = list(subnets), list(ports)
    lengths = {s["spec"]["id"]: ipaddress.ip_network(s["spec"]["cidr"]).prefixlen for s in subnets}
    answered = {
        (fixed["ipAddress"], lengths[fixed["subnetId"]])
        for port in ports
        if port["spec"].get("deviceOwner") == ROUTER_INTERFACE and has_addresses(port)
        for fixed in port["spec"]["fixedIps"]
        if fixed["subnetId"] in lengths
    }
    return NetworkSpec(
        id=spec.id,
        mtu=spec.mtu,
        segment=spec.segment,
        subnets=tuple(sorted((_subnet(s) for s in subnets), key=lambda s: s.id)),
        leases=tuple(sorted((lease for p in ports if (lease := _lease(p))), key=lambda lease: lease.port_id)),
        external=spec.external,
        addresses=tuple(sorted(answered)),
        domain=spec.dns_domain.rstrip("."),
    )


def router_spec(
    router: Object, ports: Iterable[Object], subnets: Mapping[str, Object], floating: Iterable[Object]
) -> RouterSpec:
    """A router with the ranges behind each of its interfaces. ports: its own, the gateway's too; subnets: by id."""
    spec = Router.of(router).spec
    ranges: dict[str, set[str]] = {}
    gateway: RouterGateway | None = None
    for port in ports if spec.admin_state_up else ():
        if not has_addresses(port):
            continue
        found = [(f["ipAddress"], subnets[f["subnetId"]]) for f in port["spec"]["fixedIps"] if f["subnetId"] in subnets]
        if port["spec"]["deviceOwner"] == ROUTER_INTERFACE:
            ranges.setdefault(port["spec"]["networkId"], set()).update(s["spec"]["cidr"] for _, s in found)
        elif spec.external_gateway is not None and name_of(port) == spec.external_gateway.port:
            gateway = RouterGateway(
                port["spec"]["networkId"],
                port["spec"]["mac"],
                tuple((ip, ipaddress.ip_network(s["spec"]["cidr"]).prefixlen) for ip, s in found),
                next((s["spec"].get("gatewayIp") or "" for _, s in found), ""),
                spec.external_gateway.enable_snat,
            )
    led = {
        (f["spec"]["address"], f["spec"]["fixedIp"]) for f in floating
        if gateway is not None and f["spec"].get("fixedIp") and f["spec"]["networkId"] == gateway.network_id
    }  # fmt: skip
    interfaces = tuple((network_id, tuple(sorted(ranges[network_id]))) for network_id in sorted(ranges))
    return RouterSpec(spec.id, interfaces, gateway, tuple(sorted(led)))


Policed = tuple[str, ...] | None


def port_spec(
    port: Object, network: Object, subnets: Iterable[Object], policies: tuple[Policed, Policed] = (None, None)
) -> PortSpec:
    """An interface, with the prefix lengths and the gateway of its subnets. policies: for what comes, for what goes."""
    typed, net = Port.of(port).spec, Network.of(network).spec
    known = {subnet["spec"]["id"]: Subnet.of(subnet).spec for subnet in subnets}
    guarded = net.port_security if typed.port_security is None else typed.port_security
    addresses, gateway = [], ""
    for fixed in typed.fixed_ips:
        subnet = known.get(fixed.subnet_id)
        width = 128 if ":" in fixed.ip_address else 32
        prefix = ipaddress.ip_network(subnet.cidr, strict=False).prefixlen if subnet else width
        addresses.append((fixed.ip_address, prefix))
        gateway = gateway or (subnet.gateway_ip or "" if subnet else "")
    return PortSpec(
        id=typed.id,
        network_id=typed.network_id,
        mac=typed.mac,
        addresses=tuple(addresses),
        gateway=gateway,
        mtu=net.mtu,
        port_security=guarded,
        pairs=tuple((pair.ip_address, pair.mac_address) for pair in typed.allowed_address_pairs) if guarded else (),
        groups=None if typed.security_group_ids is None or not guarded else tuple(sorted(typed.security_group_ids)),
        ingress=policies[0],
        egress=policies[1],
    )


def group_spec(group: Object, ports: Iterable[Object]) -> GroupSpec:
    """A security group with the addresses of the ports that are in it."""
    spec = SecurityGroup.of(group).spec
    members = {fixed["ipAddress"] for port in ports if has_addresses(port) for fixed in port["spec"]["fixedIps"]}
    return GroupSpec(spec.id, tuple(_filter_rule(rule) for rule in spec.rules or ()), tuple(sorted(members)))


def _filter_rule(rule: SecurityGroupRule) -> FilterRule:
    return FilterRule(
        ingress=rule.direction == "ingress",
        version=6 if rule.ether_type == "IPv6" else 4,
        protocol=protocol_number(rule.protocol) or 0,
        port_min=rule.port_min,
        port_max=rule.port_max,
        remote_cidr=rule.remote_cidr,
        remote_group=rule.remote_group_id,
    )


def has_addresses(port: Object) -> bool:
    """Whether admission gave the port its MAC address and its addresses."""
    spec = port["spec"]
    fixed = spec.get("fixedIps") or []
    return bool(spec.get("id") and spec.get("mac") and fixed and all(f.get("ipAddress") for f in fixed))


def subnets_known(port: Object, subnets: Iterable[Object]) -> bool:
    """Whether the subnet of each of the port's addresses is among these."""
    known = {subnet["spec"].get("id") for subnet in subnets}
    return all(fixed.get("subnetId") in known for fixed in port["spec"].get("fixedIps") or [])


def service_rules(
    services: Iterable[Object], slices: Iterable[Object], network_of: Mapping[str, str]
) -> dict[str, tuple[ServiceRule, ...]]:
    """Rules by network id. network_of: the network of a pod's address, by its uid; endpoints that are no pod's, or
    are on the host's network, are reached from every network (key "").

    A service has a rule on each network on which it has endpoints; one without any endpoint refuses, on all. The API's
    own leads to the relay that each network has, whatever its endpoints say: pods do without them.
    """
    by_service: dict[tuple[str, str], list[Object]] = {}
    for piece in slices:
        owner = labels_of(piece).get(SERVICE_NAME)
        if owner:
            by_service.setdefault((namespace_of(piece), owner), []).append(piece)
    rules: dict[str, list[ServiceRule]] = {}
    for service in services:
        pieces = by_service.get((namespace_of(service), name_of(service)), [])
        own = _api_rules(service) if is_api_service(service) else _rules(service, pieces, network_of)
        for rule in own:
            rules.setdefault(rule.network_id, []).append(rule)
    return {network: tuple(sorted(some, key=lambda r: (r.ip, r.protocol, r.port))) for network, some in rules.items()}


def rules_on(networks: Iterable[str], by_network: Mapping[str, tuple[ServiceRule, ...]]) -> tuple[ServiceRule, ...]:
    """The rules of one node: those of the networks it has, joined with those that hold everywhere."""
    result: list[ServiceRule] = []
    for network in sorted(networks):
        own = {(r.ip, r.protocol, r.port): r for r in by_network.get(network, ())}
        for rule in by_network.get("", ()):
            key = (rule.ip, rule.protocol, rule.port)
            local = own.get(key)
            endpoints = (*(local.endpoints if local else ()), *rule.endpoints)
            own[key] = ServiceRule(network, rule.ip, rule.protocol, rule.port, endpoints)
        result += own.values()
    return tuple(result)


def service_names(
    services: Iterable[Object], slices: Iterable[Object], network_of: Mapping[str, str], rules: Iterable[ServiceRule]
) -> tuple[tuple[str, str], ...]:
    """`(name, address)` of the services that have rules on a network (all rules are of one), and for those without an
    address of their own (headless) the addresses of their endpoints on it."""
    network = next((rule.network_id for rule in rules), "")
    here = {rule.ip for rule in rules}
    headless: dict[tuple[str, str], str] = {}
    names: set[tuple[str, str]] = set()
    for service in services:
        name = f"{name_of(service)}.{namespace_of(service)}.svc.{CLUSTER_DOMAIN}"
        if service["spec"].get("clusterIP") == "None":
            headless[namespace_of(service), name_of(service)] = name
        names.update((name, ip) for ip in service["spec"].get("clusterIPs") or () if ip in here)
    for piece in slices:
        owner = headless.get((namespace_of(piece), labels_of(piece).get(SERVICE_NAME, "")))
        for endpoint in piece.get("endpoints") or () if owner else ():
            is_ready = (endpoint.get("conditions") or {}).get("ready") is not False
            if is_ready and network_of.get((endpoint.get("targetRef") or {}).get("uid", ""), "") in ("", network):
                said = [f"{endpoint['hostname']}.{owner}"] if endpoint.get("hostname") else []
                names.update((name, ip) for ip in endpoint.get("addresses") or () for name in [str(owner), *said])
    return tuple(sorted(names))


def _place(obj: Object) -> tuple[str, str]:
    return namespace_of(obj), name_of(obj)


def _api_rules(service: Object) -> Iterable[ServiceRule]:
    address, spec = service["spec"].get("clusterIP"), service["spec"]
    for port in spec.get("ports") or () if address not in (None, "", "None") else ():
        yield ServiceRule("", address, port.get("protocol") or "TCP", port["port"], ((RELAY, RELAY_PORT),))


def _rules(service: Object, pieces: list[Object], network_of: Mapping[str, str]) -> Iterable[ServiceRule]:
    spec = service["spec"]
    addresses = [ip for ip in spec.get("clusterIPs") or [spec.get("clusterIP")] if ip and ip != "None"]
    for port in spec.get("ports") or [] if addresses else []:
        protocol = port.get("protocol") or "TCP"
        found = _endpoints(pieces, port.get("name") or "", protocol, network_of)
        for ip in addresses:
            for network, endpoints in (found or {"": []}).items():
                same_family = tuple(e for e in endpoints if (":" in e[0]) is (":" in ip))
                yield ServiceRule(network, ip, protocol, port["port"], same_family)


def _endpoints(
    pieces: list[Object], name: str, protocol: str, network_of: Mapping[str, str]
) -> dict[str, list[tuple[str, int]]]:
    found: dict[str, list[tuple[str, int]]] = {}
    for piece in pieces:
        ports = [
            p for p in piece.get("ports") or []
            if (p.get("name") or "") == name and (p.get("protocol") or "TCP") == protocol and p.get("port")
        ]  # fmt: skip
        for endpoint in piece.get("endpoints") or [] if ports else []:
            if (endpoint.get("conditions") or {}).get("ready") is False:
                continue
            network = network_of.get((endpoint.get("targetRef") or {}).get("uid", ""), "")
            found.setdefault(network, []).extend((ip, ports[0]["port"]) for ip in endpoint.get("addresses") or [])
    return {network: sorted(set(endpoints)) for network, endpoints in found.items()}


def _subnet(subnet: Object) -> SubnetSpec:
    spec = Subnet.of(subnet).spec
    return SubnetSpec(
        id=spec.id,
        cidr=spec.cidr,
        gateway=spec.gateway_ip or "",
        dhcp=spec.dhcp,
        dns_nameservers=tuple(spec.dns_nameservers),
        host_routes=tuple((route.destination, route.nexthop) for route in spec.host_routes),
    )


def _lease(port: Object) -> Lease | None:
    if not has_addresses(port) or port["spec"].get("deviceOwner", "").startswith("network:"):
        return None
    spec = port["spec"]
    addresses = tuple(fixed["ipAddress"] for fixed in spec["fixedIps"])
    return Lease(spec["id"], spec["mac"], port_hostname(port), addresses)
