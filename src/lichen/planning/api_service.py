# SPDX-License-Identifier: Apache-2.0
"""Where the service `kubernetes` leads: the API as it is reached from every network. Semantics: Kubernetes' own API
server, which keeps these two objects true itself."""

from __future__ import annotations

from collections.abc import Sequence

from lichen.kinds.builtin import ENDPOINTS
from lichen.model.data import Object
from lichen.model.meta import is_deleting, labels_of, name_of, namespace_of
from lichen.planning.endpoint_slice import SERVICE_LABEL
from lichen.planning.endpoints import SKIP, plan_slices
from lichen.planning.steps import Create, Patch, Step

API_SERVICE = ("default", "kubernetes")
ADDRESS, PORT = "169.254.169.254", 6443
"""The relay that each network has: see designs/016."""


def is_api_service(obj: Object) -> bool:
    return (namespace_of(obj), name_of(obj)) == API_SERVICE


def plan_api_endpoints(service: Object, endpoints: Object | None, slices: Sequence[Object]) -> list[Step]:
    """Steps to the Endpoints and the EndpointSlice of the API. slices: the one that has the service's name, if any."""
    if is_deleting(service):
        return []
    ports = [
        {**({"name": p["name"]} if p.get("name") else {}), "port": PORT, "protocol": p.get("protocol") or "TCP"}
        for p in service["spec"].get("ports") or ()
    ]
    steps = _plan_endpoints([{"addresses": [{"ip": ADDRESS}], "ports": ports}], endpoints)
    return steps + plan_slices([_slice([{"name": "", **port} for port in ports])], slices)


def _plan_endpoints(subsets: list[Object], held: Object | None) -> list[Step]:
    namespace, name = API_SERVICE
    labels = {SKIP: "true"}
    if held is None:
        metadata = {"name": name, "namespace": namespace, "labels": labels}
        return [Create(ENDPOINTS, {"apiVersion": "v1", "kind": "Endpoints", "metadata": metadata, "subsets": subsets})]
    if held.get("subsets") == subsets and labels_of(held).get(SKIP) == "true":
        return []
    return [Patch(ENDPOINTS, name, namespace, {"metadata": {"labels": labels}, "subsets": subsets})]


def _slice(ports: list[Object]) -> Object:
    namespace, name = API_SERVICE
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": name, "namespace": namespace, "labels": {SERVICE_LABEL: name}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": [ADDRESS], "conditions": {"ready": True}}],
        "ports": ports,
    }
