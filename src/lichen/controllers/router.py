# SPDX-License-Identifier: Apache-2.0
"""Routers say what they join, and what address they have outside."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from lichen.controllers.base import Key, Mapper, World
from lichen.kinds.network.port import Port
from lichen.kinds.network.router import ROUTER_INTERFACE, Router
from lichen.model.data import Object
from lichen.model.kind import Kind
from lichen.model.meta import name_of, namespace_of
from lichen.planning.steps import Step, patch_status


class RouterController:
    name: ClassVar[str] = "router"
    kind: ClassVar[Kind] = Router.KIND

    def __init__(self, world: World) -> None:
        self.world = world
        self.routers = world.informer(Router.KIND)
        self.ports = world.informer(Port.KIND)
        self.routers.add_index("id", lambda router: [router["spec"].get("id", "")])
        self.ports.add_index("router", _router_id)
        self.watches: Mapping[Kind, Mapper] = {Port.KIND: self._router_of}

    async def reconcile(self, key: Key) -> float | None:
        router = self.routers.get(key[1], key[0])
        if router is None:
            return None
        spec = router["spec"]
        subnets = {
            fixed.get("subnet") or fixed.get("subnetId", "")
            for port in self.ports.by_index("router", spec.get("id", ""))
            for fixed in port["spec"].get("fixedIps") or ()
        }
        outside = [fixed["ipAddress"] for fixed in (spec.get("externalGateway") or {}).get("fixedIps") or ()]
        phase = "ACTIVE" if spec.get("adminStateUp", True) else "DOWN"
        wanted = {"phase": phase, "subnets": sorted(subnets), "gateway": ", ".join(outside)}
        await self.world.apply([*patch_status(Router.KIND, router, wanted), *self._ports(spec)])
        return None

    def _ports(self, spec: Object) -> list[Step]:
        """Its interfaces are made on each node together with the first port there that has use for them; a router that
        is off keeps them."""
        steps: list[Step] = []
        for port in self.ports.by_index("router", spec.get("id", "")):
            phase = "ACTIVE" if port["spec"].get("adminStateUp", True) else "DOWN"
            steps += patch_status(Port.KIND, port, {"phase": phase})
        return steps

    def _router_of(self, port: Object) -> list[Key]:
        return [(namespace_of(r), name_of(r)) for id in _router_id(port) for r in self.routers.by_index("id", id)]


def _router_id(port: Object) -> list[str]:
    return [port["spec"].get("deviceId", "")] if port["spec"].get("deviceOwner") == ROUTER_INTERFACE else []
