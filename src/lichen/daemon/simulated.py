# SPDX-License-Identifier: Apache-2.0
"""`lichen up --simulate`: every role in one process, over simulated machines."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from lichen.agent.agent import Agent, Shared
from lichen.agent.node import Capacity, NodeFacts
from lichen.apis.kubernetes.app import create_app as kubernetes_app
from lichen.apis.openstack.app import create_app as openstack_app
from lichen.controllers.image_bytes import ImageBytes
from lichen.controllers.run import manage
from lichen.daemon.core import Core, start_core
from lichen.daemon.inprocess import InProcess
from lichen.daemon.layout import listener_files
from lichen.daemon.life import run_until_stopped, until_first
from lichen.daemon.rotation import keep_keeping_small
from lichen.daemon.serving import serving
from lichen.daemon.settings import Settings
from lichen.daemon.supervisor import write_cloud_file
from lichen.dashboard.app import with_dashboard
from lichen.drivers.fake.blocks import FakeBlocks, FakeMounts, FakePool
from lichen.drivers.fake.guests import FakeGuests
from lichen.drivers.fake.machine import FakeMachine
from lichen.drivers.fake.networks import FakeNetworks
from lichen.drivers.fake.pods import FakePods
from lichen.drivers.fake.usage import machine_usage
from lichen.drivers.files.images import ImageStore
from lichen.kernel.kernel import SYSTEM
from lichen.model.errors import NotFound
from lichen.model.names import CONTROLLERS, POOL
from lichen.model.state import Caller, State
from lichen.runtime.clock import Clock, SystemClock

log = logging.getLogger(__name__)

HOST = Capacity(cpu_millis=16_000, memory=64 << 30, storage=1 << 40)
"""What each simulated host has."""
CLASSES = ("runc", "crun", "microvm", "process")
ZONES = 3
_CONTROLLERS = Caller(CONTROLLERS, (CONTROLLERS, "system:authenticated"))
"""With no more rights than in a process of their own: what is refused to a project is refused to what acts for it."""


def run(settings: Settings, sockets: Mapping[str, socket.socket]) -> int:
    async def main(stopped: asyncio.Event) -> None:
        core = await start_core(settings)
        try:
            await _serve(core, sockets, stopped)
        finally:
            await core.close()

    return run_until_stopped(main)


async def _serve(core: Core, sockets: Mapping[str, socket.socket], stopped: asyncio.Event) -> None:
    settings, clock = core.settings, SystemClock()
    session = core.kernel.acting(SYSTEM)
    pool = FakePool(settings.volumes_dir / "simulated.json" if settings.persist else None)
    api = (settings.reachable, settings.kubernetes_port)
    agents = simulated_agents(settings.nodes, session, settings.images_dir, settings.run_dir, clock, pool, api)

    async def node_app(name: str) -> Any:
        if name not in agents:
            raise NotFound(f'node "{name}" is not one of the simulated ones')
        return agents[name].app

    kubernetes = kubernetes_app(core.kernel, node_app)
    openstack = openstack_app(InProcess(core.kernel, kubernetes), images=settings.images_dir)
    async with (
        serving(with_dashboard(kubernetes), sockets["kubernetes"], listener_files(settings, "kernel")),
        serving(openstack, sockets["openstack"], listener_files(settings, "openstack")),
    ):
        write_cloud_file(settings)
        root_ca = (settings.tls_dir / "ca.crt").read_text()
        controllers = core.kernel.acting(_CONTROLLERS)
        works = [
            core.run(),
            keep_keeping_small(settings.log_dir),
            manage(controllers, clock, root_ca=root_ca),
            ImageBytes(controllers, ImageStore(settings.images_dir), clock).run(),
        ]
        await until_first(stopped.wait(), *works, *(agent.run() for agent in agents.values()))


def simulated_agents(
    count: int,
    state: State,
    images: Path,
    root: Path,
    clock: Clock,
    pool: FakePool,
    api: tuple[str, int] | None = None,
) -> dict[str, Agent]:
    """One agent for each simulated host, all on one set of informers and one pool of volumes."""
    shared = Shared.of(state, clock)
    return {
        name: _agent(name, number, state, shared, images, root, clock, pool, api)
        for number, name in enumerate(_names(count))
    }


def _names(count: int) -> list[str]:
    width = len(str(count))
    return [f"node-{number:0{width}}" for number in range(1, count + 1)]


def _agent(
    name: str,
    number: int,
    state: State,
    shared: Shared,
    images: Path,
    root: Path,
    clock: Clock,
    pool: FakePool,
    api: tuple[str, int] | None,
) -> Agent:
    machine = FakeMachine(name, clock, root / "nodes" / name)
    facts = NodeFacts(
        name=name,
        capacity=HOST,
        addresses=(f"198.18.{number // 250}.{number % 250 + 1}",),
        labels={"topology.kubernetes.io/zone": f"zone-{number % ZONES + 1}", POOL: "simulated"},
        accelerator="fake",
        engine="fake://1",
    )
    pods = FakePods(machine)
    agent = Agent(
        name,
        state,
        FakeGuests(machine, pool),
        dict.fromkeys(CLASSES, pods),
        FakeNetworks(machine),
        images,
        clock,
        root=root / "nodes" / name,
        facts=facts,
        usage=partial(machine_usage, machine),
        blocks=FakeBlocks(pool),
        mounts=FakeMounts(root / "nodes" / name / "mounts"),
        shared=shared,
        api=api,
    )
    pods.plug, pods.unplug = agent.plug, agent.unplug
    return agent
