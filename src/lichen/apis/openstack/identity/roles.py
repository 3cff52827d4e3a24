# SPDX-License-Identifier: Apache-2.0
"""/v3/roles, and which roles come with which."""

from __future__ import annotations

import msgspec

from lichen.apis.openstack.identity import bodies
from lichen.apis.openstack.identity.common import changes, create_unique, everything, find, listed, named
from lichen.apis.openstack.reply import Reply, created, no_content
from lichen.apis.openstack.request import Request
from lichen.kinds.identity.role import Role
from lichen.model.data import Object
from lichen.model.errors import BadRequest, Forbidden, NotFound
from lichen.model.meta import name_of

FIELDS = {"name": "displayName", "description": "description", "options": "options"}


def view(req: Request, role: Object) -> Object:
    spec = role["spec"]
    return {
        **named(req, "roles", role),
        "description": spec.get("description") or None,
        "domain_id": spec.get("domainId"),
        "options": spec.get("options") or {},
    }


async def list_all(req: Request) -> Reply:
    found = [r for r in await everything(req, Role.KIND) if "domain_id" in req.query or not r["spec"].get("domainId")]
    return listed(req, "roles", [view(req, r) for r in found])


async def show(req: Request, role_id: str) -> Reply:
    return Reply({"role": view(req, await find(req, Role.KIND, role_id))})


async def create(req: Request) -> Reply:
    body = await req.json("role", bodies.RoleBody)
    if not body.name:
        raise BadRequest("Invalid input: 'name' is a required property.")
    spec = _spec(body)
    if body.domain_id:
        spec["domainId"] = body.domain_id
    role = await create_unique(req, Role.KIND, body.domain_id or "default", body.name, spec)
    return created({"role": view(req, role)})


async def update(req: Request, role_id: str) -> Reply:
    body = await req.json("role", bodies.RoleBody)
    role = await find(req, Role.KIND, role_id)
    if body.options is msgspec.UNSET:
        _check_mutable(role)
    return Reply({"role": view(req, await req.state.patch(Role.KIND, name_of(role), "", {"spec": _spec(body)}))})


async def delete(req: Request, role_id: str) -> Reply:
    role = await find(req, Role.KIND, role_id)
    _check_mutable(role)
    await req.state.delete(Role.KIND, name_of(role))
    return no_content()


def _check_mutable(role: Object) -> None:
    if (role["spec"].get("options") or {}).get("immutable"):
        raise Forbidden(f"Cannot modify immutable role {role['spec']['id']}: its option immutable is true.")


def _spec(body: bodies.RoleBody) -> Object:
    spec: Object = changes(msgspec.to_builtins(body), FIELDS)["spec"]
    return {key: "" if value is None else value for key, value in spec.items()}


# --- implied roles ---


async def list_implied(req: Request, role_id: str) -> Reply:
    prior = await find(req, Role.KIND, role_id)
    by_id = await _by_id(req)
    return Reply({"role_inference": _inference(req, prior, by_id), "links": {"self": req.this_url()}})


async def show_implied(req: Request, role_id: str, implied_id: str) -> Reply:
    prior, implied = await find(req, Role.KIND, role_id), await find(req, Role.KIND, implied_id)
    if implied_id not in (prior["spec"].get("implies") or []):
        raise NotFound(f"{role_id} does not imply {implied_id}.")
    pair = {"prior_role": view(req, prior), "implies": view(req, implied)}
    return Reply({"role_inference": pair, "links": {"self": req.this_url()}})


async def check_implied(req: Request, role_id: str, implied_id: str) -> Reply:
    await show_implied(req, role_id, implied_id)
    return no_content()


async def add_implied(req: Request, role_id: str, implied_id: str) -> Reply:
    prior, implied = await find(req, Role.KIND, role_id), await find(req, Role.KIND, implied_id)
    if implied["spec"].get("displayName") == "admin":
        raise Forbidden("The role admin is implied by no other.")
    if implied["spec"].get("domainId") and not prior["spec"].get("domainId"):
        raise Forbidden("A role of the whole cloud does not imply a domain's own role.")
    implies = sorted({*(prior["spec"].get("implies") or []), implied_id})
    await req.state.patch(Role.KIND, name_of(prior), "", {"spec": {"implies": implies}})
    reply = await show_implied(req, role_id, implied_id)
    reply.status = 201
    return reply


async def remove_implied(req: Request, role_id: str, implied_id: str) -> Reply:
    await show_implied(req, role_id, implied_id)
    prior = await find(req, Role.KIND, role_id)
    implies = [id for id in prior["spec"]["implies"] if id != implied_id]
    await req.state.patch(Role.KIND, name_of(prior), "", {"spec": {"implies": implies}})
    return no_content()


async def list_inferences(req: Request) -> Reply:
    by_id = await _by_id(req)
    found = [_inference(req, role, by_id) for role in by_id.values() if role["spec"].get("implies")]
    return Reply({"role_inferences": found, "links": {"self": req.this_url()}})


async def _by_id(req: Request) -> dict[str, Object]:
    return {role["spec"]["id"]: role for role in await everything(req, Role.KIND)}


def _inference(req: Request, prior: Object, by_id: dict[str, Object]) -> Object:
    implied = [by_id[id] for id in prior["spec"].get("implies") or [] if id in by_id]
    return {"prior_role": view(req, prior), "implies": [view(req, role) for role in implied]}
