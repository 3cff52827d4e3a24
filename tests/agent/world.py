# SPDX-License-Identifier: Apache-2.0
"""A small simulated cloud for the agent's tests: a memory store, one simulated machine, one agent on real time."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from lichen.agent.agent import Agent, Shared
from lichen.agent.node import Capacity, NodeFacts
from lichen.drivers.fake import FakeGuests, FakeMachine, FakeNetworks, FakePods, Timing
from lichen.drivers.fake.blocks import FakeBlocks, FakePool
from lichen.drivers.fake.usage import machine_usage
from lichen.kinds.builtin import POD
from lichen.kinds.compute.server import Server
from lichen.kinds.image.image import Image
from lichen.kinds.network.network import Network
from lichen.kinds.network.port import Port
from lichen.kinds.network.subnet import Subnet
from lichen.model.data import Object
from lichen.model.errors import NotFound
from lichen.model.kind import Kind
from lichen.model.meta import namespace_of, uid_of
from lichen.runtime.clock import SystemClock
from lichen.store.memory import MemoryStore
from tests.conformance.witness import witnessed

FAST = Timing(disk=0, start=0, boot=0.05, shutdown=0.01, image=0, sandbox=0, container=0)
IMAGE_ID = "11111111-1111-4111-8111-111111111111"
NETWORK_ID = "22222222-2222-4222-8222-222222222222"
SUBNET_ID = "33333333-3333-4333-8333-333333333333"


@dataclass
class World:
    """One node. `machine` outlives agents: `restart` makes a new agent on it."""

    store: MemoryStore
    machine: FakeMachine
    root: Path
    agent: Agent
    task: asyncio.Task[None]
    guests: FakeGuests
    pods: FakePods
    pool: FakePool = field(default_factory=FakePool)

    async def restart(self) -> None:
        """As if the agent were killed and started again."""
        await self.stop()
        await self.start()

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    async def start(self) -> None:
        self.agent, self.guests, self.pods = an_agent(self.store, self.machine, self.root, pool=self.pool)
        self.task = asyncio.create_task(self.agent.run())
        await asyncio.wait_for(self.agent.ready.wait(), 5)

    async def until(self, kind: Kind, name: str, test: Callable[[Object], Any], namespace: str = "demo") -> Object:
        """The object once `test` holds of it."""
        return await until(self.store, kind, name, namespace, test)

    async def until_gone(self, kind: Kind, name: str, namespace: str = "demo") -> None:
        async with asyncio.timeout(5):
            while True:
                try:
                    await self.store.get(kind, name, namespace)
                except NotFound:
                    return
                await asyncio.sleep(0.01)

    async def delete_pod(self, name: str, grace: int = 1) -> None:
        """As a kernel deletes a pod: marked first."""
        mark = {"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z", "deletionGracePeriodSeconds": grace}}
        await self.store.patch(POD, name, "demo", mark)


async def until(store: MemoryStore, kind: Kind, name: str, namespace: str, test: Callable[[Object], Any]) -> Object:
    try:
        async with asyncio.timeout(5):
            async for event in store.watch(kind, namespace):
                if event.object["metadata"]["name"] == name and event.type != "DELETED" and test(event.object):
                    return event.object
    except TimeoutError:
        raise AssertionError(f"never came true of {await store.get(kind, name, namespace)}") from None
    raise AssertionError("the watch ended")


def an_agent(
    store: MemoryStore, machine: FakeMachine, root: Path, *, shared: Shared | None = None, pool: FakePool | None = None
) -> tuple[Agent, FakeGuests, FakePods]:
    guests, networks = FakeGuests(machine), FakeNetworks(machine)
    pods = FakePods(machine, plug=lambda uid, netns: agent.plug(uid, netns), unplug=lambda uid: agent.unplug(uid))
    facts = NodeFacts(
        machine.name, Capacity(4000, 8 << 30, 100 << 30), ("192.0.2.10",), accelerator="fake", engine="fake://1"
    )
    agent = Agent(
        machine.name, store, guests, {"runc": pods}, networks, root / "images", machine.clock,
        root=root / machine.name, facts=facts, usage=partial(machine_usage, machine),
        shared=shared, blocks=FakeBlocks(pool or FakePool()),
    )  # fmt: skip
    return agent, guests, pods


@contextlib.asynccontextmanager
async def a_world(root: Path, store: MemoryStore | None = None) -> AsyncIterator[World]:
    store = store or MemoryStore()
    (root / "images").mkdir()
    (root / "images" / IMAGE_ID).write_bytes(b"QFI\xfbdisk")
    await a_network(store)
    machine = FakeMachine("node-1", SystemClock(), root / "machine", timing=FAST)
    pool = FakePool()
    agent, guests, pods = an_agent(store, machine, root, pool=pool)
    world = World(store, machine, root, agent, asyncio.create_task(agent.run()), guests, pods, pool)
    await asyncio.wait_for(agent.ready.wait(), 5)
    try:
        async with witnessed(store):
            yield world
    finally:
        await world.stop()
        await machine.power_off()


async def a_network(store: MemoryStore) -> None:
    for kind, spec in (
        (Image.KIND, {"id": IMAGE_ID, "diskFormat": "qcow2"}),
        (Network.KIND, {"id": NETWORK_ID, "shared": True, "mtu": 1450}),
        (
            Subnet.KIND,
            {"id": SUBNET_ID, "networkId": NETWORK_ID, "network": "n", "cidr": "10.0.0.0/24", "gatewayIp": "10.0.0.1"},
        ),
    ):
        await store.create(kind, an_object(kind, "net", spec))
    await store.patch(Image.KIND, "net", "demo", {"status": {"phase": "active"}})


def an_object(kind: Kind, name: str, spec: Object, **metadata: Any) -> Object:
    meta = {"name": name, "namespace": "demo", **metadata}
    return {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": meta, "spec": spec}


def a_port(name: str, device_id: str, owner: str, number: int = 5) -> Object:
    spec = {
        "id": f"44444444-4444-4444-8444-{number:012d}",
        "network": "net",
        "networkId": NETWORK_ID,
        "mac": f"fa:16:3e:00:00:{number:02x}",
        "fixedIps": [{"subnet": "net", "subnetId": SUBNET_ID, "ipAddress": f"10.0.0.{number}"}],
        "deviceOwner": owner,
        "deviceId": device_id,
    }
    return an_object(Port.KIND, name, spec)


def a_server(name: str = "web", **spec: Any) -> Object:
    wanted = {
        "id": f"id-{name}",
        "flavor": "tiny",
        "resources": {"vcpus": 1, "memory": 128, "disk": 1},
        "image": "net",
        "imageId": IMAGE_ID,
        "networks": [{"network": "net"}],
        "node": "node-1",
        **spec,
    }
    return an_object(Server.KIND, name, wanted)


async def boot(world: World, name: str = "web", **spec: Any) -> Object:
    """A server with its port, once it runs."""
    await world.store.create(Server.KIND, a_server(name, **spec))
    await world.store.create(Port.KIND, a_port(f"{name}-0", f"id-{name}", "compute:nova"))
    return await world.until(Server.KIND, name, lambda s: (s.get("status") or {}).get("phase") == "Running")


def a_pod(name: str = "web", *containers: Object, **spec: Any) -> Object:
    default = {"name": "main", "image": "busybox", "command": ["sh", "-c", "echo hello; sleep 1000"]}
    return an_object(POD, name, {"nodeName": "node-1", "containers": list(containers) or [default], **spec})


async def run_pod(world: World, pod: Object, phase: str = "Running", number: int = 9) -> Object:
    """A pod with its port, once it is in a phase."""
    made = await world.store.create(POD, pod)
    name = made["metadata"]["name"]
    await world.store.create(Port.KIND, a_port(f"pod-{name}", uid_of(made), "pod", number))
    return await until(
        world.store, POD, name, namespace_of(made), lambda p: (p.get("status") or {}).get("phase") == phase
    )
