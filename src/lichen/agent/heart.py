# SPDX-License-Identifier: Apache-2.0
"""Heartbeats of all agents of a process, spread over the interval: a thousand simulated nodes do not beat as one."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from lichen.model.errors import LichenError
from lichen.runtime.clock import Clock

log = logging.getLogger(__name__)

INTERVAL = 10.0
MANY = 100
SLOW = 25.0
"""Seconds between beats of more than MANY nodes; below the 40 s after which a node counts as lost."""

Beat = Callable[[], Awaitable[None]]


class Heart:
    """One loop that beats for everyone who joined."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._beats: dict[str, Beat] = {}
        self._task: asyncio.Task[None] | None = None

    def join(self, name: str, beat: Beat) -> None:
        """The first beat is the caller's own business; the next comes within an interval."""
        self._beats[name] = beat
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def leave(self, name: str) -> None:
        self._beats.pop(name, None)
        if not self._beats and self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def _run(self) -> None:
        while names := tuple(self._beats):
            interval = INTERVAL if len(names) <= MANY else SLOW
            for name in names:
                await self._clock.sleep(interval / len(names))
                beat = self._beats.get(name)
                if beat is not None:
                    await self._safely(name, beat)

    async def _safely(self, name: str, beat: Beat) -> None:
        try:
            await asyncio.wait_for(beat(), INTERVAL)
        except (LichenError, OSError, TimeoutError) as error:
            log.warning("node %s missed a heartbeat: %s", name, error)
        except Exception:
            log.exception("node %s missed a heartbeat", name)
