# SPDX-License-Identifier: Apache-2.0
"""Events go an hour after they were last seen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from lichen.controllers.base import Key, Mapper, World
from lichen.kinds.builtin import EVENT
from lichen.model.data import Object
from lichen.model.kind import Kind
from lichen.model.meta import name_of, namespace_of, uid_of
from lichen.planning.steps import Delete
from lichen.planning.times import seconds_of

LIFETIME = 3600.0


class EventController:
    name: ClassVar[str] = "event"
    kind: ClassVar[Kind] = EVENT

    def __init__(self, world: World) -> None:
        self.world = world
        self.events = world.informer(EVENT)
        self.watches: Mapping[Kind, Mapper] = {}

    async def reconcile(self, key: Key) -> float | None:
        event = self.events.get(key[1], key[0])
        if event is None:
            return None
        left = last_seen(event) + LIFETIME - self.world.now()
        if left > 0:
            return left
        await self.world.apply([Delete(EVENT, name_of(event), namespace_of(event), uid_of(event))])
        return None


def last_seen(event: Object) -> float:
    """Unix seconds."""
    series = event.get("series") or {}
    texts = (series.get("lastObservedTime"), event.get("lastTimestamp"), event.get("eventTime"))
    created = event["metadata"].get("creationTimestamp")
    return max(map(seconds_of, (*texts, created)))
