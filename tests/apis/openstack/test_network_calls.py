# SPDX-License-Identifier: Apache-2.0
"""Neutron's calls, over the real kernel."""

from __future__ import annotations

from typing import Any

import pytest

from lichen.kinds.builtin import RESOURCE_QUOTA
from lichen.model.kind import new_object

from .cloud import TestCloud

NET = "/network/v2.0"


async def a_network(cloud: TestCloud, name: str = "private", **more: Any) -> Any:
    return (await cloud.ok("POST", f"{NET}/networks", {"network": {"name": name, **more}}))["network"]


async def a_subnet(cloud: TestCloud, network: Any, cidr: str = "10.1.0.0/24", **more: Any) -> Any:
    subnet = {"network_id": network["id"], "cidr": cidr, "ip_version": 4, **more}
    return (await cloud.ok("POST", f"{NET}/subnets", {"subnet": subnet}))["subnet"]


async def a_port(cloud: TestCloud, network: Any, **more: Any) -> Any:
    return (await cloud.ok("POST", f"{NET}/ports", {"port": {"network_id": network["id"], **more}}))["port"]


async def fault(cloud: TestCloud, method: str, path: str, json: Any = None, who: str = "demo") -> tuple[int, str, str]:
    answer = await cloud.call(method, NET + path, json, who=who)
    error = answer.json()["NeutronError"]
    return answer.status, error["type"], error["message"]


async def test_a_network_is_made_shown_changed_and_removed(cloud: TestCloud) -> None:
    network = await a_network(cloud, description="mine")
    assert network["name"] == "private"
    assert network["project_id"] == network["tenant_id"] == cloud.projects["demo"]
    assert (network["shared"], network["admin_state_up"], network["mtu"], network["subnets"]) == (False, True, 1450, [])
    assert "provider:segmentation_id" not in network
    path = f"{NET}/networks/{network['id']}"
    changed = await cloud.ok("PUT", path, {"network": {"name": "other", "description": ""}})
    assert (changed["network"]["name"], changed["network"]["description"]) == ("other", "")
    assert changed["network"]["revision_number"] > network["revision_number"]
    assert (await cloud.call("DELETE", path)).status == 204
    assert (await fault(cloud, "GET", f"/networks/{network['id']}"))[:2] == (404, "NetworkNotFound")


async def test_a_subnet_gets_gateway_and_pool_and_is_listed_on_its_network(cloud: TestCloud) -> None:
    network = await a_network(cloud)
    subnet = await a_subnet(cloud, network, name="s", dns_nameservers=["192.0.2.53"])
    assert subnet["gateway_ip"] == "10.1.0.1"
    assert subnet["allocation_pools"] == [{"start": "10.1.0.2", "end": "10.1.0.254"}]
    assert (subnet["ip_version"], subnet["enable_dhcp"], subnet["dns_nameservers"]) == (4, True, ["192.0.2.53"])
    shown = await cloud.ok("GET", f"{NET}/networks/{network['id']}")
    assert shown["network"]["subnets"] == [subnet["id"]]
    changed = await cloud.ok("PUT", f"{NET}/subnets/{subnet['id']}", {"subnet": {"gateway_ip": None, "name": "t"}})
    assert (changed["subnet"]["gateway_ip"], changed["subnet"]["name"]) == (None, "t")
    assert (await cloud.call("DELETE", f"{NET}/subnets/{subnet['id']}")).status == 204


async def test_a_subnet_without_gateway_and_one_of_ipv6(cloud: TestCloud) -> None:
    network = await a_network(cloud)
    assert (await a_subnet(cloud, network, gateway_ip=None))["gateway_ip"] is None
    six = await a_subnet(cloud, network, "2001:db8::/64", ip_version=6)
    assert (six["ip_version"], six["gateway_ip"]) == (6, "2001:db8::1")


