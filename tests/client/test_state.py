# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest

from lichen.client.remote import RemoteCloud
from lichen.client.state import RemoteState
from lichen.kernel.kernel import Kernel
from tests.conformance.state import Compact, StateConformance


class TestRemoteState(StateConformance):
    @pytest.fixture
    def state(self, cloud: RemoteCloud) -> RemoteState:
        return cloud.state

    @pytest.fixture
    def compact(self, kernel: Kernel) -> Compact:
        async def forget() -> None:
            store: Any = kernel.store
            store.compact(store.revision)

        return forget
