# SPDX-License-Identifier: Apache-2.0
"""/v3/OS-TRUST/trusts: a user lets another act with some of its roles in one project."""

from __future__ import annotations

import secrets

from lichen.apis.openstack.identity import bodies, roles
from lichen.apis.openstack.identity.application_credentials import role_id
from lichen.apis.openstack.identity.common import everything, links, listed
from lichen.apis.openstack.reply import Reply, created, no_content
from lichen.apis.openstack.request import Request
from lichen.kinds.identity.role import Role
from lichen.kinds.identity.trust import Trust
from lichen.model.data import Object
from lichen.model.errors import BadRequest, Forbidden, NotFound
from lichen.model.kind import new_object
from lichen.model.meta import name_of


async def list_all(req: Request) -> Reply:
    found = await _visible(req)
    for query, field in (("trustor_user_id", "trustorUserId"), ("trustee_user_id", "trusteeUserId")):
        found = [t for t in found if req.arg(query, t["spec"][field]) == t["spec"][field]]
    return listed(req, "trusts", [_view(req, t) for t in found])


async def show(req: Request, id: str) -> Reply:
    trust = await _one(req, id)
    return Reply({"trust": {**_view(req, trust), "roles": await _role_views(req, trust)}})


async def create(req: Request) -> Reply:
    body = await req.json("trust", bodies.TrustBody)
    if body.remaining_uses is not None or body.allow_redelegation or body.redelegation_count:
        raise BadRequest("Trusts that are counted or handed on further are not supported.")
    if body.trustor_user_id and body.trustor_user_id != req.caller.user_id:
        raise Forbidden("You are not authorized to perform the requested action: trust in another's name.")
    held = {role["spec"]["id"]: role for role in await everything(req, Role.KIND)}
    id = secrets.token_hex(16)
    spec = {
        "id": id,
        "trustorUserId": req.caller.user_id,
        "trusteeUserId": body.trustee_user_id,
        "projectId": body.project_id or "",
        "roles": [role_id(held, ref) for ref in body.roles],
        "impersonation": body.impersonation,
        "expiresAt": body.expires_at or "",
    }
    trust = await req.state.create(Trust.KIND, new_object(Trust.KIND, id, spec=spec))
    return created({"trust": {**_view(req, trust), "roles": await _role_views(req, trust)}})


async def delete(req: Request, id: str) -> Reply:
    await req.state.delete(Trust.KIND, name_of(await _one(req, id)))
    return no_content()


async def list_roles(req: Request, id: str) -> Reply:
    views = await _role_views(req, await _one(req, id))
    return Reply({"roles": views, "links": {"self": req.this_url(), "previous": None, "next": None}})


async def show_role(req: Request, id: str, role_id: str) -> Reply:
    for view in await _role_views(req, await _one(req, id)):
        if view["id"] == role_id:
            return Reply({"role": view})
    raise NotFound(f"Could not find role: {role_id}.")


async def _visible(req: Request) -> list[Object]:
    """All for the cloud's admin; else where one trusts or is trusted."""
    if req.caller.is_admin:
        return await everything(req, Trust.KIND)
    me = req.caller.user_id
    found = [
        trust
        for field in ("trustorUserId", "trusteeUserId")
        for trust in (await req.state.list(Trust.KIND, None, fields=f"spec.{field}={me}")).items
    ]
    return list({name_of(trust): trust for trust in found}.values())


async def _one(req: Request, id: str) -> Object:
    found = next((t for t in await _visible(req) if t["spec"]["id"] == id), None)
    if found is None:
        raise NotFound(f"Could not find trust: {id}.")
    return found


async def _role_views(req: Request, trust: Object) -> list[Object]:
    held = {role["spec"]["id"]: role for role in await everything(req, Role.KIND)}
    return [roles.view(req, held[id]) for id in trust["spec"].get("roles") or [] if id in held]


def _view(req: Request, trust: Object) -> Object:
    spec = trust["spec"]
    return {
        "id": spec["id"],
        "trustor_user_id": spec["trustorUserId"],
        "trustee_user_id": spec["trusteeUserId"],
        "project_id": spec.get("projectId") or None,
        "impersonation": spec.get("impersonation", False),
        "expires_at": spec.get("expiresAt") or None,
        "deleted_at": None,
        "remaining_uses": None,
        "redelegation_count": 0,
        "redelegated_trust_id": None,
        "roles_links": {"self": req.url(f"/v3/OS-TRUST/trusts/{spec['id']}/roles"), "previous": None, "next": None},
        "links": links(req, "OS-TRUST/trusts", spec["id"]),
    }