async def test_a_port_gets_a_mac_and_an_address(cloud: TestCloud) -> None:
    network = await a_network(cloud)
    subnet = await a_subnet(cloud, network)
    port = await a_port(cloud, network, name="p")
    assert port["fixed_ips"] == [{"subnet_id": subnet["id"], "ip_address": "10.1.0.2"}]
    assert port["mac_address"].startswith("fa:16:3e:")
    assert (port["status"], port["device_id"], len(port["security_groups"])) == ("DOWN", "", 1)
    assert "binding:host_id" not in port
    wanted = await a_port(cloud, network, fixed_ips=[{"subnet_id": subnet["id"], "ip_address": "10.1.0.77"}])
    assert wanted["fixed_ips"][0]["ip_address"] == "10.1.0.77"
    path = f"{NET}/ports/{port['id']}"
    changed = await cloud.ok(
        "PUT", path, {"port": {"name": "q", "device_id": "x", "fixed_ips": [{"ip_address": "10.1.0.9"}]}}
    )
    assert (changed["port"]["name"], changed["port"]["device_id"]) == ("q", "x")
    assert changed["port"]["fixed_ips"] == [{"subnet_id": subnet["id"], "ip_address": "10.1.0.9"}]
    assert (await cloud.call("DELETE", path)).status == 204


async def test_lists_filter_sort_page_and_pick_fields(cloud: TestCloud) -> None:
    network = await a_network(cloud)
    subnet = await a_subnet(cloud, network)
    for name in ("a", "b", "c"):
        await a_port(cloud, network, name=name, device_owner="compute:nova", device_id=f"server-{name}")

    async def names(query: str) -> list[str]:
        return [p["name"] for p in (await cloud.ok("GET", f"{NET}/ports?{query}"))["ports"]]

    assert await names("sort_key=name&sort_dir=desc") == ["c", "b", "a"]
    assert await names("name=a&name=c&sort_key=name") == ["a", "c"]
    assert await names("device_id=server-b&device_owner=compute:nova") == ["b"]
    assert await names("fixed_ips=ip_address%3D10.1.0.3") == ["b"]
    assert await names(f"fixed_ips=ip_address%3D10.1.0.3&fixed_ips=subnet_id%3D{subnet['id']}") == ["b"]
    assert await names("fixed_ips=ip_address_substr%3D0.4") == ["c"]
    assert await names("admin_state_up=false") == []
    assert await names("mac_address=FA:16:3E:00:00:00") == []
    first = await cloud.ok("GET", f"{NET}/ports?sort_key=name&limit=2&fields=id&fields=name")
    assert [set(p) for p in first["ports"]] == [{"id", "name"}] * 2
    assert first["ports_links"][0]["rel"] == "next"
    following = first["ports_links"][0]["href"].removeprefix("http://cloud.test")
    assert [p["name"] for p in (await cloud.ok("GET", following))["ports"]] == ["c"]
    assert (await cloud.ok("GET", f"{NET}/networks?router:external=false&shared=false"))["networks"][0][
        "id"
    ] == network["id"]


async def test_tags_are_set_one_by_one_and_together_and_filter_lists(cloud: TestCloud) -> None:
    network = await a_network(cloud)
    await a_network(cloud, "plain")
    path = f"{NET}/networks/{network['id']}/tags"
    assert (await cloud.ok("PUT", path, {"tags": ["red", "blue"]})) == {"tags": ["red", "blue"]}
    assert (await cloud.call("PUT", path + "/green")).status == 201
    assert (await cloud.call("GET", path + "/green")).status == 204
    assert (await cloud.call("DELETE", path + "/red")).status == 204
    assert (await cloud.ok("GET", path)) == {"tags": ["blue", "green"]}
    assert (await fault(cloud, "GET", f"/networks/{network['id']}/tags/red"))[:2] == (404, "TagNotFound")

    async def names(query: str) -> list[str]:
        found = (await cloud.ok("GET", f"{NET}/networks?{query}&shared=false&router:external=false"))["networks"]
        return [n["name"] for n in found]

    assert await names("tags=blue,green") == ["private"]
    assert await names("tags-any=blue,none") == ["private"]
    assert await names("not-tags=blue") == ["plain"]
    assert (await cloud.call("DELETE", path)).status == 204
    assert await names("tags=blue") == []


