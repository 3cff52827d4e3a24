# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest

from lichen.agent.netspecs import (
    group_spec,
    has_addresses,
    network_spec,
    port_spec,
    router_spec,
    rules_on,
    service_names,
    service_rules,
    subnets_known,
)
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
from lichen.kinds.network.floatingip import FloatingIP
from lichen.kinds.network.network import Network
from lichen.kinds.network.router import Router
from lichen.kinds.network.securitygroup import SecurityGroup
from lichen.kinds.network.subnet import Subnet
from lichen.model.data import Object
from tests.agent.world import NETWORK_ID, SUBNET_ID, a_port, an_object


def a_net(**spec: Any) -> Object:
    return an_object(Network.KIND, "net", {"id": NETWORK_ID, "mtu": 1400, "segment": 7, **spec})


def a_subnet(**spec: Any) -> Object:
    base = {"id": SUBNET_ID, "network": "net", "networkId": NETWORK_ID, "cidr": "10.0.0.0/24", "gatewayIp": "10.0.0.1"}
    return an_object(Subnet.KIND, "sub", {**base, **spec})


def a_service(name: str = "web", ip: str | None = "10.96.0.7", *ports: Object) -> Object:
    wanted = list(ports) or [{"port": 80}]
    return {"metadata": {"name": name, "namespace": "demo"}, "spec": {"clusterIP": ip, "ports": wanted}}


def a_slice(*endpoints: Object, name: str = "web", ports: list[Object] | None = None) -> Object:
    return {
        "metadata": {"name": f"{name}-x", "namespace": "demo", "labels": {"kubernetes.io/service-name": name}},
        "ports": ports or [{"port": 8080, "protocol": "TCP"}],
        "endpoints": list(endpoints),
    }


def an_endpoint(ip: str, uid: str = "", ready: bool | None = True) -> Object:
    target = {"targetRef": {"uid": uid}} if uid else {}
    return {"addresses": [ip], "conditions": {} if ready is None else {"ready": ready}, **target}


def test_a_network_is_its_subnets_and_the_leases_of_its_ports():
    assert network_spec(a_net(), [a_subnet()], [a_port("web-0", "x", "compute:nova")]) == NetworkSpec(
        NETWORK_ID,
        1400,
        7,
        (SubnetSpec(SUBNET_ID, "10.0.0.0/24", "10.0.0.1"),),
        (Lease("44444444-4444-4444-8444-000000000005", "fa:16:3e:00:00:05", "web-0", ("10.0.0.5",)),),
    )


def test_a_lease_is_named_after_the_ports_owner():
    port = a_port("pod-web", "u", "pod")
    port["metadata"]["ownerReferences"] = [{"name": "web"}]
    assert network_spec(a_net(), [], [port]).leases[0].hostname == "web"


def test_a_port_without_addresses_has_no_lease():
    port = a_port("web-0", "x", "compute:nova")
    port["spec"]["fixedIps"] = []
    assert network_spec(a_net(), [], [port]).leases == ()


def test_leases_are_in_a_stable_order():
    one, two = a_port("a", "x", "pod", 5), a_port("b", "y", "pod", 6)
    assert network_spec(a_net(), [], [one, two]) == network_spec(a_net(), [], [two, one])


def test_a_subnet_without_a_gateway_has_none():
    assert network_spec(a_net(), [a_subnet(gatewayIp=None, dhcp=False)], []).subnets == (
        SubnetSpec(SUBNET_ID, "10.0.0.0/24", "", False),
    )


def test_a_port_is_addressed_within_its_subnet():
    assert port_spec(a_port("web-0", "x", "pod"), a_net(), [a_subnet()]) == PortSpec(
        "44444444-4444-4444-8444-000000000005", NETWORK_ID, "fa:16:3e:00:00:05", (("10.0.0.5", 24),), "10.0.0.1", 1400
    )


@pytest.mark.parametrize("missing", ["id", "mac", "fixedIps"])
def test_a_port_is_ready_when_it_has_everything(missing: str):
    port = a_port("web-0", "x", "pod")
    assert has_addresses(port)
    del port["spec"][missing]
    assert not has_addresses(port)


def test_a_port_waits_for_its_subnet():
    port = a_port("web-0", "x", "pod")
    assert subnets_known(port, [a_subnet()])
    assert not subnets_known(port, [])


def test_a_service_leads_to_its_ready_endpoints_on_their_network():
    pieces = [a_slice(an_endpoint("10.0.0.9", "b"), an_endpoint("10.0.0.8", "a"), an_endpoint("10.0.0.7", "c", False))]
    assert service_rules([a_service()], pieces, {"a": "N", "b": "N", "c": "N"}) == {
        "N": (ServiceRule("N", "10.96.0.7", "TCP", 80, (("10.0.0.8", 8080), ("10.0.0.9", 8080))),)
    }


def test_a_service_on_two_networks_has_a_rule_on_each():
    pieces = [a_slice(an_endpoint("10.0.0.9", "a"), an_endpoint("10.1.0.9", "b"))]
    assert service_rules([a_service()], pieces, {"a": "N", "b": "M"}) == {
        "N": (ServiceRule("N", "10.96.0.7", "TCP", 80, (("10.0.0.9", 8080),)),),
        "M": (ServiceRule("M", "10.96.0.7", "TCP", 80, (("10.1.0.9", 8080),)),),
    }


def test_a_service_without_endpoints_refuses_everywhere():
    assert service_rules([a_service()], [], {}) == {"": (ServiceRule("", "10.96.0.7", "TCP", 80),)}


@pytest.mark.parametrize("ip", ["None", "", None])
def test_a_service_without_an_address_has_no_rule(ip: str | None):
    assert service_rules([a_service("web", ip)], [a_slice(an_endpoint("10.0.0.9"))], {}) == {}


