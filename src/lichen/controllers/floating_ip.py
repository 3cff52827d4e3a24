# SPDX-License-Identifier: Apache-2.0
"""Floating IPs let go of ports that are gone, and say whether they lead anywhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from lichen.controllers.base import Key, Mapper, World
from lichen.kinds.network.floatingip import FloatingIP
from lichen.kinds.network.port import Port
from lichen.model.data import Object
from lichen.model.kind import Kind
from lichen.model.meta import name_of, namespace_of
from lichen.planning.steps import Patch, Step, patch_status


class FloatingIPController:
    name: ClassVar[str] = "floating-ip"
    kind: ClassVar[Kind] = FloatingIP.KIND

    def __init__(self, world: World) -> None:
        self.world = world
        self.floating = world.informer(FloatingIP.KIND)
        self.ports = world.informer(Port.KIND)
        self.floating.add_index("port", lambda floating: [floating["spec"].get("portId") or ""])
        self.watches: Mapping[Kind, Mapper] = {Port.KIND: self._floating_of}

    async def reconcile(self, key: Key) -> float | None:
        floating = self.floating.get(key[1], key[0])
        if floating is not None:
            spec = floating["spec"]
            port = self.ports.get(spec.get("port") or "", key[0])
            leads = port is not None and port["spec"].get("id") == spec.get("portId")
            steps: list[Step] = []
            if spec.get("port") and not leads:
                steps.append(Patch(FloatingIP.KIND, key[1], key[0], {"spec": {"port": ""}}))
            steps += patch_status(FloatingIP.KIND, floating, {"phase": "ACTIVE" if leads else "DOWN"})
            await self.world.apply(steps)
        return None

    def _floating_of(self, port: Object) -> list[Key]:
        return [(namespace_of(f), name_of(f)) for f in self.floating.by_index("port", port["spec"].get("id") or "-")]