async def test_a_bulk_is_made_whole_or_not_at_all(cloud: TestCloud) -> None:
    made = await cloud.ok("POST", f"{NET}/networks", {"networks": [{"name": "a"}, {"name": "b"}]})
    assert [n["name"] for n in made["networks"]] == ["a", "b"]
    bad = {"networks": [{"name": "c"}, {"name": "d", "mtu": 1}]}
    assert (await fault(cloud, "POST", "/networks", bad))[0] == 400
    assert [n["name"] for n in (await cloud.ok("GET", f"{NET}/networks?name=c"))["networks"]] == []


async def test_a_shared_network_and_its_subnets_are_seen_by_all_and_changed_by_none_but_the_admin(
    cloud: TestCloud,
) -> None:
    shared = await cloud.ok("POST", f"{NET}/networks", {"network": {"name": "pub", "shared": True}}, who="admin")
    body = {"subnet": {"network_id": shared["network"]["id"], "cidr": "10.9.0.0/24", "ip_version": 4}}
    subnet = (await cloud.ok("POST", f"{NET}/subnets", body, who="admin"))["subnet"]
    path = f"{NET}/networks/{shared['network']['id']}"
    assert (await cloud.ok("GET", path))["network"]["subnets"] == [subnet["id"]]
    assert (await cloud.ok("GET", f"{NET}/subnets/{subnet['id']}"))["subnet"]["cidr"] == "10.9.0.0/24"
    assert (await cloud.call("PUT", path, {"network": {"name": "mine"}})).status == 403
    assert (await cloud.call("DELETE", path)).status == 403
    port = await a_port(cloud, shared["network"])
    assert port["fixed_ips"][0]["ip_address"] == "10.9.0.2"
    assert port["project_id"] == cloud.projects["demo"]


async def test_another_project_sees_nothing_of_ours(cloud: TestCloud) -> None:
    network = await a_network(cloud)
    await a_subnet(cloud, network)
    port = await a_port(cloud, network)
    await cloud.project("other")
    for path in (
        f"/networks/{network['id']}",
        f"/subnets/{(await cloud.ok('GET', f'{NET}/subnets?name='))['subnets'] and 'x'}",
        f"/ports/{port['id']}",
    ):
        for method, json in (("GET", None), ("DELETE", None)):
            assert (await cloud.call(method, NET + path, json, who="other")).status == 404
    seen = [n["name"] for n in (await cloud.ok("GET", f"{NET}/networks", who="other"))["networks"]]
    assert sorted(seen) == ["cluster", "public"]
    assert (await cloud.ok("GET", f"{NET}/ports", who="other"))["ports"] == []
    assert (await fault(cloud, "POST", "/ports", {"port": {"network_id": network["id"]}}, "other"))[
        1
    ] == "NetworkNotFound"
    assert (await cloud.ok("GET", f"{NET}/ports", who="admin"))["ports"][0]["id"] == port["id"]


