# SPDX-License-Identifier: Apache-2.0
"""A session is a State: it passes the suite that every store passes."""

from __future__ import annotations

import pytest

from lichen.kernel.kernel import SYSTEM
from lichen.kernel.session import Session
from tests.conformance.state import Compact, StateConformance
from tests.kernel.helpers import a_kernel


class TestSession(StateConformance):
    @pytest.fixture
    async def state(self) -> Session:
        self.kernel = await a_kernel()
        return self.kernel.acting(SYSTEM)

    @pytest.fixture
    def compact(self, state: Session) -> Compact:
        async def forget() -> None:
            self.kernel.store.compact(self.kernel.store.revision)  # type: ignore[attr-defined]

        return forget
