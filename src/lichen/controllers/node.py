# SPDX-License-Identifier: Apache-2.0
"""Nodes are watched over by their leases."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from lichen.controllers.base import Key, Mapper, World
from lichen.kinds.builtin import LEASE, NODE, POD
from lichen.model.data import Object
from lichen.model.errors import NotFound
from lichen.model.kind import Kind
from lichen.model.meta import name_of, namespace_of
from lichen.planning.nodes import GRACE, plan_node, plan_orphans

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
        self.since = world.now()
        self.heard: dict[str, tuple[str, float]] = {}
        """By node: the lease's renewTime, and when that was first seen here: clocks of nodes may differ."""
        self.gone: dict[str, float] = {}
        self.watches: Mapping[Kind, Mapper] = {
            LEASE: lambda lease: [("", name_of(lease))] if namespace_of(lease) == LEASES else [],
            POD: lambda pod: [("", name) for name in _node_of(pod) if self.nodes.get(name) is None],
        }

    async def reconcile(self, key: Key) -> float | None:
        node, now = self.nodes.get(key[1]), self.world.now()
        pods = self.pods.by_index("node", key[1])
        if node is None:
            return await self._orphans(key[1], pods, now)
        self.gone.pop(key[1], None)
        silent = self._silence(key[1], now)
        cut_off = silent is not None and silent > GRACE and not self._hears_any(now)
        plan = plan_node(node, silent, pods, now, since=self.since, cut_off=cut_off)
        await self.world.apply(plan.steps)
        return plan.again

    async def _orphans(self, name: str, pods: list[Object], now: float) -> float | None:
        """A node that is deleted while its agent lives comes back within the grace."""
        if not pods:
            self.gone.pop(name, None)
            self.heard.pop(name, None)
            return None
        wait = self.gone.setdefault(name, now) + GRACE - now
        if wait > 0:
            return wait
        try:
            await self.world.state.get(NODE, name)
        except NotFound:
            await self.world.apply(plan_orphans(pods))
        return GRACE

    def _silence(self, name: str, now: float) -> float | None:
        lease = self.leases.get(name, LEASES)
        stamp = ((lease or {}).get("spec") or {}).get("renewTime")
        if not stamp:
            return None
        if self.heard.get(name, ("", 0.0))[0] != stamp:
            self.heard[name] = (stamp, now)
        return now - self.heard[name][1]

    def _hears_any(self, now: float) -> bool:
        return any((silent := self._silence(name, now)) is None or silent <= GRACE for _, name in self.nodes.items)


def _node_of(pod: Object) -> list[str]:
    return [pod["spec"]["nodeName"]] if pod["spec"].get("nodeName") else []
