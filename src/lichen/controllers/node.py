# SPDX-License-Identifier: Apache-2.0
"""Nodes are watched over by their leases."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import ClassVar

from lichen.controllers.base import Key, Mapper, World
from lichen.kinds.builtin import LEASE, NODE, POD
from lichen.model.data import Object
from lichen.model.kind import Kind
from lichen.planning.nodes import GRACE, plan_node

LEASES = "kube-node-lease"


class NodeController:
    name: ClassVar[str] = "node"
    kind: ClassVar[Kind] = NODE

    def __init__(self, world: World) -> None:
        self.world = world
        self.nodes = world.informer(NODE)
        self.leases = world.informer(LEASE)
        self.pods = world.informer(POD)
        self.pods.add_index("node", _node_of)
        self.watches: Mapping[Kind, Mapper] = {}

    async def reconcile(self, key: Key) -> float | None:
        node = self.nodes.get(key[1])
        if node is None:
            return None
        now, renewed = self.world.now(), self._renewed(key[1])
        pods = self.pods.by_index("node", key[1])
        await self.world.apply(plan_node(node, renewed, pods, now, self.world.now_text()))
        silent = now - renewed if renewed is not None else 0.0
        return max(GRACE - silent, 0.0) + 1.0 if silent <= GRACE else GRACE / 4

    def _renewed(self, name: str) -> float | None:
        lease = self.leases.get(name, LEASES)
        stamp = ((lease or {}).get("spec") or {}).get("renewTime")
        return datetime.fromisoformat(stamp).timestamp() if stamp else None


def _node_of(pod: Object) -> list[str]:
    return [pod["spec"]["nodeName"]] if pod["spec"].get("nodeName") else []
