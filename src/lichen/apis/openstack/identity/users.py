# SPDX-License-Identifier: Apache-2.0
"""/v3/users, their passwords, and what belongs to them."""

from __future__ import annotations

import msgspec

from lichen.apis.openstack.body import pick
from lichen.apis.openstack.identity import bodies, projects, tokens
from lichen.apis.openstack.identity.common import changes, create_unique, everything, group_view, listed, named
from lichen.apis.openstack.identity.common import find as find_any
from lichen.apis.openstack.reply import Reply, created, no_content
from lichen.apis.openstack.request import Request
from lichen.kinds.identity.group import Group
from lichen.kinds.identity.token import PasswordChange
from lichen.kinds.identity.user import User
from lichen.model.data import Object
from lichen.model.errors import ApiError, BadRequest
from lichen.model.meta import name_of

FIELDS = {
    "name": "displayName",
    "description": "description",
    "email": "email",
    "enabled": "enabled",
    "default_project_id": "defaultProjectId",
    "options": "options",
}


def view(req: Request, user: Object) -> Object:
    spec = user["spec"]
    optional = {theirs: spec[ours] for theirs, ours in FIELDS.items() if ours in spec and ours != "displayName"}
    return {
        **(spec.get("extra") or {}),
        **{key: value for key, value in optional.items() if value != ""},
        **named(req, "users", user),
        "domain_id": spec.get("domainId") or "default",
        "enabled": spec.get("enabled", True),
        "options": spec.get("options") or {},
        "password_expires_at": (spec.get("passwordExpiresAt") or "").removesuffix("Z") or None,
    }


async def find(req: Request, user_id: str) -> Object:
    """A user by id: the caller itself, or for admin any. NotFound."""
    if user_id and user_id == req.caller.user_id:
        return await req.state.get(User.KIND, req.caller.name)
    return await find_any(req, User.KIND, user_id)


async def list_all(req: Request) -> Reply:
    return listed(req, "users", [view(req, u) for u in await everything(req, User.KIND)])


async def show(req: Request, user_id: str) -> Reply:
    return Reply({"user": view(req, await find(req, user_id))})


async def create(req: Request) -> Reply:
    document = await req.document()
    body = pick(document, "user", bodies.UserBody)
    if not body.name:
        raise BadRequest("Invalid input: 'name' is a required property.")
    domain = body.domain_id or req.caller.scope_domain_id or req.caller.domain_id or "default"
    await projects.check_domain(req, domain)
    spec = {**_spec(body), **_extra(document["user"]), "domainId": domain}
    spec["options"] = {name: value for name, value in spec.get("options", {}).items() if value is not None}
    user = await create_unique(req, User.KIND, domain, body.name, spec)
    if body.password:
        try:
            await _set_password(req, user["spec"]["id"], body.password)
        except ApiError:
            await req.state.delete(User.KIND, name_of(user))  # a refused password leaves no user behind
            raise
        user = await req.state.get(User.KIND, name_of(user))
    return created({"user": view(req, user)})


async def update(req: Request, user_id: str) -> Reply:
    document = await req.document()
    body = pick(document, "user", bodies.UserBody)
    user = await find(req, user_id)
    if body.domain_id and body.domain_id != user["spec"].get("domainId"):
        raise BadRequest("A user's domain cannot be changed.")
    spec = {**_spec(body), **_extra(document["user"])}
    if body.password:
        await _set_password(req, user_id, body.password)
    if spec or body.password:
        user = await req.state.patch(User.KIND, name_of(user), "", {"spec": spec})
    return Reply({"user": view(req, user)})


async def delete(req: Request, user_id: str) -> Reply:
    await req.state.delete(User.KIND, name_of(await find(req, user_id)))
    return no_content()


async def change_password(req: Request, user_id: str) -> Reply:
    """Without a token, too: the password so far is the proof, also when it has expired."""
    body = await req.json("user", bodies.PasswordBody)
    await _set_password(req, user_id, body.password, body.original_password)
    return no_content()


async def list_groups(req: Request, user_id: str) -> Reply:
    await find(req, user_id)
    mine = [g for g in await everything(req, Group.KIND) if user_id in (g["spec"].get("users") or [])]
    return listed(req, "groups", [group_view(req, g) for g in mine])


async def list_projects(req: Request, user_id: str) -> Reply:
    found = await tokens.reachable_projects(req, user_id)
    return listed(req, "projects", [projects.view(req, p) for p in found])


async def _set_password(req: Request, user_id: str, password: str, original: str = "") -> None:
    spec = {"userId": user_id, "password": password, **({"originalPassword": original} if original else {})}
    kind = PasswordChange.KIND
    await req.state.create(kind, {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": {}, "spec": spec})


def _extra(user: Object) -> Object:
    """Attributes of the writer's own, which are kept as they are; those that are no text are refused."""
    known = bodies.UserBody.__struct_fields__
    extra = {key: value for key, value in user.items() if key not in (*known, "id", "links", "password_expires_at")}
    wrong = [key for key, value in extra.items() if not isinstance(value, str | None) or len(key) > 64]
    if wrong:
        raise BadRequest(f"Invalid input: attribute {wrong[0][:64]} is not a text.")
    return {"extra": extra} if extra else {}


def _spec(body: bodies.UserBody) -> Object:
    spec: Object = changes(msgspec.to_builtins(body), FIELDS)["spec"]
    if spec.get("options"):
        spec["options"] = {name: _switch(name, value) for name, value in spec["options"].items()}
    return {key: "" if value is None else value for key, value in spec.items()}


def _switch(name: str, value: object) -> bool | None:
    """A user option: on, off, or (null) taken away. Of multi-factor authentication the kernel says what it thinks."""
    if isinstance(value, bool | None) or name.startswith("multi_factor_auth"):
        return value if isinstance(value, bool | None) else True
    raise BadRequest(f"Invalid input: option {name[:64]} is true, false or null.")
