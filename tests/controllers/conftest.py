# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.controllers.world import Cloud, a_cloud


@pytest.fixture
async def cloud() -> AsyncIterator[Cloud]:
    async with a_cloud() as made:
        yield made
