# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lichen.store import MemoryStore, SqliteStore, Store
from tests.conformance.state import Compact, StateConformance


class OfStore(StateConformance):
    @pytest.fixture
    def compact(self, state: Store) -> Compact:
        async def forget() -> None:
            state.compact(state.revision)

        return forget


class TestMemoryStore(OfStore):
    @pytest.fixture
    async def state(self) -> AsyncIterator[Store]:
        store = MemoryStore()
        yield store
        await store.close()


class TestSqliteStore(OfStore):
    @pytest.fixture
    async def state(self, tmp_path: Path) -> AsyncIterator[Store]:
        store = await SqliteStore.open(tmp_path / "store.db")
        yield store
        await store.close()
