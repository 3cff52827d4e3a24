# SPDX-License-Identifier: Apache-2.0
"""A store that lives as long as its process."""

from __future__ import annotations

from lichen.store.engine import Window
from lichen.store.state import WATCH_BUFFER, Store


class MemoryStore(Store):
    """State in memory only: for simulation and tests."""

    def __init__(self, window: Window = Window(), *, watch_buffer: int = WATCH_BUFFER) -> None:  # noqa: B008
        super().__init__(window, durable=False, watch_buffer=watch_buffer)
