# SPDX-License-Identifier: Apache-2.0
"""A whole cloud in one process, both languages over one kernel, that can be put back as it was in a moment.

`kestrel` is the project that everyone tries, `heron` the outsider's: each is filled with one of everything by
`filling.fill`. A `Frozen` world is thawed once for each attempt that changes something.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lichen.apis.kubernetes.app import create_app as kubernetes_app
from lichen.apis.openstack.app import create_app as openstack_app
from lichen.daemon.inprocess import InProcess
from lichen.kernel.identity.identity import Identity
from lichen.kernel.identity.keys import Keys
from lichen.kernel.identity.passwords import Cost
from lichen.kernel.kernel import SYSTEM, Kernel
from lichen.kernel.session import Session
from lichen.kinds.catalog import Catalog
from lichen.kinds.identity.token import Token
from lichen.model.kind import new_object
from lichen.model.state import Caller
from lichen.store.journal import Loaded
from lichen.store.memory import MemoryStore
from tests.apis.kubernetes.fake_node import FakeNode
from tests.apis.openstack.asgi import Answer, call

PASSWORD = "correct horse"
CALLERS = ("outsider", "reader", "member", "manager", "admin", "anonymous")
"""outsider: the manager of another project. reader, member, manager: of the project that is tried."""
NEWEST = {"openstack-api-version": "compute 2.100"}
NOBODY = Caller(name="system:anonymous", groups=("system:unauthenticated",))
Row = tuple[int, int, str, str, str, str, bytes]


@dataclass(frozen=True)
class Frozen:
    """A store's content, and what a test knows of it: tokens by caller, ids by what they are of."""

    folder: Path
    rows: list[Row]
    tokens: dict[str, str]
    ids: dict[str, str]
    others: dict[str, str]
    projects: dict[str, str]


@dataclass
class World:
    """A running cloud. ids: of what is in `kestrel`; others: of the same things in `heron`."""

    store: MemoryStore
    identity: Identity
    kernel: Kernel
    folder: Path
    tokens: dict[str, str] = field(default_factory=dict)
    ids: dict[str, str] = field(default_factory=dict)
    others: dict[str, str] = field(default_factory=dict)
    projects: dict[str, str] = field(default_factory=dict)
    node: FakeNode = field(default_factory=FakeNode)
    images: Path = Path()

    def __post_init__(self) -> None:
        self.kubernetes = kubernetes_app(self.kernel, self.node.app)
        self.openstack = openstack_app(InProcess(self.kernel, self.kubernetes), images=self.images)

    @property
    def state(self) -> Session:
        return self.kernel.acting(SYSTEM)

    @property
    def catalog(self) -> Catalog:
        return self.kernel.catalog

    async def ask_openstack(
        self, who: str, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> Answer:
        """A call of the OpenStack dialect; a body that is bytes goes as it is."""
        token = {"x-auth-token": self.tokens[who]} if who in self.tokens else {}
        given = {"body": body} if isinstance(body, bytes) else {"json": body}
        return await call(self.openstack, method, path, headers={**token, **NEWEST, **(headers or {})}, **given)

    async def ask_kubernetes(
        self, who: str, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> Answer:
        """A call of the Kubernetes dialect."""
        token = {"authorization": f"Bearer {self.tokens[who]}"} if who in self.tokens else {}
        given = {"body": body} if isinstance(body, bytes) else {"json": body}
        return await call(self.kubernetes, method, path, headers={**token, **(headers or {})}, **given)

    async def login(self, user: str, project_id: str = "") -> str:
        password = {"userName": user, "userDomainId": "default", "password": PASSWORD}
        spec: dict[str, Any] = {"methods": ["password"], "password": password}
        if project_id:
            spec["scope"] = {"projectId": project_id}
        answer = await self.kernel.acting(NOBODY).create(Token.KIND, new_object(Token.KIND, "", spec=spec))
        return str(answer["status"]["token"])

    def contents(self) -> list[Row]:
        """Every object, as it is stored."""
        tables = {key: self.store.table(kind) for key, kind in self._kinds().items()}
        return sorted(
            (entry.revision, 0, group, plural, *_place(key), entry.raw)
            for (group, plural), table in tables.items()
            for key, entry in table.entries.items()
        )

    def _kinds(self) -> dict[tuple[str, str], Any]:
        kinds = {(kind.group, kind.plural): kind for kind in self.catalog.all_kinds()}
        missing = [key for key in self.store.resources() if key not in kinds]
        assert not missing, missing
        return {key: kinds[key] for key in self.store.resources()}

    def freeze(self) -> Frozen:
        return Frozen(self.folder, self.contents(), self.tokens, self.ids, self.others, self.projects)


def _place(key: str) -> tuple[str, str]:
    namespace, _, name = key.rpartition("\0")
    return namespace, name


@asynccontextmanager
async def empty_world(folder: Path) -> AsyncIterator[World]:
    """A new cloud with its admin, and nothing else."""
    async with _running(folder, MemoryStore()) as world:
        await world.identity.bootstrap(world.state, PASSWORD)
        yield world
        shutil.copytree(world.images, folder / "images")


@asynccontextmanager
async def thawed(frozen: Frozen) -> AsyncIterator[World]:
    """The cloud as it was when it was frozen."""
    store = MemoryStore()
    store.load(Loaded(frozen.rows, 0))
    async with _running(frozen.folder, store) as world:
        shutil.copytree(frozen.folder / "images", world.images, dirs_exist_ok=True)
        world.tokens, world.ids = frozen.tokens, frozen.ids
        world.others, world.projects = frozen.others, frozen.projects
        yield world


@asynccontextmanager
async def _running(folder: Path, store: MemoryStore) -> AsyncIterator[World]:
    identity = Identity(store, Keys.load(folder / "keys"), cost=Cost(n=2))
    kernel = Kernel(store, identity)
    identity.install(kernel.virtual, kernel.admission, kernel.acting(SYSTEM))
    await identity.start()
    try:
        await kernel.start()
        with tempfile.TemporaryDirectory(dir=folder) as images:
            yield World(store, identity, kernel, folder, images=Path(images))
    finally:
        await identity.stop()
        await store.close()
