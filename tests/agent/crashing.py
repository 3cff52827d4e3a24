# SPDX-License-Identifier: Apache-2.0
"""An agent that is killed at its n-th effect: a call that changes the machine, or a write of what it reports.

    async with a_mortal_world(root, Fuse(at=7, after=True)) as world:   # dies when the 7th is done, before it knows
        ...                                                              # a fresh agent goes on on the same machine

Kernel, controllers and garbage collection are real and live on; the machine is simulated and remembers.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

from lichen.agent.agent import Agent
from lichen.agent.node import Capacity, NodeFacts
from lichen.controllers.run import manage
from lichen.drivers.fake import FakeGuests, FakeMachine, FakeNetworks, FakePods
from lichen.drivers.fake.blocks import FakeBlocks, FakeMounts, FakePool
from lichen.drivers.fake.usage import machine_usage
from lichen.kernel.collector import Collector
from lichen.kernel.kernel import SYSTEM
from lichen.kernel.session import Session
from lichen.kinds.builtin import EVENT, LEASE, NAMESPACE, NODE
from lichen.model.kind import Kind, new_object
from lichen.runtime.clock import SystemClock
from tests.agent.world import FAST
from tests.controllers.world import DEMO, Cloud
from tests.kernel.helpers import a_kernel

READS = {"discover", "discover_routers", "images", "space", "console", "reach", "exec", "talk", "dial", "get", "list"}
UNTOLD = (EVENT, LEASE, NODE)
"""What the agent writes about itself: when, is chance."""


class Fuse:
    """Counts effects; at the `at`-th the agent dies: before it happens, or `after` it has and before it is known."""

    def __init__(self, at: int = 0, *, after: bool = False) -> None:
        self.at = at
        self.after = after
        self.effects: list[str] = []
        self.blown = asyncio.Event()

    async def effect(self, name: str, act: Callable[[], Awaitable[Any]]) -> Any:
        self.check()
        self.effects.append(name)
        if len(self.effects) != self.at:
            return await act()
        if self.after:
            await act()
        self.blown.set()
        raise asyncio.CancelledError

    def check(self) -> None:
        """The dead do nothing, and see nothing."""
        if self.blown.is_set():
            raise asyncio.CancelledError


class Wired:
    """A driver or a State whose calls go over a fuse."""

    def __init__(self, inner: Any, fuse: Fuse) -> None:
        self._inner = inner
        self._fuse = fuse

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._inner, name)
        if not inspect.iscoroutinefunction(value):
            return value

        async def call(*arguments: Any, **named: Any) -> Any:
            kind = next((a for a in arguments if isinstance(a, Kind)), None)
            if name in READS or kind in UNTOLD:
                self._fuse.check()
                return await value(*arguments, **named)
            told = f"{name} {kind.plural}{named.get('subresource', '')}" if kind else name
            return await self._fuse.effect(told, lambda: value(*arguments, **named))

        return call


class MortalWorld(Cloud):
    """The cloud's state, and one simulated machine whose agent dies and is started again."""

    def __init__(self, state: Session, root: Path, fuse: Fuse) -> None:
        super().__init__(state, SystemClock())
        self.root = root
        self.fuse = fuse
        self.machine = FakeMachine("node-1", self.clock, root / "machine", timing=FAST)
        self.pool = FakePool()
        self.mounts = FakeMounts(root / "mounts")
        self.images = root / "images"

    async def live(self) -> None:
        """Run the agent; when its fuse blows, kill it and run another."""
        await self._run(self.fuse)
        await self._run(Fuse())

    async def _run(self, fuse: Fuse) -> None:
        agent = self._agent(fuse)
        task, blown = asyncio.create_task(agent.run()), asyncio.create_task(fuse.blown.wait())
        try:
            await asyncio.wait({task, blown}, return_when=asyncio.FIRST_COMPLETED)
            assert fuse.blown.is_set(), task.exception()
        finally:
            for each in (task, blown):
                each.cancel()
            await asyncio.gather(task, blown, return_exceptions=True)

    def _agent(self, fuse: Fuse) -> Agent:
        def wired(driver: Any) -> Any:
            return Wired(driver, fuse)

        pods = FakePods(
            self.machine, plug=lambda uid, netns: agent.plug(uid, netns), unplug=lambda uid: agent.unplug(uid)
        )
        facts = NodeFacts(
            "node-1", Capacity(16000, 8 << 30, 100 << 30), ("192.0.2.10",), accelerator="fake", engine="fake://1"
        )
        agent = Agent(
            "node-1", wired(self.state), wired(FakeGuests(self.machine, self.pool)), {"runc": wired(pods)},
            wired(FakeNetworks(self.machine)), self.images, self.clock, root=self.root / "node-1", facts=facts,
            usage=partial(machine_usage, self.machine), blocks=wired(FakeBlocks(self.pool)), mounts=wired(self.mounts),
        )  # fmt: skip
        return agent

    async def comes_true(self, wanted: Callable[[], Awaitable[Any]]) -> None:
        """What `wanted` asserts holds within a few seconds, and then stays so for a moment."""
        deadline = self.clock.now() + 8
        while True:
            try:
                await wanted()
                await asyncio.sleep(0.02)
                return await wanted()
            except AssertionError:
                if self.clock.now() > deadline:
                    raise
            await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def a_mortal_world(root: Path, fuse: Fuse) -> AsyncIterator[MortalWorld]:
    kernel = await a_kernel()
    session = kernel.acting(SYSTEM)
    await session.create(NAMESPACE, new_object(NAMESPACE, DEMO))
    world = MortalWorld(session, root, fuse)
    works = [Collector(session, kernel.catalog).run(), manage(session, world.clock), world.live()]
    tasks = [asyncio.create_task(work) for work in works]
    try:
        yield world
        for task in tasks:
            assert not task.done(), task.exception() if not task.cancelled() else task
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await world.machine.power_off()
