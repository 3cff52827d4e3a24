# SPDX-License-Identifier: Apache-2.0
"""os-server-groups: servers that are to share a host, or are not to."""

from __future__ import annotations

from typing import Any

from lichen.apis.openstack import objects
from lichen.apis.openstack.compute.server_views import Json
from lichen.apis.openstack.paging import page
from lichen.apis.openstack.projects import project_ids
from lichen.apis.openstack.reply import Reply, no_content
from lichen.apis.openstack.request import Request
from lichen.kinds.compute.server import Server
from lichen.kinds.compute.servergroup import POLICIES, ServerGroup
from lichen.model.data import Object
from lichen.model.errors import BadRequest, NotFound
from lichen.model.meta import name_of, namespace_of


async def list_groups(req: Request) -> Reply:
    everywhere = bool(req.flag("all_projects", False)) and req.caller.is_admin
    groups = await objects.listed(req, ServerGroup.KIND, everywhere=everywhere)
    limited = page(req, groups, lambda g: str(g["spec"]["id"]))[0][req.number("offset") :]
    return Reply({"server_groups": [await _view(req, group) for group in limited]})


async def show_group(req: Request, id: str) -> Reply:
    return Reply({"server_group": await _view(req, await _find(req, id))})


async def create_group(req: Request) -> Reply:
    wanted = await req.json("server_group", dict[str, Any])
    name, policy = wanted.get("name"), wanted.get("policy")
    if not req.since(2, 64):
        policies = wanted.get("policies")
        policy = policies[0] if isinstance(policies, list) and len(policies) == 1 else None
    elif wanted.get("rules"):
        raise BadRequest("Rules of server groups are not supported by this cloud.")
    if not isinstance(name, str) or not 0 < len(name.strip()) <= 255:
        raise BadRequest("Invalid input for field/attribute name: 1 to 255 characters.")
    if policy not in POLICIES:
        raise BadRequest(f"Invalid input for field/attribute policy: it is one of {', '.join(POLICIES)}.")
    spec = {"displayName": name.strip(), "policy": policy, "userId": req.caller.user_id}
    return Reply({"server_group": await _view(req, await objects.create(req, ServerGroup.KIND, name.strip(), spec))})


async def delete_group(req: Request, id: str) -> Reply:
    group = await _find(req, id)
    await req.state.delete(ServerGroup.KIND, name_of(group), namespace_of(group))
    return no_content()


async def _find(req: Request, id: str) -> Object:
    try:
        return await objects.find(req, ServerGroup.KIND, id)
    except NotFound:
        raise NotFound(f"Instance group {id} could not be found.") from None


async def _view(req: Request, group: Object) -> Json:
    spec = group["spec"]
    servers = (await req.state.list(Server.KIND, namespace_of(group))).items
    view: Json = {
        "id": spec["id"],
        "name": spec.get("displayName") or name_of(group),
        "members": [s["spec"]["id"] for s in servers if s["spec"].get("groupId") == spec["id"]],
    }
    if req.since(2, 13):
        project = (await project_ids(req, [group]))[namespace_of(group)]
        view |= {"project_id": project, "user_id": spec.get("userId", "")}
    if req.since(2, 64):
        return {**view, "policy": spec["policy"], "rules": {}}
    return {**view, "policies": [spec["policy"]], "metadata": {}}
