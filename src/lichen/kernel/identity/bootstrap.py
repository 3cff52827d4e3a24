# SPDX-License-Identifier: Apache-2.0
"""What identity starts with: the domain, the roles and what they imply, the admin and its project, the ClusterRoles.

Safe to repeat: what is there stays as it is, except that built-in ClusterRoles gain the rules of a newer release.
"""

from __future__ import annotations

import secrets
from typing import Any

from lichen.kernel.identity.builtin_roles import cluster_role_bindings, cluster_roles, without_withdrawn
from lichen.kernel.identity.credentials import Credentials
from lichen.kernel.identity.directory import Directory, project_id
from lichen.kinds import builtin
from lichen.kinds.identity.domain import Domain
from lichen.kinds.identity.role import Role
from lichen.kinds.identity.role_assignment import RoleAssignment
from lichen.kinds.identity.user import User
from lichen.model.data import Object
from lichen.model.errors import AlreadyExists, NotFound
from lichen.model.kind import Kind, new_object
from lichen.model.names import DESCRIPTION
from lichen.model.state import State

IMPLIED = {"admin": "manager", "manager": "member", "member": "reader", "reader": "", "service": ""}
"""Each role and the one that comes with it."""
ADMIN = "admin"


class Bootstrap:
    """state: with all rights."""

    def __init__(self, state: State, directory: Directory, credentials: Credentials) -> None:
        self._state = state
        self._directory = directory
        self._credentials = credentials

    async def run(self, password: str = "") -> str | None:
        """Make what is missing. Returns the admin's password if the admin was made now: `password`, or a fresh one."""
        await self._rbac()
        default = Domain.Spec(id="default", display_name="Default", description="The default domain")
        await self._ensure(Domain.KIND, new_object(Domain.KIND, "default", spec=default))
        await self._roles()
        await self._admin_project()
        chosen = await self._admin(password or secrets.token_urlsafe(18))
        await self._assignments()
        return chosen

    async def _rbac(self) -> None:
        for role in cluster_roles():
            stored = await self._ensure(builtin.CLUSTER_ROLE, role)
            before = stored.get("rules") or []
            rules = without_withdrawn(role["metadata"]["name"], before)
            rules += [rule for rule in role["rules"] if rule not in rules]
            if rules != before:
                await self._state.patch(builtin.CLUSTER_ROLE, role["metadata"]["name"], "", {"rules": rules})
        for binding in cluster_role_bindings():
            await self._ensure(builtin.CLUSTER_ROLE_BINDING, binding)

    async def _roles(self) -> None:
        ids: dict[str, str] = {"": ""}
        for name in reversed(IMPLIED):
            implies = [ids[IMPLIED[name]]] if IMPLIED[name] else []
            options = {"immutable": True} if name == ADMIN else {}
            spec = Role.Spec(display_name=name, implies=implies, options=options)
            role = await self._ensure(Role.KIND, new_object(Role.KIND, name, spec=spec))
            ids[name] = role["spec"]["id"]

    async def _admin_project(self) -> None:
        annotations = {DESCRIPTION: "The cloud admin's project"}
        await self._ensure(builtin.NAMESPACE, new_object(builtin.NAMESPACE, ADMIN, annotations=annotations))

    async def _admin(self, password: str) -> str | None:
        try:
            user = await self._state.get(User.KIND, ADMIN)
        except NotFound:
            user = await self._ensure(User.KIND, new_object(User.KIND, ADMIN, spec=User.Spec(display_name=ADMIN)))
        if await self._credentials.has_password(user):
            return None
        await self._credentials.set(user, password)
        return password

    async def _assignments(self) -> None:
        user, role = await self._state.get(User.KIND, ADMIN), await self._state.get(Role.KIND, ADMIN)
        project = await self._state.get(builtin.NAMESPACE, ADMIN)
        who: dict[str, Any] = {"role_id": role["spec"]["id"], "user_id": user["spec"]["id"]}
        wanted: tuple[dict[str, Any], ...] = ({"project_id": project_id(project)}, {"system": True})
        for where in wanted:
            spec = RoleAssignment.Spec(**who, **where)
            name = spec.handle()
            await self._ensure(RoleAssignment.KIND, new_object(RoleAssignment.KIND, name, spec=spec))

    async def _ensure(self, kind: Kind, obj: Object) -> Object:
        try:
            return await self._state.get(kind, obj["metadata"]["name"])
        except NotFound:
            try:
                return await self._state.create(kind, obj)
            except AlreadyExists:
                return await self._state.get(kind, obj["metadata"]["name"])
