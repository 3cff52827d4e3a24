# SPDX-License-Identifier: Apache-2.0
"""Volumes get a node whose disks hold them: that of what they are copied from, else the ready one that holds least."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import ClassVar

from lichen.controllers.base import Key, Mapper, World
from lichen.kinds.builtin import NODE
from lichen.kinds.volume.snapshot import VolumeSnapshot
from lichen.kinds.volume.volume import Volume
from lichen.model.data import Object
from lichen.model.kind import Kind
from lichen.model.meta import find_condition, is_deleting, labels_of, name_of, namespace_of
from lichen.planning.steps import Patch

ZONE = "topology.kubernetes.io/zone"


class VolumeController:
    name: ClassVar[str] = "volume"
    kind: ClassVar[Kind] = Volume.KIND

    def __init__(self, world: World) -> None:
        self.world = world
        self.volumes = world.informer(Volume.KIND)
        self.snapshots = world.informer(VolumeSnapshot.KIND)
        self.nodes = world.informer(NODE)
        self.watches: Mapping[Kind, Mapper] = {NODE: self._waiting}

    async def reconcile(self, key: Key) -> float | None:
        volume = self.volumes.get(key[1], key[0])
        if volume is None or is_deleting(volume) or volume["spec"].get("node"):
            return None
        node = self._source_node(volume) or self._best(volume["spec"].get("availabilityZone") or "")
        if node:
            zone = labels_of(self.nodes.get(node) or {}).get(ZONE, "") or "nova"
            patch = {"spec": {"node": node, "availabilityZone": zone}}
            await self.world.apply([Patch(Volume.KIND, key[1], key[0], patch)])
        return None

    def _source_node(self, volume: Object) -> str:
        spec, namespace = volume["spec"], namespace_of(volume)
        source = None
        if spec.get("source"):
            source = self.volumes.get(spec["source"], namespace)
        elif spec.get("snapshot"):
            source = self.snapshots.get(spec["snapshot"], namespace)
        return (source or {"spec": {}})["spec"].get("node") or ""

    def _best(self, zone: str) -> str:
        """The ready node (of the zone, if one has that name) that holds the fewest GiB; "" if there is none."""
        ready = [n for n in self.nodes.items.values() if (find_condition(n, "Ready") or {}).get("status") == "True"]
        held: Counter[str] = Counter()
        for volume in self.volumes.items.values():
            held[volume["spec"].get("node") or ""] += volume["spec"].get("size") or 0
        zoned = [node for node in ready if labels_of(node).get(ZONE, "nova") == zone] if zone else []
        names = [name_of(node) for node in zoned or ready]
        return min(names, key=lambda name: (held[name], name), default="")

    def _waiting(self, _: Object) -> list[Key]:
        return [(namespace_of(v), name_of(v)) for v in self.volumes.items.values() if not v["spec"].get("node")]
