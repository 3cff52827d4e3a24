# SPDX-License-Identifier: Apache-2.0
"""The kernel as a process runs it: store, identity, bootstrap, credentials, garbage collection."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass

import msgspec

from lichen.client.local import Credentials, write_private
from lichen.daemon.settings import Settings
from lichen.kernel.collector import Collector
from lichen.kernel.expiry import Expiry
from lichen.kernel.identity.identity import Identity
from lichen.kernel.identity.keyring import LONGEST_TOKEN
from lichen.kernel.identity.keys import Keys
from lichen.kernel.identity.secretbox import SecretBox
from lichen.kernel.kernel import SYSTEM, Kernel
from lichen.kinds.builtin import NAMESPACE
from lichen.kinds.compute.flavor import Flavor
from lichen.kinds.identity.role import Role
from lichen.kinds.identity.role_assignment import RoleAssignment
from lichen.kinds.identity.user import User
from lichen.model.data import Object
from lichen.model.errors import AlreadyExists
from lichen.model.kind import Kind, new_object
from lichen.model.names import CONTROLLERS, DIALECT, NODE_USER, NODES, PROJECT_ID
from lichen.model.state import State
from lichen.store.memory import MemoryStore
from lichen.store.sqlite import SqliteStore

ADMIN_TOKEN_SECONDS = LONGEST_TOKEN
"""Of the kubeconfig's token, which every start and every renewal replaces in credentials.json."""
PROCESS_TOKEN_SECONDS = 86400.0
RENEW_SECONDS = 6 * 3600.0
DEMO = "demo"
FLAVORS = {"m1.tiny": (1, 128, 0), "m1.small": (1, 512, 5), "m1.medium": (2, 2048, 20), "m1.large": (4, 4096, 40)}
"""The sizes a new cloud offers: virtual CPUs, memory in MiB, root disk in GiB."""


@dataclass(frozen=True, slots=True)
class Core:
    """What the kernel's process is made of; `run` keeps it."""

    settings: Settings
    store: MemoryStore | SqliteStore
    identity: Identity
    kernel: Kernel

    async def run(self) -> None:
        """Collect garbage, let events go in time and renew the processes' credentials until cancelled."""
        session = self.kernel.acting(SYSTEM)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(Collector(session, self.kernel.catalog).run())
            tasks.create_task(Expiry(session, self.kernel.clock).run())
            tasks.create_task(self._renew())

    async def close(self) -> None:
        await self.identity.stop()
        await self.store.close()

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(RENEW_SECONDS)
            self.write_tokens()

    def write_tokens(self) -> None:
        """Credentials of the cloud's own processes, which read them again when they end."""
        node = self.settings.node_name
        bearers = (
            (self.settings.tokens_dir / "controllers", 0o600, CONTROLLERS, CONTROLLERS),
            (self.settings.tokens_dir / "node", 0o600, f"{NODE_USER}{node}", NODES),
            (self.settings.service_tokens_dir / "openstack", 0o640, DIALECT, DIALECT),
        )
        for path, mode, name, group in bearers:
            token = self.identity.system_token(name, (group,), PROCESS_TOKEN_SECONDS)
            write_private(path, token.encode(), mode)
        self._write_admin_token()
        secret = self.settings.tokens_dir / "kernel-to-node"
        if not secret.exists():
            write_private(secret, secrets.token_urlsafe(32).encode())

    def _write_admin_token(self) -> None:
        """What `lichen up` and `lichen kubeconfig` hand out next."""
        path = self.settings.access_dir / "credentials.json"
        if path.exists():
            held = msgspec.json.decode(path.read_bytes(), type=Credentials)
            token = self.identity.system_token("system:admin", ("system:masters",), ADMIN_TOKEN_SECONDS)
            write_private(path, msgspec.json.encode(msgspec.structs.replace(held, admin_token=token)))


async def start_core(settings: Settings) -> Core:
    """Open the store, bring up the kernel, make what every cloud has."""
    keys = Keys.load(settings.keys_dir)
    store = await _open_store(settings, keys)
    identity = Identity(store, keys)
    kernel = Kernel(store, identity)
    identity.install(kernel.virtual, kernel.admission, kernel.acting(SYSTEM))
    await identity.start()
    await kernel.start()
    session = kernel.acting(SYSTEM)
    core = Core(settings, store, identity, kernel)
    password = await identity.bootstrap(session)
    await _first_users(core, session, password)
    core.write_tokens()
    identity.keyring.rotated.append(core.write_tokens)
    return core


async def _open_store(settings: Settings, keys: Keys) -> MemoryStore | SqliteStore:
    """On disk, where Secrets lie encrypted, or in memory."""
    if not settings.persist:
        return MemoryStore()
    return await SqliteStore.open(settings.store_dir / "lichen.db", sealer=SecretBox(keys.sealing))


async def _first_users(core: Core, session: State, admin_password: str | None) -> None:
    """Project and user `demo`, a few flavors, and the file that `lichen up` hands over; made once."""
    path = core.settings.access_dir / "credentials.json"
    if admin_password is None and path.exists():
        return
    if admin_password is None:
        admin_password = secrets.token_urlsafe(18)
        await core.identity.set_password("admin", admin_password)
    for name, (vcpus, memory, disk) in FLAVORS.items():
        spec = Flavor.Spec(display_name=name, vcpus=vcpus, memory=memory, disk=disk)
        await _ensure(session, Flavor.KIND, new_object(Flavor.KIND, name, spec=spec))
    project = await _ensure(session, NAMESPACE, new_object(NAMESPACE, DEMO))
    user = await _ensure(session, User.KIND, new_object(User.KIND, DEMO, spec=User.Spec(display_name=DEMO)))
    role = await session.get(Role.KIND, "member")
    assignment = RoleAssignment.Spec(
        role_id=role["spec"]["id"],
        user_id=user["spec"]["id"],
        project_id=project["metadata"]["labels"][PROJECT_ID],
    )
    await _ensure(session, RoleAssignment.KIND, new_object(RoleAssignment.KIND, assignment.handle(), spec=assignment))
    credentials = Credentials(
        admin_password=admin_password,
        demo_password=secrets.token_urlsafe(18),
    )
    await core.identity.set_password(DEMO, credentials.demo_password)
    write_private(path, msgspec.json.encode(credentials))


async def _ensure(session: State, kind: Kind, obj: Object) -> Object:
    try:
        return await session.create(kind, obj)
    except AlreadyExists:
        return await session.get(kind, obj["metadata"]["name"])
