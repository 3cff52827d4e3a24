# SPDX-License-Identifier: Apache-2.0
"""Pods get their port, with its addresses, while they wait for a node."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from lichen.controllers.base import Key, Mapper, World, by_owner
from lichen.kinds.builtin import NAMESPACE, POD
from lichen.kinds.network.port import Port
from lichen.model.kind import Kind
from lichen.planning.ports import plan_pod_port, pod_port_name


class PodPortController:
    name: ClassVar[str] = "pod-port"
    kind: ClassVar[Kind] = POD

    def __init__(self, world: World) -> None:
        self.world = world
        self.pods = world.informer(POD)
        self.ports = world.informer(Port.KIND)
        self.namespaces = world.informer(NAMESPACE)
        self.watches: Mapping[Kind, Mapper] = {Port.KIND: by_owner("Pod")}

    async def reconcile(self, key: Key) -> float | None:
        pod = self.pods.get(key[1], key[0])
        if pod is not None:
            port = self.ports.get(pod_port_name(key[1]), key[0])
            await self.world.apply_told(plan_pod_port(pod, self.namespaces.get(key[0]), port), pod, "FailedCreatePort")
        return None