@pytest.mark.parametrize(
    ("path", "body", "status", "fault_type"),
    [
        ("/networks", {"network": {"name": "x" * 256}}, 400, "InvalidInput"),
        ("/networks", {"network": {"name": 7}}, 400, "InvalidInput"),
        ("/networks", {"network": {"colour": "red"}}, 400, "HTTPBadRequest"),
        ("/networks", {"network": {"status": "ACTIVE"}}, 400, "HTTPBadRequest"),
        ("/networks", {"network": {"mtu": 7}}, 400, "InvalidInput"),
        ("/networks", {"network": {"mtu": "big"}}, 400, "InvalidInput"),
        ("/networks", {"network": {"shared": True}}, 403, "PolicyNotAuthorized"),
        ("/networks", {"network": {"provider:network_type": "vlan"}}, 403, "PolicyNotAuthorized"),
        ("/networks", {"network": {"tenant_id": "0" * 32}}, 403, "PolicyNotAuthorized"),
        ("/networks", {"network": []}, 400, "HTTPBadRequest"),
        ("/networks", {"networks": []}, 400, "HTTPBadRequest"),
        ("/networks", {}, 400, "HTTPBadRequest"),
        ("/subnets", {"subnet": {"cidr": "10.2.0.0/24"}}, 400, "HTTPBadRequest"),
        ("/subnets", {"subnet": {"network_id": "NET"}}, 400, "HTTPBadRequest"),
        ("/subnets", {"subnet": {"network_id": "nope", "cidr": "10.2.0.0/24"}}, 404, "NetworkNotFound"),
        ("/subnets", {"subnet": {"network_id": "NET", "cidr": "10.1.0.128/25"}}, 400, "InvalidInput"),
        ("/subnets", {"subnet": {"network_id": "NET", "cidr": "elsewhere"}}, 400, "InvalidInput"),
        ("/subnets", {"subnet": {"network_id": "NET", "cidr": "10.2.0.5/24"}}, 400, "InvalidInput"),
        ("/subnets", {"subnet": {"network_id": "NET", "cidr": "10.2.0.0/24", "ip_version": 6}}, 400, "InvalidInput"),
        ("/subnets", {"subnet": {"network_id": "NET", "cidr": "10.2.0.0/24", "ip_version": 5}}, 400, "InvalidInput"),
        ("/subnets", {"subnet": {"network_id": "NET", "cidr": "10.2.0.0/24", "gateway_ip": "x"}}, 400, "InvalidInput"),
        (
            "/subnets",
            {
                "subnet": {
                    "network_id": "NET",
                    "cidr": "10.2.0.0/24",
                    "allocation_pools": [
                        {"start": "10.2.0.10", "end": "10.2.0.20"},
                        {"start": "10.2.0.15", "end": "10.2.0.30"},
                    ],
                }
            },
            409,
            "OverlappingAllocationPools",
        ),
        (
            "/subnets",
            {
                "subnet": {
                    "network_id": "NET",
                    "cidr": "10.2.0.0/24",
                    "gateway_ip": "10.2.0.5",
                    "allocation_pools": [{"start": "10.2.0.2", "end": "10.2.0.20"}],
                }
            },
            409,
            "GatewayConflictWithAllocationPools",
        ),
        (
            "/subnets",
            {"subnet": {"network_id": "NET", "cidr": "10.2.0.0/24", "ipv6_ra_mode": "slaac"}},
            400,
            "InvalidInput",
        ),
        ("/ports", {"port": {}}, 400, "HTTPBadRequest"),
        ("/ports", {"port": {"network_id": "nope"}}, 404, "NetworkNotFound"),
        ("/ports", {"port": {"network_id": "NET", "mac_address": "zz"}}, 400, "InvalidInput"),
        ("/ports", {"port": {"network_id": "NET", "mac_address": "MAC"}}, 409, "MacAddressInUse"),
        (
            "/ports",
            {"port": {"network_id": "NET", "fixed_ips": [{"ip_address": "10.1.0.2"}]}},
            409,
            "IpAddressAlreadyAllocated",
        ),
        (
            "/ports",
            {"port": {"network_id": "NET", "fixed_ips": [{"ip_address": "192.0.2.1"}]}},
            400,
            "InvalidIpForNetwork",
        ),
        ("/ports", {"port": {"network_id": "NET", "fixed_ips": [{"subnet_id": "nope"}]}}, 404, "SubnetNotFound"),
        ("/ports", {"port": {"network_id": "NET", "fixed_ips": "x"}}, 400, "InvalidInput"),
        ("/ports", {"port": {"network_id": "NET", "fixed_ips": []}}, 400, "InvalidInput"),
        ("/ports", {"port": {"network_id": "NET", "security_groups": ["x"]}}, 404, "SecurityGroupNotFound"),
        ("/ports", {"port": {"network_id": "NET", "security_groups": "x"}}, 400, "InvalidInput"),
    ],
)
async def test_bad_input_is_a_typed_fault_and_changes_nothing(
    cloud: TestCloud, path: str, body: Any, status: int, fault_type: str
) -> None:
    network = await a_network(cloud)
    await a_subnet(cloud, network)
    port = await a_port(cloud, network)
    before = await everything(cloud)
    for value in body.values():
        if isinstance(value, dict):
            value |= {k: network["id"] for k, v in value.items() if v == "NET"}
            value |= {k: port["mac_address"] for k, v in value.items() if v == "MAC"}
    assert (await fault(cloud, "POST", path, body))[:2] == (status, fault_type)
    assert await everything(cloud) == before


