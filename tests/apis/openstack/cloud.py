# SPDX-License-Identifier: Apache-2.0
"""A cloud for tests of the dialect: the real kernel and identity over a store in memory, called without a socket."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from lichen.apis.openstack.app import create_app
from lichen.apis.openstack.compute.service import SERVICE as COMPUTE
from lichen.apis.openstack.image.service import SERVICE as IMAGE
from lichen.apis.openstack.network.service import SERVICE as NETWORK
from lichen.apis.openstack.volume.service import SERVICE as VOLUME
from lichen.kernel.identity.identity import Identity
from lichen.kernel.identity.keys import Keys
from lichen.kernel.identity.passwords import Cost
from lichen.kernel.kernel import SYSTEM, Kernel
from lichen.kernel.session import Session
from lichen.kinds.builtin import NAMESPACE, NODE
from lichen.kinds.compute.server import Server
from lichen.kinds.identity.role import Role
from lichen.kinds.identity.role_assignment import RoleAssignment
from lichen.kinds.identity.token import Token
from lichen.kinds.identity.user import User
from lichen.model.data import Object
from lichen.model.errors import NotFound
from lichen.model.kind import Kind, new_object
from lichen.model.meta import labels_of, name_of, namespace_of
from lichen.model.names import DIALECT, PROJECT_ID
from lichen.model.state import Caller
from lichen.store.memory import MemoryStore

from .asgi import Answer, call

NOBODY = Caller(name="system:anonymous", groups=("system:unauthenticated",))
PASSWORD = "correct horse"
COMPUTE_VERSION = {"openstack-api-version": "compute 2.100"}


@dataclass
class TestCloud:
    """What a test holds: the app, the kernel with all rights, and a token for each project it asks for."""

    __test__ = False

    app: Any
    kernel: Kernel
    identity: Identity
    consoles: dict[str, bytes] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)
    projects: dict[str, str] = field(default_factory=dict)

    @property
    def state(self) -> Session:
        return self.kernel.acting(SYSTEM)

    # --- as a Cloud, for the dialect ---

    async def authenticate(self, token: str) -> Caller:
        return replace(await self.kernel.authenticate(token), through=DIALECT)

    def acting(self, caller: Caller) -> Session:
        return self.kernel.acting(caller)

    async def read(self, caller: Caller, path: str) -> bytes:
        if path not in self.consoles:
            raise NotFound(f"{path} was not found")
        return self.consoles[path]

    # --- for tests ---

    async def project(self, name: str, role: str = "member") -> str:
        """A token for a new project and a new user of the same name."""
        namespace = await self.state.create(NAMESPACE, new_object(NAMESPACE, name))
        self.projects[name] = labels_of(namespace)[PROJECT_ID]
        user = await self.state.create(User.KIND, new_object(User.KIND, name, spec=User.Spec(display_name=name)))
        await self.identity.set_password(name, PASSWORD)
        role_id = (await self.state.get(Role.KIND, role))["spec"]["id"]
        spec = RoleAssignment.Spec(role_id=role_id, user_id=user["spec"]["id"], project_id=self.projects[name])
        await self.state.create(RoleAssignment.KIND, new_object(RoleAssignment.KIND, spec.handle(), spec=spec))
        self.tokens[name] = await self.login(name, self.projects[name])
        return self.tokens[name]

    async def login(self, user: str, project_id: str) -> str:
        password = {"userName": user, "userDomainId": "default", "password": PASSWORD}
        spec = {"methods": ["password"], "password": password, "scope": {"projectId": project_id}}
        token = new_object(Token.KIND, "", spec=spec)
        answer = await self.kernel.acting(NOBODY).create(Token.KIND, token)
        return str(answer["status"]["token"])

    async def call(
        self,
        method: str,
        path: str,
        json: Any = None,
        *,
        who: str = "demo",
        headers: dict[str, str] | None = None,
        body: bytes | list[bytes] = b"",
    ) -> Answer:
        token = {"x-auth-token": self.tokens[who]} if who else {}
        return await call(
            self.app, method, path, json=json, body=body, headers={**token, **COMPUTE_VERSION, **(headers or {})}
        )

    async def ok(self, method: str, path: str, json: Any = None, **options: Any) -> Any:
        """The JSON of a call that must succeed."""
        answer = await self.call(method, path, json, **options)
        assert answer.status < 300, (answer.status, answer.body)
        return answer.json() if answer.body else None

    async def report(self, kind: Kind, id: str, **status: Any) -> Object:
        """Write an object's status, as its reconciler or node would."""
        found = (await self.state.list(kind, fields=f"spec.id={id}")).items[0]
        return await self.state.patch(
            kind, name_of(found), namespace_of(found), {"status": status}, subresource="status"
        )

    async def boots(self, server_id: str, node: str = "node-1") -> None:
        """What scheduler, controller and node do to a server, in one go."""
        found = (await self.state.list(Server.KIND, fields=f"spec.id={server_id}")).items[0]
        await self.state.patch(Server.KIND, name_of(found), namespace_of(found), {"spec": {"node": node}})
        await self.report(
            Server.KIND,
            server_id,
            phase="Running",
            power="Running",
            launchedAt="2026-01-01T00:00:00Z",
            rebootedAt=found["spec"].get("rebootedAt", ""),
            addresses=[{"network": "private", "ip": "10.1.0.5", "mac": "fa:16:3e:00:00:01", "version": 4}],
        )


@asynccontextmanager
async def running_cloud(folder: Path) -> AsyncIterator[TestCloud]:
    """A started cloud with the projects `admin` (its admin) and `demo` (a member)."""
    store = MemoryStore()
    identity = Identity(store, Keys.load(folder / "keys"), cost=Cost(n=2))
    kernel = Kernel(store, identity)
    identity.install(kernel.virtual, kernel.admission)
    await identity.start()
    try:
        await kernel.start()
        await identity.bootstrap(kernel.acting(SYSTEM), PASSWORD)
        cloud = TestCloud(None, kernel, identity)
        cloud.app = create_app(cloud, services=(COMPUTE, IMAGE, NETWORK, VOLUME), images=folder / "images")
        admin = await cloud.state.get(NAMESPACE, "admin")
        cloud.projects["admin"] = labels_of(admin)[PROJECT_ID]
        cloud.tokens["admin"] = await cloud.login("admin", cloud.projects["admin"])
        await cloud.project("demo")
        yield cloud
    finally:
        await identity.stop()


def a_node(name: str = "node-1", zone: str = "") -> Object:
    """A Node that is ready."""
    labels = {"topology.kubernetes.io/zone": zone} if zone else {}
    return new_object(NODE, name, labels=labels)


READY = {
    "capacity": {"cpu": "4", "memory": "8Gi", "ephemeral-storage": "100Gi"},
    "conditions": [{"type": "Ready", "status": "True", "lastHeartbeatTime": "2026-01-01T00:00:00Z"}],
    "addresses": [{"type": "InternalIP", "address": "192.0.2.1"}],
    "nodeInfo": {"architecture": "amd64"},
}
