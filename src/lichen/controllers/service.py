# SPDX-License-Identifier: Apache-2.0
"""Services get EndpointSlices and Endpoints from the pods they select; Endpoints of people's own get EndpointSlices;
the API's own are kept true."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from lichen.controllers.base import Key, Mapper, World, itself
from lichen.kinds.builtin import ENDPOINT_SLICE, ENDPOINTS, POD, SERVICE
from lichen.model.data import Object
from lichen.model.kind import Kind
from lichen.model.meta import labels_of, namespace_of
from lichen.planning.api_service import API_SERVICE, plan_api_endpoints
from lichen.planning.endpoint_slice import MANAGED_BY, SERVICE_LABEL, is_ours, plan_endpoint_slices, wanted_slices
from lichen.planning.endpoints import MIRROR, plan_endpoints, plan_mirror


def _service_of(piece: Object) -> list[Key]:
    name = labels_of(piece).get(SERVICE_LABEL)
    return [(namespace_of(piece), name)] if name else []


def _by_namespace(obj: Object) -> list[str]:
    return [namespace_of(obj)]


class ServiceController:
    name: ClassVar[str] = "service"
    kind: ClassVar[Kind] = SERVICE

    def __init__(self, world: World) -> None:
        self.world = world
        self.services = world.informer(SERVICE)
        self.pods = world.informer(POD)
        self.slices = world.informer(ENDPOINT_SLICE)
        self.endpoints = world.informer(ENDPOINTS)
        for informer in (self.services, self.pods):
            informer.add_index("namespace", _by_namespace)
        self.slices.add_index("service", lambda piece: ["/".join(key) for key in _service_of(piece)])
        self.watches: Mapping[Kind, Mapper] = {ENDPOINT_SLICE: _service_of, ENDPOINTS: itself, POD: self.map_pod}

    def map_pod(self, pod: Object) -> list[Key]:
        """The services that select a pod (a pod whose labels changed is found by its service's next slice)."""
        labels = labels_of(pod).items()
        services = self.services.by_index("namespace", namespace_of(pod))
        return [
            (namespace_of(pod), service["metadata"]["name"])
            for service in services
            if (selector := service["spec"].get("selector")) and selector.items() <= labels
        ]

    async def reconcile(self, key: Key) -> float | None:
        service, endpoints = self.services.get(key[1], key[0]), self.endpoints.get(key[1], key[0])
        slices = self.slices.by_index("service", "/".join(key))
        steps = plan_mirror(endpoints, service, [s for s in slices if labels_of(s).get(MANAGED_BY) == MIRROR])
        if service is None:
            await self.world.apply([*steps, *plan_endpoints(None, [], endpoints)])
            return None
        if key == API_SERVICE:
            held = self.slices.get(key[1], key[0])
            await self.world.apply(plan_api_endpoints(service, endpoints, [held] if held is not None else []))
            return None
        selector = (service["spec"].get("selector") or {}).items()
        pods = [p for p in self.pods.by_index("namespace", key[0]) if selector and selector <= labels_of(p).items()]
        steps += plan_endpoint_slices(service, pods, [s for s in slices if is_ours(s)])
        steps += plan_endpoints(service, wanted_slices(service, pods), endpoints)
        await self.world.apply(steps)
        return None
