# SPDX-License-Identifier: Apache-2.0
"""/v3/users/{id}/application_credentials and access_rules: ways to log in without a password, made by their user."""

from __future__ import annotations

import hashlib
import secrets

import msgspec

from lichen.apis.openstack.identity import bodies
from lichen.apis.openstack.identity.common import everything, links, listed, of_user
from lichen.apis.openstack.reply import Reply, created, no_content
from lichen.apis.openstack.request import Request
from lichen.kinds.identity.application_credential import AccessRule, ApplicationCredential
from lichen.kinds.identity.role import Role
from lichen.model.data import Object
from lichen.model.errors import AlreadyExists, BadRequest, Conflict, NotFound
from lichen.model.kind import Kind, new_object
from lichen.model.meta import name_of
from lichen.model.names import slug


async def list_all(req: Request, user_id: str) -> Reply:
    found = await of_user(req, ApplicationCredential.KIND, user_id)
    roles = await _roles(req)
    return listed(req, "application_credentials", [view(req, c, roles) for c in found])


async def show(req: Request, user_id: str, id: str) -> Reply:
    found = await _one(req, ApplicationCredential.KIND, user_id, id)
    return Reply({"application_credential": view(req, found, await _roles(req))})


async def create(req: Request, user_id: str) -> Reply:
    body = await req.json("application_credential", bodies.ApplicationCredentialBody)
    roles = await _roles(req)
    secret = body.secret or secrets.token_urlsafe(64)
    spec = {
        "displayName": body.name,
        "description": body.description or "",
        "userId": user_id,
        "projectId": body.project_id or req.caller.project_id,
        "roles": [role_id(roles, ref) for ref in body.roles],
        "unrestricted": body.unrestricted,
        "expiresAt": body.expires_at or "",
        "secret": secret,
    }
    if body.access_rules is not None:
        spec["accessRules"] = [await _rule(req, user_id, rule) for rule in body.access_rules]
    digest = hashlib.sha256(f"{user_id}\0{body.name}".encode()).hexdigest()[:12]
    try:
        made = await req.state.create(
            ApplicationCredential.KIND,
            new_object(ApplicationCredential.KIND, f"{slug(body.name, 40)}-{digest}", spec=spec),
        )
    except AlreadyExists:
        raise Conflict(f"Duplicate entry found with name {body.name}.") from None
    return created({"application_credential": {**view(req, made, roles), "secret": secret}})


async def delete(req: Request, user_id: str, id: str) -> Reply:
    found = await _one(req, ApplicationCredential.KIND, user_id, id)
    await req.state.delete(ApplicationCredential.KIND, name_of(found))
    return no_content()


async def list_rules(req: Request, user_id: str) -> Reply:
    found = await of_user(req, AccessRule.KIND, user_id)
    return listed(req, "access_rules", [_rule_view(req, user_id, rule["spec"]) for rule in found])


async def show_rule(req: Request, user_id: str, id: str) -> Reply:
    rule = await _one(req, AccessRule.KIND, user_id, id)
    return Reply({"access_rule": _rule_view(req, user_id, rule["spec"])})


async def delete_rule(req: Request, user_id: str, id: str) -> Reply:
    await req.state.delete(AccessRule.KIND, name_of(await _one(req, AccessRule.KIND, user_id, id)))
    return no_content()


def view(req: Request, credential: Object, roles: dict[str, Object]) -> Object:
    """An ApplicationCredential as keystone shows it: never its secret."""
    spec = credential["spec"]
    shown: Object = {
        "id": spec["id"],
        "name": spec.get("displayName", ""),
        "description": spec.get("description") or None,
        "project_id": spec.get("projectId", ""),
        "user_id": spec.get("userId", ""),
        "unrestricted": spec.get("unrestricted", False),
        "expires_at": (spec.get("expiresAt") or "").removesuffix("Z") or None,
        "system": None,
        "roles": [role_view(roles[id]) for id in spec.get("roles") or [] if id in roles],
        "links": links(req, f"users/{spec.get('userId', '')}/application_credentials", spec["id"]),
    }
    if spec.get("accessRules") is not None:
        shown["access_rules"] = [
            {k: r.get(k, "") for k in ("id", "service", "method", "path")} for r in spec["accessRules"]
        ]
    return shown


def role_view(role: Object) -> Object:
    spec = role["spec"]
    return {"id": spec["id"], "name": spec.get("displayName") or name_of(role), "domain_id": spec.get("domainId")}


def role_id(roles: dict[str, Object], ref: bodies.RoleRef) -> str:
    """A role's id, by id or by name. NotFound."""
    for id, role in roles.items():
        named = not ref.id and not role["spec"].get("domainId") and role["spec"].get("displayName") == ref.name
        if id == ref.id or named:
            return id
    raise NotFound(f"Could not find role: {ref.id or ref.name}.")


async def _roles(req: Request) -> dict[str, Object]:
    return {role["spec"]["id"]: role for role in await everything(req, Role.KIND)}


async def _rule(req: Request, user_id: str, body: bodies.AccessRuleBody) -> Object:
    """A rule that is spelled out, or one that the user has, by its id."""
    if body.id and body.service is msgspec.UNSET:
        spec = (await _one(req, AccessRule.KIND, user_id, body.id))["spec"]
        return {"service": spec["service"], "method": spec["method"], "path": spec["path"]}
    if msgspec.UNSET in (body.service, body.method, body.path):
        raise BadRequest("Invalid input: an access rule has a service, a method and a path.")
    return {"service": body.service, "method": body.method, "path": body.path}


async def _one(req: Request, kind: Kind, user_id: str, id: str) -> Object:
    found = next((o for o in await of_user(req, kind, user_id) if o["spec"]["id"] == id), None)
    if found is None:
        what = "access rule" if kind == AccessRule.KIND else "application credential"
        raise NotFound(f"Could not find {what}: {id}.")
    return found


def _rule_view(req: Request, user_id: str, spec: Object) -> Object:
    rule = {key: spec[key] for key in ("id", "service", "method", "path")}
    return {**rule, "links": links(req, f"users/{user_id}/access_rules", spec["id"])}
