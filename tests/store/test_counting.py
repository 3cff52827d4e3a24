# SPDX-License-Identifier: Apache-2.0
"""What a store tells of its writes and its size."""

from __future__ import annotations

import asyncio
from pathlib import Path

from lichen.kinds.builtin import CONFIG_MAP
from lichen.model.kind import new_object
from lichen.model.metrics import COMMIT_SIZES, COMMITS, Histogram
from lichen.store.sqlite import SqliteStore


def _count_and_sum(histogram: Histogram) -> tuple[float, float]:
    cell = histogram.cells.get((), [0.0])
    return sum(cell[:-1]), cell[-1]


async def test_every_group_that_is_committed_is_timed_and_its_writes_are_counted(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path / "store.db")
    timed, (_, writes) = _count_and_sum(COMMITS), _count_and_sum(COMMIT_SIZES)
    await asyncio.gather(*(store.create(CONFIG_MAP, new_object(CONFIG_MAP, f"c{n}", "shop")) for n in range(5)))
    assert _count_and_sum(COMMITS)[0] > timed[0]
    assert _count_and_sum(COMMIT_SIZES)[1] == writes + 5
    assert store.disk_bytes() > 4096
    await store.close()


async def test_watches_are_counted_by_what_they_watch_until_they_end(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path / "store.db")
    first, second = store.watch_raw(CONFIG_MAP, "shop"), store.watch_raw(CONFIG_MAP)
    assert store.watchers() == {("", "configmaps"): 2}
    await first.aclose()
    await second.aclose()
    assert store.watchers() == {}
    await store.close()
