# SPDX-License-Identifier: Apache-2.0
"""A kernel with identity over a store in memory, and a clock that tests drive."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from lichen.kernel.identity.identity import Identity
from lichen.kernel.identity.keys import Keys
from lichen.kernel.identity.passwords import Cost
from lichen.kernel.kernel import SYSTEM, Kernel
from lichen.kernel.session import Session
from lichen.kinds.builtin import NAMESPACE
from lichen.kinds.identity.role import Role
from lichen.kinds.identity.role_assignment import RoleAssignment
from lichen.kinds.identity.token import Token
from lichen.kinds.identity.user import User
from lichen.model.data import Object
from lichen.model.kind import Kind, new_object
from lichen.model.names import PROJECT_ID
from lichen.model.state import Caller
from lichen.store import MemoryStore

NOBODY = Caller(name="system:anonymous", groups=("system:unauthenticated",))
PASSWORD = "correct horse"
CHEAP = Cost(n=2, r=8, p=1)


class Clock:
    def __init__(self) -> None:
        self.time = 1_800_000_000.0

    def now(self) -> float:
        self.time += 0.001
        return self.time


@dataclass
class World:
    kernel: Kernel
    identity: Identity
    clock: Clock
    store: MemoryStore

    @property
    def state(self) -> Session:
        return self.kernel.acting(SYSTEM)

    async def project(self, name: str) -> str:
        namespace = await self.state.create(NAMESPACE, new_object(NAMESPACE, name))
        return str(namespace["metadata"]["labels"][PROJECT_ID])

    async def project_id(self, name: str) -> str:
        return str((await self.state.get(NAMESPACE, name))["metadata"]["labels"][PROJECT_ID])

    async def user(self, name: str, password: str = PASSWORD) -> str:
        user = await self.state.create(User.KIND, new_object(User.KIND, name, spec={"displayName": name}))
        await self.identity.set_password(name, password)
        return str(user["spec"]["id"])

    async def role_id(self, name: str) -> str:
        return str((await self.state.get(Role.KIND, name))["spec"]["id"])

    async def assign(self, role: str, **where: Any) -> str:
        spec = RoleAssignment.Spec(role_id=await self.role_id(role), **where)
        await self.state.create(RoleAssignment.KIND, new_object(RoleAssignment.KIND, spec.handle(), spec=spec))
        return spec.handle()

    async def login(self, user: str, scope: Object | None = None, password: str = PASSWORD) -> str:
        answer = await self.issue(
            {
                "methods": ["password"],
                "password": {"userName": user, "userDomainId": "default", "password": password},
                **({"scope": scope} if scope is not None else {}),
            }
        )
        return str(answer["status"]["token"])

    async def issue(self, spec: Object) -> Object:
        return await self.ask(NOBODY, Token.KIND, spec)

    async def ask(self, caller: Caller, kind: Kind, spec: Object, namespace: str = "") -> Object:
        """Create a virtual kind."""
        return await self.kernel.acting(caller).create(kind, new_object(kind, "", namespace, spec))

    async def member(self, name: str, role: str = "member") -> Caller:
        """A new user with a role on a new project of the same name."""
        project = await self.project(name)
        await self.assign(role, user_id=await self.user(name), project_id=project)
        return await self.kernel.authenticate(await self.login(name, {"projectId": project}))

    async def admin(self) -> Caller:
        token = await self.login("admin", {"projectName": "admin", "domainName": "Default"})
        return await self.kernel.authenticate(token)


@asynccontextmanager
async def a_world() -> AsyncIterator[World]:
    store, clock = MemoryStore(), Clock()
    identity = Identity(store, Keys.fresh(), clock, cost=CHEAP)
    kernel = Kernel(store, identity, clock=clock)
    identity.install(kernel.virtual, kernel.admission, kernel.acting(SYSTEM))
    await identity.start()
    try:
        await kernel.start()
        assert await identity.bootstrap(kernel.acting(SYSTEM), PASSWORD) == PASSWORD
        yield World(kernel, identity, clock, store)
    finally:
        await identity.stop()