async def test_a_network_of_a_type_that_there_is_not_is_refused_to_the_admin_too(cloud: TestCloud) -> None:
    body = {"network": {"provider:network_type": "vlan"}}
    assert (await fault(cloud, "POST", "/networks", body, who="admin"))[:2] == (400, "InvalidInput")


async def everything(cloud: TestCloud) -> list[Any]:
    return [await cloud.ok("GET", f"{NET}/{name}") for name in ("networks", "subnets", "ports")]


async def test_a_network_with_ports_and_a_subnet_with_addresses_stay(cloud: TestCloud) -> None:
    network = await a_network(cloud)
    subnet = await a_subnet(cloud, network)
    await a_port(cloud, network)
    refused = await fault(cloud, "DELETE", f"/networks/{network['id']}")
    assert refused[:2] == (409, "NetworkInUse"), refused
    assert (await fault(cloud, "DELETE", f"/subnets/{subnet['id']}"))[:2] == (409, "SubnetInUse")


async def test_a_full_subnet_says_so(cloud: TestCloud) -> None:
    network = await a_network(cloud)
    await a_subnet(cloud, network, allocation_pools=[{"start": "10.1.0.5", "end": "10.1.0.5"}])
    await a_port(cloud, network)
    refused = await fault(cloud, "POST", "/ports", {"port": {"network_id": network["id"]}})
    assert refused[:2] == (409, "IpAddressGenerationFailure")


@pytest.mark.parametrize(
    "query", ["colour=red", "sort_key=colour", "limit=-1", "limit=x", "admin_state_up=maybe", "marker=x"]
)
async def test_bad_queries_are_refused(cloud: TestCloud, query: str) -> None:
    await a_network(cloud)
    assert (await fault(cloud, "GET", f"/networks?{query}"))[0] == 400


async def test_what_is_not_served_is_not_found_and_not_advertised(cloud: TestCloud) -> None:
    for path in ("/trunks", "/qos/policies"):
        assert (await fault(cloud, "GET", path))[0] == 404
    aliases = {e["alias"] for e in (await cloud.ok("GET", f"{NET}/extensions"))["extensions"]}
    assert "standard-attr-tag" in aliases
    assert not aliases & {"trunk", "qos", "address-scope"}


async def test_quotas_are_the_resource_quota_and_unlimited_without(cloud: TestCloud) -> None:
    path = f"{NET}/quotas/{cloud.projects['demo']}"
    assert set((await cloud.ok("GET", path))["quota"].values()) == {-1}
    quota = new_object(RESOURCE_QUOTA, "q", "demo", {"hard": {"count/ports.network.lichen.dev": "5"}})
    await cloud.state.create(RESOURCE_QUOTA, quota)
    await a_network(cloud)
    assert (await cloud.ok("GET", path))["quota"]["port"] == 5
    details = (await cloud.ok("GET", path + "/details"))["quota"]
    assert details["network"] == {"limit": -1, "used": 1, "reserved": 0}
    assert (await cloud.ok("GET", path + "/default"))["quota"]["port"] == -1
    assert (await fault(cloud, "GET", f"/quotas/{cloud.projects['admin']}"))[0] == 403


async def test_ip_availability_counts_addresses(cloud: TestCloud) -> None:
    network = await a_network(cloud)
    await a_subnet(cloud, network)
    await a_port(cloud, network)
    path = f"{NET}/network-ip-availabilities/{network['id']}"
    shown = (await cloud.ok("GET", path, who="admin"))["network_ip_availability"]
    assert (shown["total_ips"], shown["used_ips"]) == (253, 1)
    assert (await cloud.call("GET", path)).status == 403


async def a_pool(cloud: TestCloud, who: str = "demo", **more: Any) -> Any:
    body = {"name": "pool", "prefixes": ["10.64.0.0/16"], "default_prefixlen": 24, **more}
    return (await cloud.ok("POST", f"{NET}/subnetpools", {"subnetpool": body}, who=who))["subnetpool"]


