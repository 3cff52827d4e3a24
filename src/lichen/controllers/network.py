# SPDX-License-Identifier: Apache-2.0
"""Networks list their subnets and are active: nodes make them when a port needs them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from lichen.controllers.base import Key, Mapper, World
from lichen.kinds.network.network import Network
from lichen.kinds.network.subnet import Subnet
from lichen.model.data import Object
from lichen.model.kind import Kind
from lichen.model.meta import name_of, namespace_of
from lichen.planning.steps import patch_status


class NetworkController:
    name: ClassVar[str] = "network"
    kind: ClassVar[Kind] = Network.KIND

    def __init__(self, world: World) -> None:
        self.world = world
        self.networks = world.informer(Network.KIND)
        self.subnets = world.informer(Subnet.KIND)
        self.subnets.add_index("network", lambda subnet: ["/".join(_network_of(subnet)[0])])
        self.watches: Mapping[Kind, Mapper] = {Subnet.KIND: _network_of}

    async def reconcile(self, key: Key) -> float | None:
        network = self.networks.get(key[1], key[0])
        if network is not None:
            up = network["spec"].get("adminStateUp", True)
            subnets = sorted(name_of(s) for s in self.subnets.by_index("network", "/".join(key)))
            wanted = {"phase": "ACTIVE" if up else "DOWN", "subnets": subnets}
            await self.world.apply(patch_status(Network.KIND, network, wanted))
        return None


def _network_of(subnet: Object) -> list[Key]:
    return [(namespace_of(subnet), subnet["spec"]["network"])]