def test_ports_are_matched_by_name():
    service = a_service(
        "web", "10.96.0.7", {"port": 80, "name": "http"}, {"port": 53, "name": "dns", "protocol": "UDP"}
    )
    ports = [{"port": 8080, "name": "http"}, {"port": 5353, "name": "dns", "protocol": "UDP"}]
    assert service_rules([service], [a_slice(an_endpoint("10.0.0.9", "a"), ports=ports)], {"a": "N"})["N"] == (
        ServiceRule("N", "10.96.0.7", "TCP", 80, (("10.0.0.9", 8080),)),
        ServiceRule("N", "10.96.0.7", "UDP", 53, (("10.0.0.9", 5353),)),
    )


def test_an_endpoint_of_the_host_is_reached_from_every_network():
    rules = service_rules([a_service()], [a_slice(an_endpoint("192.0.2.1"))], {})
    assert rules_on(["M", "N"], rules) == (
        ServiceRule("M", "10.96.0.7", "TCP", 80, (("192.0.2.1", 8080),)),
        ServiceRule("N", "10.96.0.7", "TCP", 80, (("192.0.2.1", 8080),)),
    )


def test_a_node_has_the_rules_of_its_own_networks_only():
    rules = service_rules([a_service()], [a_slice(an_endpoint("10.0.0.9", "a"))], {"a": "N"})
    assert rules_on(["M"], rules) == ()
    assert len(rules_on(["N"], rules)) == 1


def test_a_group_is_its_rules_and_the_addresses_in_it():
    rules = [
        {"id": "r", "direction": "ingress", "protocol": "tcp", "portMin": 80, "portMax": 81, "remoteGroupId": "g"},
        {"id": "s", "direction": "egress", "etherType": "IPv6", "remoteCidr": "fd00::/8"},
    ]
    group = an_object(SecurityGroup.KIND, "web", {"id": "g", "rules": rules})
    assert group_spec(group, [a_port("web-0", "x", "pod")]) == GroupSpec(
        "g",
        (FilterRule(True, 4, 6, 80, 81, remote_group="g"), FilterRule(False, 6, remote_cidr="fd00::/8")),
        ("10.0.0.5",),
    )


def test_a_port_says_its_groups_or_that_it_is_open():
    port = a_port("web-0", "x", "pod")
    assert port_spec(port, a_net(), [a_subnet()]).groups is None
    port["spec"]["securityGroupIds"] = ["b", "a"]
    assert port_spec(port, a_net(), [a_subnet()]).groups == ("a", "b")


def test_a_router_is_what_is_behind_it_its_way_out_and_what_floats():
    inner, outer = a_port("in", "r", "network:router_interface"), a_port("out", "r", "network:router_gateway", 7)
    outer["spec"] |= {"networkId": "ext", "fixedIps": [{"subnetId": "e", "ipAddress": "203.0.113.7"}]}
    subnets = {SUBNET_ID: a_subnet(), "e": a_subnet(id="e", cidr="203.0.113.0/28", gatewayIp="203.0.113.1")}
    router = an_object(Router.KIND, "r", {"id": "r", "externalGateway": {"network": "ext", "port": "out"}})
    floating = an_object(FloatingIP.KIND, "f", {"networkId": "ext", "address": "203.0.113.9", "fixedIp": "10.0.0.9"})
    assert router_spec(router, [inner, outer], subnets, [floating]) == RouterSpec(
        "r",
        ((NETWORK_ID, ("10.0.0.0/24",)),),
        RouterGateway("ext", "fa:16:3e:00:00:07", (("203.0.113.7", 28),), "203.0.113.1"),
        (("203.0.113.9", "10.0.0.9"),),
    )
    assert network_spec(a_net(), [a_subnet()], [inner]).addresses == (("10.0.0.5", 24),)
    assert network_spec(a_net(), [a_subnet()], [inner]).leases == ()
    router["spec"]["adminStateUp"] = False
    assert router_spec(router, [inner, outer], subnets, []) == RouterSpec("r")


def test_services_are_named_where_they_can_be_reached():
    rules = (ServiceRule(NETWORK_ID, "10.96.0.7", "TCP", 80, (("10.0.0.5", 8080),)),)
    services = [a_service(), a_service("far", "10.96.0.8"), a_service("db", "None")]
    for service in services:
        service["spec"]["clusterIPs"] = [service["spec"]["clusterIP"]]
    here, elsewhere = an_endpoint("10.0.0.5", "u"), an_endpoint("10.0.0.6", "v")
    here["hostname"] = "db-0"
    slices = [a_slice(here, elsewhere, name="db")]
    assert service_names(services, slices, {"u": NETWORK_ID, "v": "other"}, rules) == (
        ("db-0.db.demo.svc.cluster.local", "10.0.0.5"),
        ("db.demo.svc.cluster.local", "10.0.0.5"),
        ("web.demo.svc.cluster.local", "10.96.0.7"),
    )


def test_the_apis_own_service_leads_to_the_relay_of_each_network():
    api = a_service("kubernetes", "10.96.0.1", {"name": "https", "port": 443, "protocol": "TCP"})
    api["metadata"]["namespace"] = "default"
    api["spec"]["clusterIPs"] = ["10.96.0.1"]
    rules = rules_on(["net-1"], service_rules([api], [], {}))
    assert rules == (ServiceRule("net-1", "10.96.0.1", "TCP", 443, (("169.254.169.254", 6443),)),)
    assert service_names([api], [], {}, rules) == (("kubernetes.default.svc.cluster.local", "10.96.0.1"),)
