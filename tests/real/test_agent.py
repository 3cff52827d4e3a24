# SPDX-License-Identifier: Apache-2.0
"""The agent over containerd and Linux networks: a pod with address, volumes, probes and logs; killed and adopted."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lichen.agent.agent import Agent
from lichen.agent.node import facts_of_this_machine
from lichen.drivers import host
from lichen.drivers.containerd import ContainerdPods
from lichen.drivers.fake import FakeGuests, FakeMachine
from lichen.drivers.linuxnet import LinuxNetworks
from lichen.kinds.builtin import CONFIG_MAP, POD
from lichen.model.meta import uid_of
from lichen.runtime.clock import SystemClock
from lichen.store.memory import MemoryStore
from tests.agent.test_app import Client
from tests.agent.test_pods import a_container, condition, status_of
from tests.agent.world import World, a_network, a_pod, an_object, run_pod
from tests.real.test_containers import Machine, busybox, machine
from tests.real.test_networks import Site, networks, site

pytestmark = pytest.mark.real
__all__ = ["busybox", "machine", "networks", "site"]


class RealWorld(World):
    """A World whose pods and networks are real."""

    def __init__(self, store: MemoryStore, root: Path, here: Machine, networks: LinuxNetworks) -> None:
        self.store, self.root = store, root
        self.machine = FakeMachine("node-1", SystemClock(), root / "fake")
        self._here, self._networks = here, networks
        self.group = here.group

    async def start(self) -> None:
        here = self._here
        self.containers = ContainerdPods(
            here.folder / "state",
            here.folder / "run",
            plug=lambda uid, netns: self.agent.plug(uid, netns),
            unplug=lambda uid: self.agent.unplug(uid),
            cgroup=here.group,
        )
        self.agent = Agent(
            "node-1", self.store, FakeGuests(self.machine), {"runc": self.containers}, self._networks,
            self.root / "images", SystemClock(), root=self.root / "agent",
            facts=facts_of_this_machine("node-1", self.root, ("192.0.2.10",)), usage=host.usage,
        )  # fmt: skip
        self.task = asyncio.create_task(self.agent.run())
        await asyncio.wait_for(self.agent.ready.wait(), 30)

    async def stop(self) -> None:
        await super().stop()
        await self.containers.close()


@pytest.fixture
async def world(tmp_path: Path, machine: Machine, busybox: Path, networks: LinuxNetworks) -> AsyncIterator[RealWorld]:
    tmp_path.chmod(0o755)
    world = RealWorld(MemoryStore(), tmp_path, machine, networks)
    await a_network(world.store)
    await world.start()
    try:
        await world.containers.import_image(busybox)
        yield world
    finally:
        world.task.cancel()
        await asyncio.gather(world.task, return_exceptions=True)
        await world.containers.cleanup()


async def test_a_real_pod_lives_dies_comes_back_and_is_adopted(world: RealWorld, site: Site):
    await world.store.create(CONFIG_MAP, {**an_object(CONFIG_MAP, "page", {}), "data": {"index.html": "a page\n"}})
    main = a_container(
        "echo serving; exec httpd -f -p 80 -h /www",
        volumeMounts=[{"name": "www", "mountPath": "/www"}],
        readinessProbe={"httpGet": {"port": 80, "path": "/index.html"}, "periodSeconds": 1},
    )
    await run_pod(world, a_pod("web", main, volumes=[{"name": "www", "configMap": {"name": "page"}}]))
    pod = await world.until(POD, "web", lambda p: condition(p, "Ready") == "True")
    assert pod["status"]["podIP"] == "10.0.0.9"
    assert await Client(world.agent.app).get("/pods/demo/web/main/log") == (200, b"serving\n")

    os.kill(_pid_of("httpd", world.group), signal.SIGKILL)
    pod = await world.until(POD, "web", lambda p: status_of(p)["restartCount"] == 1 and condition(p, "Ready") == "True")
    assert status_of(pod)["lastState"]["terminated"]["exitCode"] == 137
    assert await Client(world.agent.app).get("/pods/demo/web/main/log", "previous=true") == (200, b"serving\n")

    await world.restart()
    state = (await world.containers.discover())[uid_of(pod)]
    assert [c.attempt for c in state.containers] == [1]
    await world.delete_pod("web")
    await world.until_gone(POD, "web")
    assert await world.containers.discover() == {}


def _pid_of(program: str, group: str) -> int:
    """The process of this test's own containers: one in its control group, and in no other."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
                groups = (entry / "cgroup").read_text()
            except OSError:
                continue
            if f":/{group}/" in groups and words[0].decode(errors="replace") == program:
                found.append(int(entry.name))
    assert len(found) == 1, found
    return found[0]
