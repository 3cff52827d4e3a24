# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.tenancy.filling import fill, fill_kubernetes
from tests.tenancy.world import Frozen, empty_world


@pytest.fixture(scope="session")
def frozen(tmp_path_factory: pytest.TempPathFactory) -> Frozen:
    """The cloud that every attempt begins with."""
    return asyncio.run(_frozen(tmp_path_factory.mktemp("tenancy")))


@pytest.fixture(scope="session")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Frozen:
    """The same, with an object of each kind."""
    return asyncio.run(_frozen(tmp_path_factory.mktemp("furnished"), every_kind=True))


async def _frozen(folder: Path, *, every_kind: bool = False) -> Frozen:
    async with empty_world(folder) as world:
        await fill(world)
        if every_kind:
            await fill_kubernetes(world)
        return world.freeze()
