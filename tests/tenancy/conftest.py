# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.tenancy.filling import fill
from tests.tenancy.world import Frozen, empty_world


@pytest.fixture(scope="session")
def frozen(tmp_path_factory: pytest.TempPathFactory) -> Frozen:
    """The cloud that every attempt begins with."""
    return asyncio.run(_frozen(tmp_path_factory.mktemp("tenancy")))


async def _frozen(folder: Path) -> Frozen:
    async with empty_world(folder) as world:
        await fill(world)
        return world.freeze()
