# SPDX-License-Identifier: Apache-2.0
"""Neutron's routers and floating IPs, over the real kernel."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from lichen.apis.openstack import objects
from lichen.kinds.network.address import Address
from lichen.kinds.network.router import Router

from .cloud import TestCloud
from .test_network_calls import NET, a_network, a_port, a_subnet, fault


@pytest.fixture
async def public(cloud: TestCloud) -> Any:
    """An external network of the admin's."""
    body = {"network": {"name": "public", "router:external": True}}
    network = (await cloud.ok("POST", f"{NET}/networks", body, who="admin"))["network"]
    subnet = {"network_id": network["id"], "cidr": "203.0.113.0/28", "ip_version": 4, "enable_dhcp": False}
    await cloud.ok("POST", f"{NET}/subnets", {"subnet": subnet}, who="admin")
    return network


async def a_router(cloud: TestCloud, public: Any = None, **more: Any) -> Any:
    gateway = {"external_gateway_info": {"network_id": public["id"]}} if public else {}
    return (await cloud.ok("POST", f"{NET}/routers", {"router": {"name": "r", **gateway, **more}}))["router"]


async def join(cloud: TestCloud, router: Any, subnet: Any, verb: str = "add") -> Any:
    path = f"{NET}/routers/{router['id']}/{verb}_router_interface"
    return await cloud.ok("PUT", path, {"subnet_id": subnet["id"]})


async def a_floating_ip(cloud: TestCloud, public: Any, **more: Any) -> Any:
    body = {"floatingip": {"floating_network_id": public["id"], **more}}
    return (await cloud.ok("POST", f"{NET}/floatingips", body))["floatingip"]


async def addresses(cloud: TestCloud) -> set[str]:
    """All that are taken, but those of the router that every cloud has."""
    found = {a["spec"]["ipAddress"] for a in (await cloud.state.list(Address.KIND)).items}
    return {address for address in found if not address.startswith(("10.244.", "172.24.4."))}


async def test_an_external_network_is_seen_but_not_joined_by_projects(cloud: TestCloud, public: Any) -> None:
    assert "public" in [n["name"] for n in (await cloud.ok("GET", f"{NET}/networks"))["networks"]]
    shown = await cloud.ok("GET", f"{NET}/networks/{public['id']}")
    assert shown["network"]["router:external"] is True
    assert (await fault(cloud, "POST", "/ports", {"port": {"network_id": public["id"]}}))[0] in (400, 403, 404)
    body = {"network": {"name": "mine", "router:external": True}}
    assert (await fault(cloud, "POST", "/networks", body))[0] == 403


async def test_a_router_gets_its_address_outside_at_once_and_gives_it_back(cloud: TestCloud, public: Any) -> None:
    router = await a_router(cloud, public)
    (fixed,) = router["external_gateway_info"]["external_fixed_ips"]
    assert fixed["ip_address"] == "203.0.113.2"
    path = f"{NET}/routers/{router['id']}"
    renamed = await cloud.ok("PUT", path, {"router": {"name": "edge"}})
    assert renamed["router"]["external_gateway_info"] == router["external_gateway_info"]
    cleared = await cloud.ok("PUT", path, {"router": {"external_gateway_info": {}}})
    assert cleared["router"]["external_gateway_info"] is None
    assert await addresses(cloud) == set()
    wanted = {"network_id": public["id"], "external_fixed_ips": [{"ip_address": "203.0.113.9"}], "enable_snat": False}
    again = await cloud.ok("PUT", path, {"router": {"external_gateway_info": wanted}}, who="admin")
    assert again["router"]["external_gateway_info"]["external_fixed_ips"][0]["ip_address"] == "203.0.113.9"
    assert again["router"]["external_gateway_info"]["enable_snat"] is False
    assert (await cloud.call("DELETE", path)).status == 204
    assert await addresses(cloud) == set()


async def test_a_router_joins_subnets_that_do_not_overlap(cloud: TestCloud) -> None:
    router = await a_router(cloud)
    one = await a_subnet(cloud, await a_network(cloud))
    two = await a_subnet(cloud, await a_network(cloud), "10.1.0.128/25")
    joined = await join(cloud, router, one)
    port = (await cloud.ok("GET", f"{NET}/ports/{joined['port_id']}"))["port"]
    assert (port["device_owner"], port["device_id"]) == ("network:router_interface", router["id"])
    assert port["fixed_ips"] == [{"subnet_id": one["id"], "ip_address": "10.1.0.1"}]
    path = f"/routers/{router['id']}"
    twice = await fault(cloud, "PUT", f"{path}/add_router_interface", {"subnet_id": one["id"]})
    said = f"Bad router request: Router already has a port on subnet {one['id']}."
    assert twice == (400, "BadRequest", said)
    refused = await fault(cloud, "PUT", f"{path}/add_router_interface", {"subnet_id": two["id"]})
    assert refused[:2] == (400, "BadRequest"), refused
    assert (await fault(cloud, "DELETE", path))[:2] == (409, "RouterInUse")
    assert (await fault(cloud, "DELETE", f"/ports/{port['id']}"))[:2] == (409, "ServicePortInUse")
    assert (await join(cloud, router, one, "remove"))["port_id"] == port["id"]
    missing = await fault(cloud, "PUT", f"{path}/remove_router_interface", {"subnet_id": one["id"]})
    assert missing[:2] == (404, "RouterInterfaceNotFoundForSubnet")
    assert (await cloud.call("DELETE", NET + path)).status == 204


