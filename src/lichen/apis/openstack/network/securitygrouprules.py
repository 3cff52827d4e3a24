# SPDX-License-Identifier: Apache-2.0
"""Calls on the rules of security groups. A rule lives in its group: making and removing one changes the group."""

from __future__ import annotations

import uuid
from collections.abc import Callable

from lichen.apis.openstack import objects
from lichen.apis.openstack.network.attributes import bodies, invalid, to_spec, typed
from lichen.apis.openstack.network.common import see, visible
from lichen.apis.openstack.network.filters import Json, listing, only_fields
from lichen.apis.openstack.network.securitygroups import by_id, ensure_default
from lichen.apis.openstack.network.views import security_group_rule_view
from lichen.apis.openstack.projects import project_ids
from lichen.apis.openstack.reply import Reply, created, no_content
from lichen.apis.openstack.request import Request
from lichen.kinds.network.securitygroup import SecurityGroup, SecurityGroupRule
from lichen.model.data import Object
from lichen.model.errors import BadRequest, NotFound
from lichen.model.meta import name_of, namespace_of

ATTRIBUTES = frozenset(
    {
        "id", "security_group_id", "direction", "ethertype", "protocol", "port_range_min", "port_range_max",
        "remote_ip_prefix", "remote_group_id", "description", "tenant_id", "project_id", "revision_number",
        "created_at", "updated_at", "remote_address_group_id", "belongs_to_default_sg",
    }
)  # fmt: skip
_APART = ("security_group_id", "remote_address_group_id", "tenant_id", "project_id", "direction", "ethertype")


async def list_rules(req: Request) -> Reply:
    await ensure_default(req)
    groups = await visible(req, SecurityGroup.KIND)
    return listing(req, "security_group_rules", await _views(req, groups), ATTRIBUTES)


async def show_rule(req: Request, id: str) -> Reply:
    group, _ = await _find(req, id)
    view = next(view for view in await _views(req, [group]) if view["id"] == id)
    return Reply({"security_group_rule": only_fields(req, view)})


async def create_rule(req: Request) -> Reply:
    wanted, bulk = await bodies(req, "security_group_rule", "security_group_rules")
    shown = [await create(req, attributes) for attributes in wanted]
    return created({"security_group_rules": shown} if bulk else {"security_group_rule": shown[0]})


async def delete_rule(req: Request, id: str) -> Reply:
    group, _ = await _find(req, id)
    await _change(req, group, lambda rules: [rule for rule in rules if rule["id"] != id])
    return no_content()


async def create(req: Request, attributes: Object) -> Json:
    """One rule from Neutron's attributes, as it is shown then. BadRequest, NotFound, Conflict, Invalid."""
    group_id = attributes.get("security_group_id")
    if not isinstance(group_id, str) or not group_id:
        raise typed(
            BadRequest("Failed to parse request. Required attribute 'security_group_id' not specified"),
            "HTTPBadRequest",
        )
    group = await see(req, SecurityGroup.KIND, group_id)
    rule = await _rule(req, attributes, namespace_of(group))
    changed = await _change(req, group, lambda rules: [*rules, rule])
    return next(view for view in await _views(req, [changed]) if view["id"] == rule["id"])


async def _rule(req: Request, attributes: Object, namespace: str) -> Object:
    """A rule as the group has it."""
    if attributes.get("remote_address_group_id"):
        raise invalid("remote_address_group_id is not supported")
    direction, version = attributes.get("direction"), attributes.get("ethertype") or "IPv4"
    if direction not in ("ingress", "egress"):
        raise invalid(f"'{direction}' is not in ['ingress', 'egress'] for direction")
    if str(version).lower() not in ("ipv4", "ipv6"):
        raise invalid(f"'{version}' is not in ['IPv4', 'IPv6'] for ethertype")
    given = {name: value for name, value in attributes.items() if value is not None}
    if isinstance(given.get("protocol"), int):
        given["protocol"] = str(given["protocol"])
    if str(given.get("protocol", "")).lower() in ("any", "0"):
        del given["protocol"]
    _check_ports(given)
    rule = to_spec(given, SecurityGroupRule, apart=_APART)
    remote = rule.pop("remoteGroupId", "")
    if remote:
        rule["remoteGroup"] = name_of(await by_id(req, remote, namespace))
    rule["etherType"] = "IPv6" if str(version).lower() == "ipv6" else "IPv4"
    if "protocol" in rule:
        rule["protocol"] = rule["protocol"].lower()
    return {**rule, "id": str(uuid.uuid4()), "direction": direction}


def _check_ports(given: Object) -> None:
    low, high = str(given.get("port_range_min", "")), str(given.get("port_range_max", ""))
    if low.isdigit() and high.isdigit() and int(low) > int(high) and "icmp" not in str(given.get("protocol")):
        why = "For TCP/UDP protocols, port_range_min must be <= port_range_max"
        raise typed(BadRequest(why), "SecurityGroupInvalidPortRange")
    for name in ("port_range_min", "port_range_max"):
        text = str(given.get(name, 0))
        if text.removeprefix("-").isdigit() and not 0 <= int(text) <= 65535:
            raise typed(BadRequest(f"Invalid value for port {text}"), "SecurityGroupInvalidPortValue")


async def _change(req: Request, group: Object, change: Callable[[list[Object]], list[Object]]) -> Object:
    """Write a group's rules."""
    return await objects.change(
        req, SecurityGroup.KIND, group, lambda spec: {**spec, "rules": change(list(spec.get("rules") or []))}
    )


async def _find(req: Request, id: str) -> tuple[Object, Object]:
    """A rule that the caller may see, and its group. NotFound."""
    for group in await visible(req, SecurityGroup.KIND):
        for rule in group["spec"].get("rules") or ():
            if rule["id"] == id:
                return group, rule
    raise NotFound(f"Security group rule {id} does not exist", kind="SecurityGroupRule", name=id)


async def _views(req: Request, groups: list[Object]) -> list[Json]:
    projects = await project_ids(req, groups)
    return [
        security_group_rule_view(rule, group, projects[namespace_of(group)])
        for group in groups
        for rule in group["spec"].get("rules") or ()
    ]
