# SPDX-License-Identifier: Apache-2.0
"""What a node and its pods use. Nothing is measured while nobody asks: two looks at the counters make a while."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from lichen.drivers.base import ContainerUsage
from lichen.model.usage import Measured, Usage
from lichen.runtime.clock import Clock

SHORTEST, LONGEST = 1.0, 60.0
"""Seconds between two looks: less says little, and more is of the past."""


class _Look(NamedTuple):
    at: float
    node: Usage
    containers: ContainerUsage


class Meter:
    """node, pods: read the counters."""

    def __init__(self, node: Callable[[], Usage], pods: Callable[[], Awaitable[ContainerUsage]], clock: Clock) -> None:
        self._node = node
        self._pods = pods
        self._clock = clock
        self._looks: list[_Look] = []
        self._busy = asyncio.Lock()

    async def measure(self) -> Measured:
        """The while up to now, or up to a second ago if somebody has just asked."""
        async with self._busy:
            now = self._clock.now()
            self._looks = [look for look in self._looks[-2:] if now - look.at <= LONGEST]
            if not self._looks:
                self._looks.append(await self._look())
            if self._clock.now() - self._looks[-1].at >= SHORTEST:
                self._looks.append(await self._look())
            elif len(self._looks) < 2:
                await self._clock.sleep(SHORTEST)
                self._looks.append(await self._look())
            return measured(*self._looks[-2:])

    async def _look(self) -> _Look:
        containers = await self._pods()
        return _Look(self._clock.now(), self._node(), containers)


def measured(before: _Look, after: _Look) -> Measured:
    """Of what was there at both looks; what has just started is told the next time."""
    window = after.at - before.at
    pods: dict[str, dict[str, Usage]] = {}
    for key, usage in after.containers.items():
        if key in before.containers:
            uid, name, _ = key
            pods.setdefault(uid, {})[name] = _rate(before.containers[key], usage, window)
    return Measured(after.at, window, _rate(before.node, after.node, window), pods)


def _rate(before: Usage, after: Usage, window: float) -> Usage:
    return Usage(max(0, round((after.cpu - before.cpu) / window)), after.memory)
