# SPDX-License-Identifier: Apache-2.0
"""Zones follow the labels of nodes, so that everybody can see where things can be."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import ClassVar

from lichen.controllers.base import Key, Mapper, World
from lichen.kinds.builtin import NODE
from lichen.kinds.compute.zone import Zone
from lichen.model.data import Object
from lichen.model.kind import Kind, new_object
from lichen.model.meta import find_condition, labels_of, name_of
from lichen.model.names import slug
from lichen.planning.steps import Create, Delete, Step, patch_status

LABEL = "topology.kubernetes.io/zone"
DEFAULT = "nova"
"""The zone of a node without the label."""
ALL: Key = ("", "")


class ZoneController:
    name: ClassVar[str] = "zone"
    kind: ClassVar[Kind] = Zone.KIND

    def __init__(self, world: World) -> None:
        self.world = world
        self.nodes = world.informer(NODE)
        self.zones = world.informer(Zone.KIND)
        self.watches: Mapping[Kind, Mapper] = {NODE: lambda _: [ALL]}

    async def reconcile(self, key: Key) -> float | None:
        await self.world.apply(plan_zones(self.nodes.items.values(), self.zones.items.values()))
        return None


def plan_zones(nodes: Iterable[Object], zones: Iterable[Object]) -> list[Step]:
    """Zones made, told and removed as nodes are there."""
    wanted: dict[str, list[Object]] = {}
    for node in nodes:
        wanted.setdefault(labels_of(node).get(LABEL) or DEFAULT, []).append(node)
    held = {(zone.get("spec") or {}).get("displayName", ""): zone for zone in zones}
    steps: list[Step] = []
    for text, members in sorted(wanted.items()):
        zone = held.get(text)
        if zone is None:
            zone = new_object(Zone.KIND, slug(text, 63), spec={"displayName": text})
            steps.append(Create(Zone.KIND, zone))
        status = {"available": any(_takes(node) for node in members), "nodes": len(members)}
        steps += patch_status(Zone.KIND, zone, status)
    return steps + [Delete(Zone.KIND, name_of(zone), "") for text, zone in held.items() if text not in wanted]


def _takes(node: Object) -> bool:
    ready = (find_condition(node, "Ready") or {}).get("status") == "True"
    return ready and not (node.get("spec") or {}).get("unschedulable", False)
