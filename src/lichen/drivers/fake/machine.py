# SPDX-License-Identifier: Apache-2.0
"""A simulated host: what is on its disks and what runs on it. It outlives the drivers that speak to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from lichen.drivers.base import (
    GroupSpec,
    GuestNic,
    GuestPower,
    GuestSpec,
    NetworkSpec,
    PodSpec,
    PortSpec,
    RouterSpec,
    ServiceRule,
)

if TYPE_CHECKING:
    from lichen.drivers.fake.console import FakeConsole
    from lichen.drivers.fake.containers import FakeContainer


class Clock(Protocol):
    """Time, real or driven."""

    def now(self) -> float: ...
    async def sleep(self, seconds: float) -> None: ...


@dataclass(frozen=True, slots=True)
class Timing:
    """How long a simulated machine takes, in seconds of its clock."""

    disk: float = 0.01
    start: float = 0.02
    boot: float = 1.5
    shutdown: float = 0.5
    image: float = 0.02
    sandbox: float = 0.02
    container: float = 0.01


@dataclass(slots=True)
class FakeGuest:
    """A simulated VM. `runs` are (started, ended), None while it goes on; seen: bytes of its volumes, as it knows."""

    spec: GuestSpec
    has_disk: bool = False
    power: GuestPower = GuestPower.SHUTDOWN
    runs: list[tuple[float, float | None]] = field(default_factory=list)
    nics: list[GuestNic] = field(default_factory=list)
    seen: dict[str, int] = field(default_factory=dict)
    console: FakeConsole | None = None
    talking: asyncio.Task[None] | None = None


@dataclass(slots=True)
class FakePod:
    """A simulated sandbox and every attempt at its containers, newest last."""

    spec: PodSpec
    ips: tuple[str, ...] = ()
    ready: bool = True
    containers: dict[str, list[FakeContainer]] = field(default_factory=dict)


class Changes:
    """Ids, as they are told; one per listener. It listens from when it is made."""

    def __init__(self, listeners: set[Changes]) -> None:
        self._queue: asyncio.Queue[str | None] = asyncio.Queue()
        self._listeners = listeners
        listeners.add(self)

    def tell(self, identity: str | None) -> None:
        """None ends it."""
        self._queue.put_nowait(identity)

    def __aiter__(self) -> AsyncIterator[str]:
        return self

    async def __anext__(self) -> str:
        identity = await self._queue.get()
        if identity is None:
            self._listeners.discard(self)
            raise StopAsyncIteration
        return identity

    async def aclose(self) -> None:
        self._listeners.discard(self)


class FakeMachine:
    """The state of one simulated host. root: where container logs are written; made when first needed."""

    def __init__(self, name: str, clock: Clock, root: Path, *, timing: Timing | None = None) -> None:
        self.name = name
        self.clock = clock
        self.root = root
        self.timing = timing or Timing()
        self.guests: dict[str, FakeGuest] = {}
        self.pods: dict[str, FakePod] = {}
        self.networks: dict[str, NetworkSpec] = {}
        self.ports: dict[str, PortSpec] = {}
        self.services: tuple[ServiceRule, ...] = ()
        self.groups: dict[str, GroupSpec] = {}
        self.routers: dict[str, RouterSpec] = {}
        self.names: dict[str, tuple[tuple[str, str], ...]] = {}
        self.images: dict[str, str] = {}
        self.guest_listeners: set[Changes] = set()
        self.pod_listeners: set[Changes] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def tell_guest(self, guest_id: str) -> None:
        """A guest's power changed by itself."""
        for listener in tuple(self.guest_listeners):
            listener.tell(guest_id)

    def tell_pod(self, pod_uid: str) -> None:
        """Something in a pod changed by itself."""
        for listener in tuple(self.pod_listeners):
            listener.tell(pod_uid)

    def later(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run what the machine does by itself; it ends with the machine, not with a driver."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def power_off(self) -> None:
        """Pull the plug: everything that runs is gone, disks stay."""
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        now = self.clock.now()
        for guest in self.guests.values():
            if guest.power == GuestPower.RUNNING:
                guest.power = GuestPower.CRASHED
                guest.runs[-1] = (guest.runs[-1][0], now)
        self.pods.clear()
        self.networks.clear()
        self.ports.clear()
        self.services = ()
        self.groups = {}
        self.routers = {}
        self.names = {}
