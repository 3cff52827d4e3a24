# SPDX-License-Identifier: Apache-2.0
"""Watches of what the caller may see only for as long as something else is stored: asked again before each telling."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from lichen.kernel.access import Guard
from lichen.model.state import Event, EventType


async def guarded_events(guard: Guard, events: AsyncIterator[Event]) -> AsyncIterator[Event]:
    """A watch's events. Forbidden ends it."""
    try:
        async for event in events:
            if event.type is not EventType.BOOKMARK:
                await guard()
            yield event
    finally:
        await events.aclose()  # type: ignore[attr-defined]


class GuardedWatcher:
    """A raw watch. Forbidden ends it."""

    def __init__(self, guard: Guard, watcher: Any) -> None:
        self._guard = guard
        self._watcher = watcher

    async def batch(self, most: int = 1024) -> list[Any]:
        events: list[Any] = await self._watcher.batch(most)
        if any(event.type is not EventType.BOOKMARK for event in events):
            await self._guard()
        return events

    def __aiter__(self) -> GuardedWatcher:
        return self

    async def __anext__(self) -> tuple[EventType, bytes, int]:
        event: tuple[EventType, bytes, int] = await self._watcher.__anext__()
        if event[0] is not EventType.BOOKMARK:
            await self._guard()
        return event

    async def aclose(self) -> None:
        await self._watcher.aclose()
