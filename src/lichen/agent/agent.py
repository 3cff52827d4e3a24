# SPDX-License-Identifier: Apache-2.0
"""The agent of one node: it wires what watches, what works and what answers, and runs until it is cancelled.

    agent = Agent("node-1", state, guests, {"runc": pods}, networks, images, clock, root=path, facts=facts,
                  usage=host.usage)
    await agent.run()

Simulated nodes of one process share `Shared`: one set of informers, one topology, one heart.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from lichen.agent.api_relay import ApiRelay
from lichen.agent.app import NodeApp
from lichen.agent.attachments import NodeAttachments
from lichen.agent.blocks import NodeVolumes
from lichen.agent.captures import Captures
from lichen.agent.failures import Failures
from lichen.agent.heart import Heart
from lichen.agent.metadata_server import MetadataServer
from lichen.agent.networks import Networks
from lichen.agent.node import NodeFacts, NodeKeeper
from lichen.agent.pods import Pods
from lichen.agent.servers import Servers
from lichen.agent.sources import Sources
from lichen.agent.topology import Topology
from lichen.agent.usage import Meter
from lichen.drivers.base import (
    BlockDriver,
    GuestDriver,
    Listening,
    MemoryMounts,
    MountDriver,
    NetworkDriver,
    PodDriver,
    PortSpec,
)
from lichen.model.data import Object
from lichen.model.errors import ApiError
from lichen.model.metrics import GUESTS, PODS, Values
from lichen.model.state import State
from lichen.model.usage import Usage
from lichen.planning.times import backoff
from lichen.runtime.clock import Clock
from lichen.runtime.events import Recorder

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Shared:
    """What the agents of one process have in common: it starts with the first of them and ends with the last."""

    sources: Sources
    topology: Topology
    heart: Heart
    users: int = 0

    @classmethod
    def of(cls, state: State, clock: Clock, node: str = "") -> Shared:
        """node: watch only what is bound to that node; "" for all nodes."""
        sources = Sources(state, node)
        return cls(sources, Topology(sources), Heart(clock))

    async def join(self) -> None:
        """Returns when all is known that is watched."""
        self.users += 1
        await self.sources.start()

    async def leave(self) -> None:
        self.users -= 1
        if self.users == 0:
            self.topology.close()
            await self.sources.close()


class Agent:
    """One node. `app` is the ASGI application that serves its logs, exec and consoles."""

    def __init__(
        self,
        node_name: str,
        state: State,
        guests: GuestDriver,
        pods: Mapping[str, PodDriver],
        networks: NetworkDriver,
        images: Path,
        clock: Clock,
        *,
        root: Path,
        facts: NodeFacts,
        usage: Callable[[], Usage],
        blocks: BlockDriver | None = None,
        mounts: MountDriver | None = None,
        shared: Shared | None = None,
        may_call: Callable[[str], bool] | None = None,
        api: tuple[str, int] | None = None,
    ) -> None:
        """images: directory of images' bytes by id. root: the agent's own directory. usage: counters of the
        whole machine. blocks: where volumes are, None:
        this node holds none. may_call: whether a bearer token may use `app`; None: everyone who can reach it may (in
        the same process). api: host and port of the Kubernetes API as this node reaches it, for its workloads."""
        self.name = node_name
        self._shared = shared or Shared.of(state, clock, node_name)
        sources, topology = self._shared.sources, self._shared.topology
        self._clock = clock
        self._keeper = NodeKeeper(state, facts)
        self._recorder = Recorder(state, clock, "lichen-agent", node_name)
        self._failures = failures = Failures(node_name, state, self._recorder, clock)
        host_ip = facts.addresses[0] if facts.addresses else ""
        engine = facts.engine.partition("://")[0]
        self.networks = Networks(node_name, state, networks, sources, topology, clock, failures)
        self.servers = Servers(node_name, state, guests, self.networks, sources, topology, images, clock, failures)
        if isinstance(networks, Listening):
            self.networks.answering.append(MetadataServer(networks, self.servers.metadata))
            if api is not None:
                self.networks.answering.append(ApiRelay(networks, api))
        self.volumes: NodeVolumes | None = None
        self.attachments: NodeAttachments | None = None
        if blocks is not None:
            self.volumes = NodeVolumes(node_name, state, blocks, sources, images, clock, failures)
            self.attachments = NodeAttachments(node_name, state, blocks, guests, mounts, sources, clock, failures)
            self.volumes.grown = self.attachments.grown
            self.servers.disks = self.attachments.disks_of
        self.captures = Captures(node_name, state, guests, blocks, sources, images, clock, failures)
        self.pods = Pods(
            node_name, state, pods, self.networks, sources, clock,
            root=root, host_ip=host_ip, engine=engine, recorder=self._recorder, failures=failures, api=api,
            memory=mounts if isinstance(mounts, MemoryMounts) else None,
        )  # fmt: skip
        if self.attachments is not None:
            self.pods.making.claims = self.attachments.folders_of
        self.meter = Meter(usage, self.pods.usage, clock)
        self.app = NodeApp(self.pods, self.servers, sources, clock, self.meter, may_call=may_call)
        self.ready = asyncio.Event()

    async def run(self) -> None:
        """Register, adopt what runs, and keep at it until cancelled. What runs on the node goes on running."""
        tasks: list[asyncio.Task[None]] = []
        try:
            await self._shared.join()
            tasks = [asyncio.create_task(work) for work in (*self._pumps(), self._recorder.run())]
            await self._start()
            self.ready.set()
            with GUESTS.reading(self._guests), PODS.reading(self._running_pods):
                await asyncio.gather(*tasks)
                await asyncio.Event().wait()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._close()

    def _guests(self) -> Values:
        return [((self.name,), _running(self._shared.sources.servers_of(self.name)))]

    def _running_pods(self) -> Values:
        return [((self.name,), _running(self._shared.sources.pods_of(self.name)))]

    async def beat(self) -> None:
        """Say that the node lives, and how it is."""
        await self._keeper.renew(self._clock.now())
        await self._keeper.report(self._clock.now(), failing=self._failures.unsaid.values())

    async def plug(self, pod_uid: str, netns: str) -> PortSpec | None:
        """For the CNI plugin: plug the pod's Port into `netns`. None: it has none. Temporary: not yet."""
        return await self.pods.plug(pod_uid, netns)

    async def unplug(self, pod_uid: str) -> None:
        """For the CNI plugin."""
        await self.pods.unplug(pod_uid)

    async def _start(self) -> None:
        await self.networks.start()
        self._shared.sources.listen(
            self.name,
            pod=self.pods.told,
            server=self._server_changed,
            volume=self._volume_changed,
            image=self._image_changed,
        )
        if self.volumes is not None:
            self.volumes.start()
        if self.attachments is not None:
            await self.attachments.start()
        await self.servers.start()
        self.captures.start()
        await self.pods.start()
        await self._register()
        self._shared.heart.join(self.name, self.beat)

    async def _register(self) -> None:
        """Until it is done: the API may be on its way up."""
        for failures in count(1):
            try:
                await self._keeper.register(self._clock.now())
                await self._keeper.renew(self._clock.now())
                return
            except (ApiError, OSError) as error:
                log.warning("node %s cannot register yet: %s", self.name, error)
                await self._clock.sleep(backoff(failures, base=0.2, limit=10.0))

    async def _close(self) -> None:
        self.ready.clear()
        self._shared.sources.forget(self.name)
        await self._shared.heart.leave(self.name)
        await self.servers.workers.close()
        await self.captures.workers.close()
        for volumes in (self.volumes, self.attachments):
            if volumes is not None:
                await volumes.workers.close()
        await self.pods.close()
        await self.networks.close()
        await self._shared.leave()

    def _server_changed(self, server: Object) -> None:
        self.servers.told(server)
        if self.attachments is not None:
            self.attachments.server_changed(server)

    def _volume_changed(self, obj: Object) -> None:
        """A volume, a snapshot or an attachment."""
        if self.volumes is not None:
            self.volumes.told(obj)
        if self.attachments is not None:
            self.attachments.told(obj)

    def _image_changed(self, image: Object) -> None:
        self.captures.told(image)
        if self.volumes is not None:
            self.volumes.copy_changed(image)

    def _pumps(self) -> list[Coroutine[Any, Any, None]]:
        drivers = {id(driver): driver for driver in self.pods.drivers.values()}
        pumps = [_pump(driver.changes(), self.pods.pod_changed) for driver in drivers.values()]
        return [_pump(self.servers.driver.changes(), self.servers.guest_changed), *pumps]


def _running(objects: list[Object]) -> int:
    return sum((obj.get("status") or {}).get("phase") == "Running" for obj in objects)


async def _pump(changes: AsyncIterator[str], tell: Callable[[str], None]) -> None:
    """Pass on what a driver tells until it ends."""
    async for identity in changes:
        tell(identity)
