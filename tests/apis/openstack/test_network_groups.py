# SPDX-License-Identifier: Apache-2.0
"""Neutron's security groups, over the real kernel."""

from __future__ import annotations

import asyncio
from typing import Any

from lichen.kinds.network.securitygroup import SecurityGroup
from lichen.model.kind import new_object

from .cloud import TestCloud
from .test_network_calls import NET, a_network, a_port, a_subnet, fault


async def a_group(cloud: TestCloud, name: str = "web", **more: Any) -> Any:
    return (await cloud.ok("POST", f"{NET}/security-groups", {"security_group": {"name": name, **more}}))[
        "security_group"
    ]


async def a_rule(cloud: TestCloud, group: Any, **more: Any) -> Any:
    rule = {"security_group_id": group["id"], "direction": "ingress", **more}
    return (await cloud.ok("POST", f"{NET}/security-group-rules", {"security_group_rule": rule}))["security_group_rule"]


def said(rule: Any) -> tuple[Any, ...]:
    return (rule["direction"], rule["ethertype"], rule["protocol"], rule["remote_group_id"])


async def test_a_project_has_a_default_group_with_neutrons_rules(cloud: TestCloud) -> None:
    (group,) = (await cloud.ok("GET", f"{NET}/security-groups"))["security_groups"]
    assert (group["name"], group["project_id"]) == ("default", cloud.projects["demo"])
    assert sorted(map(said, group["security_group_rules"]), key=str) == [
        ("egress", "IPv4", None, None),
        ("egress", "IPv6", None, None),
        ("ingress", "IPv4", None, group["id"]),
        ("ingress", "IPv6", None, group["id"]),
    ]
    assert await fault(cloud, "POST", "/security-groups", {"security_group": {"name": "default"}}) == (
        409, "SecurityGroupDefaultAlreadyExists", "Default security group already exists.",
    )  # fmt: skip
    assert (await fault(cloud, "DELETE", f"/security-groups/{group['id']}"))[:2] == (
        409, "SecurityGroupCannotRemoveDefault",
    )  # fmt: skip


async def test_a_new_group_lets_all_out_and_nothing_in(cloud: TestCloud) -> None:
    group = await a_group(cloud, description="pages")
    assert [said(rule)[:2] for rule in group["security_group_rules"]] == [("egress", "IPv4"), ("egress", "IPv6")]
    changed = await cloud.ok("PUT", f"{NET}/security-groups/{group['id']}", {"security_group": {"name": "www"}})
    assert changed["security_group"]["name"] == "www"
    assert (await cloud.call("DELETE", f"{NET}/security-groups/{group['id']}")).status == 204
    assert (await fault(cloud, "GET", f"/security-groups/{group['id']}"))[:2] == (404, "SecurityGroupNotFound")


async def test_rules_are_made_shown_and_removed_by_their_ids(cloud: TestCloud) -> None:
    group, other = await a_group(cloud), await a_group(cloud, "db")
    rule = await a_rule(
        cloud, group, protocol="tcp", port_range_min=80, port_range_max=81, remote_ip_prefix="10.0.0.0/8"
    )
    assert (rule["port_range_min"], rule["port_range_max"], rule["remote_ip_prefix"]) == (80, 81, "10.0.0.0/8")
    inner = await a_rule(cloud, group, protocol="udp", remote_group_id=other["id"])
    assert inner["remote_group_id"] == other["id"]
    shown = await cloud.ok("GET", f"{NET}/security-group-rules/{rule['id']}")
    assert shown["security_group_rule"] == {**rule, "revision_number": rule["revision_number"] + 1}
    listed = await cloud.ok("GET", f"{NET}/security-group-rules?security_group_id={group['id']}&direction=ingress")
    assert {r["id"] for r in listed["security_group_rules"]} == {rule["id"], inner["id"]}
    assert (await cloud.call("DELETE", f"{NET}/security-group-rules/{rule['id']}")).status == 204
    assert (await fault(cloud, "DELETE", f"/security-group-rules/{rule['id']}"))[:2] == (
        404, "SecurityGroupRuleNotFound",
    )  # fmt: skip


async def test_rules_made_at_the_same_time_are_all_there(cloud: TestCloud) -> None:
    group = await a_group(cloud)
    made = await asyncio.gather(
        *(a_rule(cloud, group, protocol="tcp", port_range_min=n, port_range_max=n) for n in range(1, 9))
    )
    shown = (await cloud.ok("GET", f"{NET}/security-groups/{group['id']}"))["security_group"]
    assert {rule["id"] for rule in made} < {rule["id"] for rule in shown["security_group_rules"]}


