# SPDX-License-Identifier: Apache-2.0
"""os-security-groups and os-security-group-rules: Nova's own calls, which ended with microversion 2.35, over the same
groups that Neutron shows. Nova knew only what comes in, so only that is shown and made."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from lichen.apis.openstack import objects
from lichen.apis.openstack.compute.server_views import Json
from lichen.apis.openstack.network import securitygrouprules, securitygroups
from lichen.apis.openstack.network.common import remove
from lichen.apis.openstack.network.words import in_neutrons_words
from lichen.apis.openstack.paging import page
from lichen.apis.openstack.projects import project_ids
from lichen.apis.openstack.reply import Reply, accepted
from lichen.apis.openstack.request import Request
from lichen.kinds.network.filters import DEFAULT_GROUP
from lichen.kinds.network.securitygroup import SecurityGroup
from lichen.model.data import Object
from lichen.model.errors import AlreadyExists, BadRequest, Conflict, Invalid, NotFound
from lichen.model.meta import name_of, namespace_of

LAST = (2, 35)
_PROTOCOLS = {"tcp", "udp", "icmp"}


class RuleCreate(Struct):
    """Nova's body; -1 is "any"."""

    parent_group_id: Any = None
    ip_protocol: Any = None
    from_port: Any = None
    to_port: Any = None
    cidr: str | None = None
    group_id: str | None = None


async def list_groups(req: Request) -> Reply:
    await securitygroups.ensure_default(req)
    everywhere = req.caller.is_admin and bool(req.flag("all_tenants", False))
    groups = await objects.listed(req, SecurityGroup.KIND, everywhere=everywhere)
    views = (await views_of(req, groups))[req.number("offset") :]
    shown, _ = page(req, views, lambda v: str(v["id"]))
    return Reply({"security_groups": shown})


async def show_group(req: Request, id: str) -> Reply:
    return Reply({"security_group": (await views_of(req, [await _find(req, id)]))[0]})


async def create_group(req: Request) -> Reply:
    wanted = await req.json("security_group", dict[str, Any])
    spec = _named(wanted)
    if spec["displayName"].lower() == DEFAULT_GROUP:
        raise BadRequest("Default security group already exists.")
    await securitygroups.ensure_default(req)
    made = await objects.create(req, SecurityGroup.KIND, spec["displayName"], spec)
    return Reply({"security_group": (await views_of(req, [made]))[0]})


async def update_group(req: Request, id: str) -> Reply:
    group = await _find(req, id)
    spec = _named({"description": group["spec"].get("description", ""), **await req.json("security_group", Object)})
    if name_of(group) == DEFAULT_GROUP and spec["displayName"] != DEFAULT_GROUP:
        raise BadRequest("Updating default security group not allowed.")
    changed = await req.state.patch(SecurityGroup.KIND, name_of(group), namespace_of(group), {"spec": spec})
    return Reply({"security_group": (await views_of(req, [changed]))[0]})


async def delete_group(req: Request, id: str) -> Reply:
    try:
        await remove(req, await _find(req, id))
    except Conflict as error:
        raise BadRequest(error.message) from error
    return accepted()


async def create_rule(req: Request) -> Reply:
    wanted = await req.json("security_group_rule", RuleCreate)
    group = await _find(req, str(wanted.parent_group_id))
    attributes = {"security_group_id": group["spec"]["id"], "direction": "ingress", **_ports(wanted), **_from(wanted)}
    if wanted.group_id:
        await _find(req, wanted.group_id)
    try:
        view = await securitygrouprules.create(req, attributes)
    except AlreadyExists as error:
        raise BadRequest(error.message) from error
    except (Invalid, Conflict) as error:
        raise BadRequest(in_neutrons_words(error).message) from error
    names = {g["spec"]["id"]: g for g in await objects.listed(req, SecurityGroup.KIND)}
    return Reply({"security_group_rule": _rule(view, names, view["project_id"])})


async def delete_rule(req: Request, id: str) -> Reply:
    await securitygrouprules.delete_rule(req, id)
    return accepted()


