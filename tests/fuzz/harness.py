# SPDX-License-Identifier: Apache-2.0
"""Runs spoilt requests against a cloud in this process, and says what must never happen.

A few thousand examples in each run of the tests; `scripts/fuzz` asks for more by FUZZ_EXAMPLES and FUZZ_SEED.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, seed, settings

from tests.apis.openstack.asgi import Answer
from tests.tenancy.filling import fill, fill_kubernetes
from tests.tenancy.world import Frozen, Row, World, empty_world, thawed

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "0"))
SEED = os.environ.get("FUZZ_SEED", "")
SECONDS = 10.0
"""No answer takes longer, however busy the machine."""


@dataclass(frozen=True)
class Ask:
    """One request, as it is sent."""

    who: str
    method: str
    path: str
    body: bytes
    headers: dict[str, str]


def examples(usual: int) -> Callable[[Any], Any]:
    """How hypothesis runs: the same examples each time, unless a seed is asked for."""
    how = settings(
        max_examples=EXAMPLES or usual,
        derandomize=not SEED,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate, Phase.shrink),
    )
    return (lambda test: seed(int(SEED))(how(test))) if SEED else how


class Target:
    """A cloud for many requests, put back as it was whenever one of them changed it."""

    def __init__(self, folder: Path) -> None:
        self._runner = asyncio.Runner()
        self._stack = AsyncExitStack()
        self._world: World | None = None
        self.frozen = self._runner.run(_made(folder))
        self._rows = settled(self.frozen.rows)

    def close(self) -> None:
        self._runner.run(self._stack.aclose())
        self._runner.close()

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self._runner.run(work)

    def try_openstack(self, ask: Ask) -> Answer:
        return self.run(self._attempt(ask, "ask_openstack"))

    def try_kubernetes(self, ask: Ask) -> Answer:
        return self.run(self._attempt(ask, "ask_kubernetes"))

    async def _attempt(self, ask: Ask, language: str) -> Answer:
        if self._world is None:
            self._world = await self._stack.enter_async_context(thawed(self.frozen))
        world, before = self._world, self._world.store.revision
        try:
            async with asyncio.timeout(SECONDS):
                answer = await getattr(world, language)(ask.who, ask.method, ask.path, ask.body, ask.headers)
            assert answer.status < 500 or answer.status == 501, (ask, answer)
            if answer.status >= 400 and world.store.revision != before:
                assert settled(world.contents()) == self._rows, (ask, answer, "changed something")
            return answer
        finally:
            if world.store.revision != before:
                await self._stack.aclose()
                self._world = None


def settled(rows: list[Row]) -> list[Row]:
    """All but quotas, which are counted in the background."""
    return [row for row in rows if row[3] != "resourcequotas"]


async def _made(folder: Path) -> Frozen:
    async with empty_world(folder) as world:
        await fill(world)
        await fill_kubernetes(world)
        return world.freeze()