async def test_rules_without_sense_are_refused(cloud: TestCloud) -> None:
    group = await a_group(cloud)
    await a_rule(cloud, group, protocol="icmp")
    for rule, expected in (
        ({"protocol": "icmp"}, (409, "SecurityGroupRuleExists")),
        ({"protocol": "nonsense"}, (400, "SecurityGroupRuleInvalidProtocol")),
        ({"protocol": "tcp", "port_range_min": 90, "port_range_max": 80}, (400, "SecurityGroupInvalidPortRange")),
        ({"protocol": "icmp", "port_range_min": 256}, (400, "SecurityGroupInvalidIcmpValue")),
        (
            {"remote_ip_prefix": "10.0.0.0/8", "remote_group_id": group["id"]},
            (400, "SecurityGroupMultipleRemoteEntites"),
        ),
        ({"remote_ip_prefix": "fd00::/8"}, (400, "InvalidInput")),
        ({"remote_group_id": "no-such"}, (404, "SecurityGroupNotFound")),
        ({"direction": "sideways"}, (400, "InvalidInput")),
        ({"port_range_min": "many"}, (400, "InvalidInput")),
    ):  # fmt: skip
        body = {"security_group_rule": {"security_group_id": group["id"], "direction": "ingress", **rule}}
        assert (await fault(cloud, "POST", "/security-group-rules", body))[:2] == expected, rule


async def test_a_rule_that_is_there_already_is_named(cloud: TestCloud) -> None:
    group = await a_group(cloud)
    there = await a_rule(cloud, group, protocol="icmp")
    body = {"security_group_rule": {"security_group_id": group["id"], "direction": "ingress", "protocol": "icmp"}}
    refused = await fault(cloud, "POST", "/security-group-rules", body)
    assert refused[2] == f"Security group rule already exists. Rule id is {there['id']}."


async def test_ports_are_in_default_or_in_what_they_name(cloud: TestCloud) -> None:
    network = await a_network(cloud)
    await a_subnet(cloud, network)
    port = await a_port(cloud, network)
    (default,) = (await cloud.ok("GET", f"{NET}/security-groups?name=default"))["security_groups"]
    assert port["security_groups"] == [default["id"]]
    group = await a_group(cloud)
    changed = await cloud.ok("PUT", f"{NET}/ports/{port['id']}", {"port": {"security_groups": [group["id"]]}})
    assert changed["port"]["security_groups"] == [group["id"]]
    assert (await fault(cloud, "DELETE", f"/security-groups/{group['id']}"))[:2] == (409, "SecurityGroupInUse")
    assert (await a_port(cloud, network, security_groups=[]))["security_groups"] == []
    body = {"port": {"network_id": network["id"], "security_groups": ["none"]}}
    assert (await fault(cloud, "POST", "/ports", body))[:2] == (404, "SecurityGroupNotFound")


async def test_anothers_groups_are_not_seen_and_cannot_be_used(cloud: TestCloud) -> None:
    group = await a_group(cloud)
    await cloud.project("other")
    path = f"/security-groups/{group['id']}"
    assert (await fault(cloud, "GET", path, who="other"))[:2] == (404, "SecurityGroupNotFound")
    rule = {"security_group_rule": {"security_group_id": group["id"], "direction": "egress", "protocol": "tcp"}}
    assert (await fault(cloud, "POST", "/security-group-rules", rule, who="other"))[0] == 404


async def test_a_rule_keeps_its_id_when_the_group_is_applied_again(cloud: TestCloud) -> None:
    rules = [{"direction": "ingress", "protocol": "tcp", "portMin": 80, "portMax": 80}, {"direction": "egress"}]
    group = new_object(SecurityGroup.KIND, "applied", "demo", {"rules": rules})
    first = await cloud.state.create(SecurityGroup.KIND, group)
    again = await cloud.state.patch(
        SecurityGroup.KIND, "applied", "demo", {"spec": {"rules": [rules[1], rules[0], {"direction": "ingress"}]}}
    )
    ids = [rule["id"] for rule in first["spec"]["rules"]]
    assert [rule["id"] for rule in again["spec"]["rules"]][:2] == ids[::-1]