async def views_of(req: Request, groups: list[Object]) -> list[Json]:
    """Groups as Nova showed them, each with its rules for what comes in."""
    projects = await project_ids(req, groups)
    known = {g["spec"]["id"]: g for g in groups}
    named = {
        r.get("remote_group_id") for v in await securitygroups.views(req, groups) for r in v["security_group_rules"]
    }
    if named - {None} - set(known):
        known |= {g["spec"]["id"]: g for g in await objects.listed(req, SecurityGroup.KIND)}
    return [
        {
            "id": view["id"],
            "name": view["name"],
            "description": view["description"],
            "tenant_id": view["project_id"],
            "rules": [
                _rule(rule, known, projects[namespace_of(group)])
                for rule in view["security_group_rules"]
                if rule["direction"] == "ingress"
            ],
        }
        for group, view in zip(groups, await securitygroups.views(req, groups), strict=True)
    ]


def _rule(rule: Json, groups: dict[str, Object], project_id: str) -> Json:
    remote = groups.get(rule["remote_group_id"] or "")
    source: Json = {}
    if remote is not None:
        source = {"name": remote["spec"].get("displayName") or name_of(remote), "tenant_id": project_id}
    anywhere = "::/0" if rule["ethertype"] == "IPv6" else "0.0.0.0/0"
    return {
        "id": rule["id"],
        "parent_group_id": rule["security_group_id"],
        "ip_protocol": rule["protocol"],
        "from_port": -1 if rule["port_range_min"] is None else rule["port_range_min"],
        "to_port": -1 if rule["port_range_max"] is None else rule["port_range_max"],
        "ip_range": {} if rule["remote_group_id"] else {"cidr": rule["remote_ip_prefix"] or anywhere},
        "group": source,
    }


async def _find(req: Request, id: str) -> Object:
    try:
        return await objects.find(req, SecurityGroup.KIND, id)
    except NotFound:
        raise NotFound(f"Security group {id} not found.") from None


def _named(wanted: Object) -> Object:
    name, description = wanted.get("name"), wanted.get("description", "")
    if not isinstance(name, str) or not 0 < len(name.strip()) <= 255:
        raise BadRequest("Security group name must be a text of 1 to 255 characters.")
    if description is not None and (not isinstance(description, str) or len(description) > 255):
        raise BadRequest("Security group description must be a text of at most 255 characters.")
    return {"displayName": name, "description": description or ""}


def _ports(wanted: RuleCreate) -> Object:
    """Protocol and range as Neutron has them."""
    protocol = str(wanted.ip_protocol or "").lower()
    if not protocol and not wanted.group_id:
        raise BadRequest("Not enough parameters to build a valid rule.")
    if not protocol or protocol == "-1":
        return {}
    if protocol not in _PROTOCOLS and not (protocol.isdigit() and int(protocol) < 256):
        raise BadRequest(f"Invalid IP protocol {wanted.ip_protocol}.")
    low, high = _number(wanted.from_port), _number(wanted.to_port)
    given = {"protocol": protocol, "port_range_min": low, "port_range_max": high}
    if protocol in ("tcp", "udp") and (low is None) is not (high is None):
        raise BadRequest(f"Invalid port range {wanted.from_port}:{wanted.to_port}.")
    if not wanted.group_id and protocol in ("tcp", "udp") and low is None:
        raise BadRequest(f"Invalid port range {wanted.from_port}:{wanted.to_port}.")
    return {name: value for name, value in given.items() if value is not None}


def _number(value: Any) -> int | None:
    try:
        number = -1 if value is None else int(value)
    except (TypeError, ValueError):
        raise BadRequest(f"Invalid port {str(value)[:20]}: it is not a number.") from None
    if not -1 <= number <= 65535:
        raise BadRequest(f"Invalid port {number}: it is from 0 to 65535.")
    return None if number == -1 else number


def _from(wanted: RuleCreate) -> Object:
    if wanted.group_id:
        return {"remote_group_id": wanted.group_id}
    if not wanted.cidr:
        return {}
    return {"remote_ip_prefix": wanted.cidr, "ethertype": "IPv6" if ":" in wanted.cidr else "IPv4"}