async def test_subnets_are_cut_from_a_pool_and_never_overlap(cloud: TestCloud) -> None:
    pool = await a_pool(cloud)
    assert (pool["ip_version"], pool["min_prefixlen"], pool["max_prefixlen"]) == (4, 8, 32)
    one, two = await a_network(cloud), await a_network(cloud, "second")

    async def cut(network: Any, **more: Any) -> Any:
        body = {"network_id": network["id"], "subnetpool_id": pool["id"], "ip_version": 4, **more}
        return (await cloud.ok("POST", f"{NET}/subnets", {"subnet": body}))["subnet"]

    first, second = await cut(one), await cut(two)
    assert (first["cidr"], first["gateway_ip"], first["subnetpool_id"]) == ("10.64.0.0/24", "10.64.0.1", pool["id"])
    assert second["cidr"] == "10.64.1.0/24"
    assert (await cut(one, prefixlen=20))["cidr"] == "10.64.16.0/20"
    assert (await cut(two, cidr="10.64.2.0/24"))["cidr"] == "10.64.2.0/24"
    assert (await cut(two))["cidr"] == "10.64.3.0/24"
    assert (await cloud.call("DELETE", f"{NET}/subnetpools/{pool['id']}")).status == 409
    await cloud.call("DELETE", f"{NET}/subnets/{first['id']}")
    assert (await cut(one))["cidr"] == "10.64.0.0/24"


async def test_a_pool_refuses_what_it_has_not(cloud: TestCloud) -> None:
    pool = await a_pool(cloud, prefixes="10.64.0.0/28", min_prefixlen=28, default_prefixlen=28)
    network = await a_network(cloud)
    subnet = {"network_id": network["id"], "subnetpool_id": pool["id"], "ip_version": 4}
    tries = [
        ("/subnets", {"subnet": {**subnet, "prefixlen": 24}}, 400),
        ("/subnets", {"subnet": {**subnet, "cidr": "10.65.0.0/28"}}, 400),
        ("/subnets", {"subnet": {**subnet, "cidr": "10.64.0.0/28", "prefixlen": 28}}, 400),
        ("/subnets", {"subnet": {**subnet, "ip_version": 6, "use_default_subnetpool": True}}, 404),
        ("/subnetpools", {"subnetpool": {"name": "x", "prefixes": []}}, 400),
        ("/subnetpools", {"subnetpool": {"name": "x", "prefixes": ["10.0.0.1/8"]}}, 400),
        ("/subnetpools", {"subnetpool": {"name": "x", "prefixes": ["10.0.0.0/8", "fd00::/48"]}}, 400),
        ("/subnetpools", {"subnetpool": {"name": "x", "prefixes": ["10.0.0.0/8"], "default_prefixlen": 4}}, 400),
        ("/subnetpools", {"subnetpool": {"name": "x", "prefixes": ["10.0.0.0/8"], "shared": True}}, 403),
        ("/subnetpools", {"subnetpool": {"name": "x"}}, 400),
    ]
    for path, body, status in tries:
        assert (await cloud.call("POST", NET + path, body)).status == status, body
    path = f"{NET}/subnetpools/{pool['id']}"
    assert (await cloud.call("PUT", path, {"subnetpool": {"prefixes": ["10.65.0.0/28"]}})).status == 400
    await cloud.ok("POST", f"{NET}/subnets", {"subnet": subnet})
    full = await cloud.call(
        "POST", f"{NET}/subnets", {"subnet": {**subnet, "network_id": (await a_network(cloud))["id"]}}
    )
    assert (full.status, full.json()["NeutronError"]["type"]) == (409, "SubnetAllocationError")
    grown = await cloud.ok("PUT", path, {"subnetpool": {"prefixes": ["10.64.0.0/28", "10.64.0.16/28"]}})
    assert grown["subnetpool"]["prefixes"] == ["10.64.0.0/27"]


