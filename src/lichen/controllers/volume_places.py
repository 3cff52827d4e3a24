# SPDX-License-Identifier: Apache-2.0
"""Which pools of volumes a workload must reach from its node: those that hold the volumes it names or claims."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from lichen.controllers.base import World
from lichen.kinds.builtin import NODE, PERSISTENT_VOLUME_CLAIM
from lichen.kinds.volume.volume import Volume
from lichen.model.data import Object
from lichen.model.meta import labels_of, name_of, namespace_of
from lichen.model.names import POOL
from lichen.model.state import EventType
from lichen.planning.claims import claims_of, volume_name


class VolumePlaces:
    """changed: called when a volume was given a node, or a claim its volume."""

    def __init__(self, world: World, changed: Callable[[], None]) -> None:
        self.nodes = world.informer(NODE)
        self.volumes = world.informer(Volume.KIND)
        self.claims = world.informer(PERSISTENT_VOLUME_CLAIM)
        self._changed = changed
        self.volumes.subscribe(self._moved)

    async def synced(self) -> None:
        for informer in (self.nodes, self.volumes, self.claims):
            await informer.synced()

    def of(self, obj: Object) -> tuple[tuple[str, ...], str]:
        """(the pools, in order; what is not placed yet, in words, "" if everything is)"""
        pools: set[str] = set()
        for volume, name in self._wanted(obj):
            node = (volume or {"spec": {}})["spec"].get("node") or ""
            if not node:
                return (), f"volume {name} has no node yet"
            pools.add(labels_of(self.nodes.get(node) or {}).get(POOL) or node)
        return tuple(sorted(pools)), ""

    def _wanted(self, obj: Object) -> Iterable[tuple[Object | None, str]]:
        """The volumes that the workload has from its start. A claim whose volume is still to be made goes anywhere: it
        is made where its first pod is."""
        namespace = namespace_of(obj)
        if _is_server(obj):
            for entry in obj["spec"].get("volumes") or []:
                yield self.volumes.get(entry["volume"], namespace), entry["volume"]
            return
        for name in claims_of(obj):
            claim = self.claims.get(name, namespace)
            volume = self.volumes.get(volume_name(claim), namespace) if claim is not None else None
            if volume is not None:
                yield volume, name_of(volume)

    def _moved(self, event: EventType, volume: Object, old: Object | None) -> None:
        if volume["spec"].get("node") and (old or {"spec": {}})["spec"].get("node") != volume["spec"]["node"]:
            self._changed()


def _is_server(obj: Object) -> bool:
    return obj.get("kind") == "Server"
