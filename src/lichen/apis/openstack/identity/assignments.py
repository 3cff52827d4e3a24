# SPDX-License-Identifier: Apache-2.0
"""Role assignments: one role of one actor on one target; and lists of them, as they are or in effect."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from lichen.apis.openstack.identity import projects, roles, users
from lichen.apis.openstack.identity.common import everything, find
from lichen.apis.openstack.reply import Reply, no_content
from lichen.apis.openstack.request import Request
from lichen.kinds.builtin import NAMESPACE
from lichen.kinds.identity.domain import Domain
from lichen.kinds.identity.group import Group
from lichen.kinds.identity.role import Role
from lichen.kinds.identity.role_assignment import RoleAssignment
from lichen.kinds.identity.user import User
from lichen.model.data import Object
from lichen.model.errors import AlreadyExists, BadRequest, NotFound
from lichen.model.kind import new_object
from lichen.model.meta import annotations_of, labels_of, name_of
from lichen.model.names import DISPLAY_NAME, DOMAIN_ID, PARENT_ID, PROJECT_ID

Spec = Object


async def grant(req: Request, **path: str) -> Reply:
    await _check_parts(req, path)
    spec = _spec(req, path)
    with contextlib.suppress(AlreadyExists):
        await req.state.create(RoleAssignment.KIND, new_object(RoleAssignment.KIND, spec.handle(), spec=spec))
    return no_content()


async def check(req: Request, **path: str) -> Reply:
    await _stored(req, path)
    return no_content()


async def revoke(req: Request, **path: str) -> Reply:
    await req.state.delete(RoleAssignment.KIND, name_of(await _stored(req, path)))
    return no_content()


async def list_granted(req: Request, **path: str) -> Reply:
    """The roles of one actor on one target."""
    await _check_parts(req, path)
    wanted = _spec(req, {**path, "role_id": ""})
    by_id = {role["spec"]["id"]: role for role in await everything(req, Role.KIND)}
    held = [s for s in await _specs(req) if _same_place(s, wanted) and s["roleId"] in by_id]
    views = [roles.view(req, by_id[s["roleId"]]) for s in held]
    return Reply({"roles": views, "links": {"self": req.this_url(), "previous": None, "next": None}})


def _spec(req: Request, path: dict[str, str]) -> RoleAssignment.Spec:
    return RoleAssignment.Spec(
        role_id=path["role_id"],
        user_id=path.get("user_id", ""),
        group_id=path.get("group_id", ""),
        project_id=path.get("project_id", ""),
        domain_id=path.get("domain_id", ""),
        system="/system/" in req.path,
        inherited=req.path.endswith("/inherited_to_projects"),
    )


async def _stored(req: Request, path: dict[str, str]) -> Object:
    await _check_parts(req, path)
    try:
        return await req.state.get(RoleAssignment.KIND, _spec(req, path).handle())
    except NotFound:
        raise NotFound(f"Could not find role assignment with role: {path['role_id']}.") from None


async def _check_parts(req: Request, path: dict[str, str]) -> None:
    """NotFound, naming what is not there."""
    if "role_id" in path:
        await find(req, Role.KIND, path["role_id"])
    if "user_id" in path:
        await users.find(req, path["user_id"])
    if "group_id" in path:
        await find(req, Group.KIND, path["group_id"])
    if "project_id" in path:
        await projects.find(req, path["project_id"])
    if "domain_id" in path:
        await find(req, Domain.KIND, path["domain_id"])


async def _specs(req: Request) -> list[Spec]:
    return [obj["spec"] for obj in await everything(req, RoleAssignment.KIND)]


def _same_place(spec: Spec, wanted: RoleAssignment.Spec) -> bool:
    return (
        spec.get("userId", "") == wanted.user_id
        and spec.get("groupId", "") == wanted.group_id
        and spec.get("projectId", "") == wanted.project_id
        and spec.get("domainId", "") == wanted.domain_id
        and bool(spec.get("system")) is wanted.system
        and bool(spec.get("inherited")) is wanted.inherited
    )


# --- role_assignments ---


@dataclass
class World:
    """All that a list of assignments speaks of, by id."""

    roles: dict[str, Object]
    users: dict[str, Object]
    groups: dict[str, Object]
    projects: dict[str, Object]
    domains: dict[str, Object]

    @classmethod
    async def read(cls, req: Request) -> World:
        found: list[dict[str, Object]] = [
            {obj["spec"]["id"]: obj for obj in await everything(req, kind)}
            for kind in (Role.KIND, User.KIND, Group.KIND, Domain.KIND)
        ]
        held_roles, held_users, held_groups, held_domains = found
        namespaces = await req.state.list(NAMESPACE, None, labels=PROJECT_ID)
        by_id = {labels_of(p)[PROJECT_ID]: p for p in namespaces.items}
        return cls(held_roles, held_users, held_groups, by_id, held_domains)

    def above(self, project_id: str) -> list[str]:
        """Ids of what a project lies in: projects, and its domain."""
        labels = labels_of(self.projects[project_id])
        parent = labels.get(PARENT_ID, "")
        if parent in self.projects:
            return [parent, *self.above(parent)]
        return [labels.get(DOMAIN_ID) or "default"]


async def list_all(req: Request) -> Reply:
    """GET /v3/role_assignments with its filters; `effective` resolves groups, inheritance and implied roles."""
    if req.flag("effective") and "group.id" in req.query:
        raise BadRequest("Combining effective and group filter will always result in an empty list.")
    specs, world = await _specs(req), await World.read(req)
    if req.flag("effective"):
        specs = list(_effective(specs, world))
    names = bool(req.flag("include_names"))
    asked = [spec for spec in specs if _is_asked_for(req, spec) and spec["roleId"] in world.roles]
    views = [_view(req, spec, world, names) for spec in asked]
    links = {"self": req.this_url(), "previous": None, "next": None}
    return Reply({"role_assignments": views, "links": links})


def _is_asked_for(req: Request, spec: Spec) -> bool:
    wanted = {
        "user.id": "userId",
        "group.id": "groupId",
        "role.id": "roleId",
        "scope.project.id": "projectId",
        "scope.domain.id": "domainId",
    }
    if any(q in req.query and spec.get(field, "") != req.arg(q) for q, field in wanted.items()):
        return False
    if "scope.system" in req.query and not spec.get("system"):
        return False
    return not ("scope.OS-INHERIT:inherited_to" in req.query and not spec.get("inherited"))


def _effective(specs: list[Spec], world: World) -> Iterator[Spec]:
    seen: set[tuple[Any, ...]] = set()
    for spec in specs:
        for actor in _actors(spec, world):
            for target in _targets(spec, world):
                for role_id in _implied(spec["roleId"], world):
                    if world.roles[role_id]["spec"].get("domainId"):
                        continue  # a domain's own role stands for what it implies
                    found = {"roleId": role_id, **actor, **target}
                    key = tuple(sorted(found.items()))
                    if key not in seen:
                        seen.add(key)
                        yield found


def _actors(spec: Spec, world: World) -> list[Spec]:
    if spec.get("userId"):
        return [{"userId": spec["userId"]}]
    group = world.groups.get(spec.get("groupId", ""))
    return [{"userId": id} for id in (group or {"spec": {}})["spec"].get("users") or []]


def _targets(spec: Spec, world: World) -> list[Spec]:
    if spec.get("inherited"):
        above = spec.get("projectId") or spec.get("domainId")
        return [{"projectId": id} for id in world.projects if above in world.above(id)]
    return [{key: spec[key] for key in ("projectId", "domainId", "system") if spec.get(key)}]


def _implied(role_id: str, world: World) -> list[str]:
    found: list[str] = []
    waiting = [role_id]
    while waiting:
        id = waiting.pop()
        if id in world.roles and id not in found:
            found.append(id)
            waiting.extend(world.roles[id]["spec"].get("implies") or [])
    return found


def _view(req: Request, spec: Spec, world: World, names: bool) -> Object:
    view: Object = {"role": _shown(spec["roleId"], world.roles, names, world)}
    if spec.get("userId"):
        view["user"] = _shown(spec["userId"], world.users, names, world, "domainId")
    else:
        view["group"] = _shown(spec.get("groupId", ""), world.groups, names, world, "domainId")
    if spec.get("projectId"):
        view["scope"] = {"project": _project(spec["projectId"], names, world)}
    elif spec.get("domainId"):
        view["scope"] = {"domain": _shown(spec["domainId"], world.domains, names, world)}
    else:
        view["scope"] = {"system": {"all": True}}
    if spec.get("inherited"):
        view["scope"]["OS-INHERIT:inherited_to"] = "projects"
    view["links"] = {"assignment": req.url(_path(spec))}
    return view


def _path(spec: Spec) -> str:
    actor = f"users/{spec['userId']}" if spec.get("userId") else f"groups/{spec.get('groupId', '')}"
    if spec.get("projectId"):
        return f"/v3/projects/{spec['projectId']}/{actor}/roles/{spec['roleId']}"
    if spec.get("domainId"):
        return f"/v3/domains/{spec['domainId']}/{actor}/roles/{spec['roleId']}"
    return f"/v3/system/{actor}/roles/{spec['roleId']}"


def _shown(id: str, things: dict[str, Object], names: bool, world: World, domain: str = "") -> Object:
    if not names or id not in things:
        return {"id": id}
    spec = things[id]["spec"]
    shown: Object = {"id": id, "name": spec.get("displayName") or name_of(things[id])}
    if domain:
        shown["domain"] = _shown(spec.get(domain) or "default", world.domains, True, world)
    return shown


def _project(id: str, names: bool, world: World) -> Object:
    if not names or id not in world.projects:
        return {"id": id}
    project = world.projects[id]
    domain = _shown(labels_of(project).get(DOMAIN_ID) or "default", world.domains, True, world)
    return {"id": id, "name": annotations_of(project).get(DISPLAY_NAME) or name_of(project), "domain": domain}
