# SPDX-License-Identifier: Apache-2.0
"""/v3/groups and their members."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from lichen.apis.openstack.identity import bodies, projects, users
from lichen.apis.openstack.identity.common import changes, create_unique, everything, find, group_view, listed
from lichen.apis.openstack.reply import Reply, created, no_content
from lichen.apis.openstack.request import Request
from lichen.kinds.identity.group import Group
from lichen.kinds.identity.user import User
from lichen.model.data import Object
from lichen.model.errors import BadRequest, Conflict, NotFound
from lichen.model.meta import name_of

FIELDS = {"name": "displayName", "description": "description"}
ATTEMPTS = 20


async def list_all(req: Request) -> Reply:
    return listed(req, "groups", [group_view(req, g) for g in await everything(req, Group.KIND)])


async def show(req: Request, group_id: str) -> Reply:
    return Reply({"group": group_view(req, await find(req, Group.KIND, group_id))})


async def create(req: Request) -> Reply:
    body = await req.json("group", bodies.GroupBody)
    if not body.name:
        raise BadRequest("Invalid input: 'name' is a required property.")
    domain = body.domain_id or req.caller.scope_domain_id or req.caller.domain_id or "default"
    await projects.check_domain(req, domain)
    spec = {**_spec(body), "domainId": domain}
    return created({"group": group_view(req, await create_unique(req, Group.KIND, domain, body.name, spec))})


async def update(req: Request, group_id: str) -> Reply:
    body = await req.json("group", bodies.GroupBody)
    group = await find(req, Group.KIND, group_id)
    patched = await req.state.patch(Group.KIND, name_of(group), "", {"spec": _spec(body)})
    return Reply({"group": group_view(req, patched)})


async def delete(req: Request, group_id: str) -> Reply:
    await req.state.delete(Group.KIND, name_of(await find(req, Group.KIND, group_id)))
    return no_content()


async def list_users(req: Request, group_id: str) -> Reply:
    members = set((await find(req, Group.KIND, group_id))["spec"].get("users") or [])
    found = [u for u in await everything(req, User.KIND) if u["spec"]["id"] in members]
    return listed(req, "users", [users.view(req, u) for u in found])


async def add_user(req: Request, group_id: str, user_id: str) -> Reply:
    await users.find(req, user_id)
    await _change_members(req, group_id, lambda members: sorted({*members, user_id}))
    return no_content()


async def check_user(req: Request, group_id: str, user_id: str) -> Reply:
    await users.find(req, user_id)
    if user_id not in ((await find(req, Group.KIND, group_id))["spec"].get("users") or []):
        raise NotFound(f"User {user_id} is not in group {group_id}.")
    return no_content()


async def remove_user(req: Request, group_id: str, user_id: str) -> Reply:
    await check_user(req, group_id, user_id)
    await _change_members(req, group_id, lambda members: [m for m in members if m != user_id])
    return no_content()


async def _change_members(req: Request, group_id: str, change: Callable[[list[str]], list[str]]) -> None:
    """Read, change, write; again if another wrote in between."""
    for attempt in range(ATTEMPTS):
        group = await find(req, Group.KIND, group_id)
        read = {"resourceVersion": group["metadata"]["resourceVersion"]}
        patch = {"metadata": read, "spec": {"users": change(group["spec"].get("users") or [])}}
        try:
            await req.state.patch(Group.KIND, name_of(group), "", patch)
        except Conflict:
            if attempt == ATTEMPTS - 1:
                raise
        else:
            return


def _spec(body: bodies.GroupBody) -> Object:
    spec: Object = changes(msgspec.to_builtins(body), FIELDS)["spec"]
    return {key: "" if value is None else value for key, value in spec.items()}
