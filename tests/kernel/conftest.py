# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from lichen.kernel.kernel import SYSTEM, Kernel
from lichen.kernel.session import Session
from tests.kernel.helpers import a_kernel


@pytest.fixture
async def kernel() -> Kernel:
    return await a_kernel()


@pytest.fixture
async def session(kernel: Kernel) -> Session:
    return kernel.acting(SYSTEM)
