# SPDX-License-Identifier: Apache-2.0
"""The node's process: the agent over the real engines of this machine. The only one that is root."""

from __future__ import annotations

import asyncio
import hmac
import socket
from collections.abc import Callable

from lichen.agent.agent import Agent
from lichen.agent.node import NodeFacts, facts_of_this_machine
from lichen.daemon.engines import find_accelerator, make_engines
from lichen.daemon.layout import listener_files
from lichen.daemon.life import end_with_parent, run_until_stopped, until_first
from lichen.daemon.own import own_cloud
from lichen.daemon.serving import serving
from lichen.daemon.settings import Settings
from lichen.daemon.sockets import inherited
from lichen.drivers import host
from lichen.drivers.base import PortSpec
from lichen.drivers.containerd.daemon import version as containerd_version
from lichen.runtime.clock import SystemClock
from lichen.runtime.scrape import showing_metrics


def run(settings: Settings) -> int:
    end_with_parent()

    async def main(stopped: asyncio.Event) -> None:
        accelerator = await find_accelerator(settings)
        openstack = inherited("openstack")
        agent: Agent

        async def plug(pod_uid: str, netns: str) -> PortSpec | None:
            return await agent.plug(pod_uid, netns)

        async def unplug(pod_uid: str) -> None:
            await agent.unplug(pod_uid)

        engines = make_engines(settings, accelerator, plug, unplug, {"openstack": openstack.fileno()})
        async with own_cloud(settings, "node") as cloud:
            agent = Agent(
                settings.node_name,
                cloud.state,
                engines.guests,
                engines.pods,
                engines.networks,
                settings.images_dir,
                SystemClock(),
                root=settings.pods_dir,
                facts=_facts(settings, accelerator, f"containerd://{await containerd_version()}"),
                usage=host.usage,
                blocks=engines.blocks,
                mounts=engines.mounts,
                may_call=_only_the_kernel(settings),
                api=(settings.reachable, settings.kubernetes_port),
            )
            async with serving(agent.app, inherited("node"), listener_files(settings, "node")):
                try:
                    await until_first(stopped.wait(), agent.run())
                finally:
                    await engines.containers.close()

    with showing_metrics(settings.metrics_dir, "node"):
        return run_until_stopped(main)


def _facts(settings: Settings, accelerator: str, engine: str) -> NodeFacts:
    return facts_of_this_machine(
        settings.node_name,
        settings.data_dir,
        (_own_address(),),
        accelerator=accelerator,
        engine=engine,
        port=settings.node_port,
        labels={"topology.kubernetes.io/zone": "nova"},
    )


def _own_address() -> str:
    """The address this machine would speak from (no packet is sent); loopback where it has no route."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])


def _only_the_kernel(settings: Settings) -> Callable[[str], bool]:
    """Logs and consoles are asked for by the kernel alone, which has checked who wants them."""
    path = settings.tokens_dir / "kernel-to-node"

    def may_call(token: str) -> bool:
        return hmac.compare_digest(token.encode(), path.read_bytes())

    return may_call