async def test_a_shared_pool_is_taken_from_by_all_and_one_projects_own_by_nobody_else(cloud: TestCloud) -> None:
    shared = await a_pool(cloud, "admin", shared=True, is_default=True, default_quota=256)
    mine = await a_pool(cloud)
    await cloud.project("other")
    seen = (await cloud.ok("GET", f"{NET}/subnetpools", who="other"))["subnetpools"]
    assert [pool["id"] for pool in seen] == [shared["id"]]
    network = (await cloud.ok("POST", f"{NET}/networks", {"network": {"name": "n"}}, who="other"))["network"]
    subnet = {"network_id": network["id"], "ip_version": 4, "use_default_subnetpool": True}
    cut = await cloud.ok("POST", f"{NET}/subnets", {"subnet": subnet}, who="other")
    assert cut["subnet"]["subnetpool_id"] == shared["id"]
    over = await cloud.call("POST", f"{NET}/subnets", {"subnet": subnet}, who="other")
    assert over.json()["NeutronError"]["type"] == "SubnetPoolQuotaExceeded"
    foreign = {"network_id": network["id"], "ip_version": 4, "subnetpool_id": mine["id"]}
    assert (await cloud.call("POST", f"{NET}/subnets", {"subnet": foreign}, who="other")).status == 404
    assert (await cloud.call("PUT", f"{NET}/subnetpools/{shared['id']}", {"subnetpool": {}}, who="other")).status == 403


async def test_a_port_is_named_may_share_an_address_and_may_be_unguarded(cloud: TestCloud) -> None:
    network = await a_network(cloud, dns_domain="shop.example.")
    await a_subnet(cloud, network)
    pair = {"ip_address": "10.1.0.99"}
    port = await a_port(cloud, network, dns_name="web", allowed_address_pairs=[pair])
    assert [(a["hostname"], a["fqdn"]) for a in port["dns_assignment"]] == [("web", "web.shop.example.")]
    assert port["allowed_address_pairs"] == [{**pair, "mac_address": port["mac_address"]}]
    path = f"{NET}/ports/{port['id']}"
    free = {"port_security_enabled": False, "security_groups": [], "allowed_address_pairs": []}
    freed = (await cloud.ok("PUT", path, {"port": free}))["port"]
    assert (freed["port_security_enabled"], freed["allowed_address_pairs"]) == (False, [])
    tries = [
        {"dns_name": "not a name\naddress=/x/1.2.3.4"},
        {"allowed_address_pairs": [{"ip_address": "} drop"}]},
        {"allowed_address_pairs": [{"ip_address": "10.1.0.1", "mac_address": "x"}]},
        {"allowed_address_pairs": [{"mac_address": "fa:16:3e:00:00:01"}]},
    ]
    for wrong in tries:
        assert (await cloud.call("PUT", path, {"port": {"port_security_enabled": True, **wrong}})).status == 400, wrong
    domain = {"network": {"dns_domain": "x\nserver=1.1.1.1"}}
    assert (await cloud.call("PUT", f"{NET}/networks/{network['id']}", domain)).status == 400


async def test_ports_on_a_shared_network_stay_guarded_unless_the_admin_says_so(cloud: TestCloud) -> None:
    body = {"network": {"name": "lan", "shared": True}}
    shared = (await cloud.ok("POST", f"{NET}/networks", body, who="admin"))["network"]
    subnet = {"network_id": shared["id"], "cidr": "10.8.0.0/24", "ip_version": 4}
    await cloud.ok("POST", f"{NET}/subnets", {"subnet": subnet}, who="admin")
    port = await a_port(cloud, shared)
    for loose in (
        {"port_security_enabled": False, "security_groups": []},
        {"allowed_address_pairs": [{"ip_address": "10.8.0.9"}]},
    ):
        assert (await cloud.call("PUT", f"{NET}/ports/{port['id']}", {"port": loose})).status == 403
        assert (await cloud.call("PUT", f"{NET}/ports/{port['id']}", {"port": loose}, who="admin")).status == 200
        await cloud.ok("PUT", f"{NET}/ports/{port['id']}", {"port": {"port_security_enabled": True}}, who="admin")