async def test_a_port_made_for_it_becomes_a_routers_interface(cloud: TestCloud) -> None:
    router, network = await a_router(cloud), await a_network(cloud)
    await a_subnet(cloud, network)
    port = await a_port(cloud, network)
    path = f"{NET}/routers/{router['id']}/add_router_interface"
    assert (await cloud.ok("PUT", path, {"port_id": port["id"]}))["port_id"] == port["id"]
    assert (await fault(cloud, "PUT", path.removeprefix(NET), {"port_id": port["id"]}))[:2] == (409, "PortInUse")


async def test_a_floating_ip_leads_to_a_port_behind_a_router(cloud: TestCloud, public: Any) -> None:
    network = await a_network(cloud)
    subnet = await a_subnet(cloud, network)
    port = await a_port(cloud, network)
    body = {"floatingip": {"floating_network_id": public["id"], "port_id": port["id"]}}
    assert (await fault(cloud, "POST", "/floatingips", body))[:2] == (404, "ExternalGatewayForFloatingIPNotFound")
    assert len(await addresses(cloud)) == 1
    router = await a_router(cloud, public)
    await join(cloud, router, subnet)
    floating = await a_floating_ip(cloud, public, port_id=port["id"])
    assert (floating["fixed_ip_address"], floating["router_id"]) == ("10.1.0.2", router["id"])
    second = await a_floating_ip(cloud, public)
    assert (second["port_id"], second["status"]) == (None, "DOWN")
    path = f"{NET}/floatingips/{second['id']}"
    taken = await fault(cloud, "PUT", path.removeprefix(NET), {"floatingip": {"port_id": port["id"]}})
    assert taken[:2] == (409, "FloatingIPPortAlreadyAssociated")
    for verb, body in (
        ("remove_router_interface", {"subnet_id": subnet["id"]}),
        ("", {"router": {"external_gateway_info": None}}),
    ):
        assert (await fault(cloud, "PUT", f"/routers/{router['id']}/{verb}".rstrip("/"), body))[0] == 409
    freed = await cloud.ok("PUT", f"{NET}/floatingips/{floating['id']}", {"floatingip": {"port_id": None}})
    assert (freed["floatingip"]["port_id"], freed["floatingip"]["router_id"]) == (None, None)
    led = await cloud.ok("PUT", path, {"floatingip": {"port_id": port["id"]}})
    assert led["floatingip"]["fixed_ip_address"] == "10.1.0.2"
    for one in (floating, second):
        assert (await cloud.call("DELETE", f"{NET}/floatingips/{one['id']}")).status == 204
    gateway = router["external_gateway_info"]["external_fixed_ips"][0]["ip_address"]
    assert await addresses(cloud) == {"10.1.0.1", "10.1.0.2", gateway}


async def test_a_change_is_made_though_another_came_first(cloud: TestCloud, public: Any) -> None:
    await a_router(cloud, public)
    (read,) = (await cloud.state.list(Router.KIND, fields="spec.displayName=r")).items
    labels = {"metadata": {"labels": {"by": "another"}}, "spec": {"description": "another's"}}
    await cloud.state.patch(Router.KIND, read["metadata"]["name"], read["metadata"]["namespace"], labels)
    request: Any = SimpleNamespace(state=cloud.state)
    changed = await objects.change(request, Router.KIND, read, lambda spec: {**spec, "adminStateUp": False})
    assert (changed["spec"]["description"], changed["spec"]["adminStateUp"]) == ("another's", False)
    assert changed["metadata"]["labels"] == {"by": "another"}


async def test_a_wanted_floating_address_is_given_once(cloud: TestCloud, public: Any) -> None:
    body = {"floatingip": {"floating_network_id": public["id"], "floating_ip_address": "203.0.113.10"}}
    floating = (await cloud.ok("POST", f"{NET}/floatingips", body, who="admin"))["floatingip"]
    assert floating["floating_ip_address"] == "203.0.113.10"
    assert (await fault(cloud, "POST", "/floatingips", body, who="admin"))[:2] == (409, "IpAddressAlreadyAllocated")
    private = await a_network(cloud)
    body = {"floatingip": {"floating_network_id": private["id"]}}
    assert (await fault(cloud, "POST", "/floatingips", body))[:2] == (400, "BadRequest")


async def test_anothers_router_and_floating_ip_are_not_seen(cloud: TestCloud, public: Any) -> None:
    router, floating = await a_router(cloud, public), await a_floating_ip(cloud, public)
    await cloud.project("other")
    for path in (f"/routers/{router['id']}", f"/floatingips/{floating['id']}"):
        assert (await fault(cloud, "GET", path, who="other"))[0] == 404
        assert (await fault(cloud, "DELETE", path, who="other"))[0] == 404
    ports = (await cloud.ok("GET", f"{NET}/ports"))["ports"]
    assert ports == []  # what holds addresses outside is the cloud's
