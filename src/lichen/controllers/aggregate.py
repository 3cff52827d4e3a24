# SPDX-License-Identifier: Apache-2.0
"""Nodes carry what their host aggregates say as labels: the zone, and metadata that flavors can ask for."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import ClassVar

from lichen.controllers.base import Key, Mapper, World
from lichen.kinds.builtin import NODE
from lichen.kinds.compute.aggregate import Aggregate
from lichen.model.data import Object
from lichen.model.kind import Kind
from lichen.model.meta import annotations_of, labels_of, name_of
from lichen.model.names import AGGREGATE
from lichen.planning.steps import Patch, Step

ZONE = "topology.kubernetes.io/zone"
GIVEN = "lichen.dev/aggregate-labels"
"""Annotation of a Node: the labels that its aggregates gave it, with what each was before, as JSON."""
_LABEL = re.compile(r"([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?")


class AggregateController:
    name: ClassVar[str] = "aggregate"
    kind: ClassVar[Kind] = NODE

    def __init__(self, world: World) -> None:
        self.world = world
        self.nodes = world.informer(NODE)
        self.aggregates = world.informer(Aggregate.KIND)
        self.watches: Mapping[Kind, Mapper] = {Aggregate.KIND: lambda _: list(self.nodes.items)}

    async def reconcile(self, key: Key) -> float | None:
        node = self.nodes.get(key[1], key[0])
        if node is not None:
            mine = [a for a in self.aggregates.items.values() if name_of(node) in (a["spec"].get("hosts") or ())]
            await self.world.apply(plan_labels(node, mine))
        return None


def plan_labels(node: Object, aggregates: Iterable[Object]) -> list[Step]:
    """A patch of the node's labels to what its aggregates say now, [] if it has them."""
    wanted: dict[str, str] = {}
    for aggregate in sorted(aggregates, key=name_of):
        spec = aggregate["spec"]
        if spec.get("zone"):
            wanted[ZONE] = spec["zone"]
        pairs = (spec.get("metadata") or {}).items()
        wanted |= {AGGREGATE + k: v for k, v in pairs if k and _LABEL.fullmatch(k) and _LABEL.fullmatch(v)}
    labels, given = labels_of(node), _given(node)
    patch: Object = {key: value for key, value in wanted.items() if labels.get(key) != value}
    patch |= {key: before for key, before in given.items() if key not in wanted}
    before = {key: given[key] if key in given else labels.get(key) for key in wanted}
    if not patch and before == given:
        return []
    noted = {GIVEN: json.dumps(before, sort_keys=True) if before else None}
    return [Patch(NODE, name_of(node), "", {"metadata": {"labels": patch, "annotations": noted}}, "")]


def _given(node: Object) -> dict[str, str | None]:
    try:
        given = json.loads(annotations_of(node).get(GIVEN) or "{}")
    except ValueError:
        return {}
    return given if isinstance(given, dict) else {}
