# SPDX-License-Identifier: Apache-2.0
"""A Service's Endpoints, for those who do not read EndpointSlices yet; and the EndpointSlices of Endpoints that
somebody wrote for a Service without a selector. Semantics: Kubernetes core/v1 and discovery/v1."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address
from typing import Any

from lichen.kinds.builtin import ENDPOINT_SLICE, ENDPOINTS
from lichen.model.data import Object
from lichen.model.meta import annotations_of, is_deleting, labels_of, name_of, namespace_of, owner_reference, uid_of
from lichen.planning.endpoint_slice import MANAGED_BY, SERVICE_LABEL, is_selecting
from lichen.planning.steps import Create, Delete, Patch, Step

MANAGED = "endpoints.kubernetes.io/managed-by"
CONTROLLER = "endpoint-controller"
MIRROR = "endpointslicemirroring-controller.k8s.io"
SKIP = "endpointslice.kubernetes.io/skip-mirror"
MOST_ADDRESSES = 1000


def plan_endpoints(service: Object | None, slices: Sequence[Object], held: Object | None) -> list[Step]:
    """Steps from the Endpoints that exist to what a service's slices (as they are wanted) make of it.

    None as service: it is gone. Endpoints that people wrote are let be.
    """
    ours = held is not None and labels_of(held).get(MANAGED) == CONTROLLER
    if service is None or is_deleting(service) or not is_selecting(service):
        return [Delete(ENDPOINTS, name_of(held), namespace_of(held), uid_of(held))] if held is not None and ours else []
    labels, subsets = {**labels_of(service), MANAGED: CONTROLLER}, _subsets(slices)
    if held is None:
        metadata = {"name": name_of(service), "namespace": namespace_of(service), "labels": labels}
        return [Create(ENDPOINTS, {"apiVersion": "v1", "kind": "Endpoints", "metadata": metadata, "subsets": subsets})]
    if (held.get("subsets") or []) == subsets and labels_of(held) == labels:
        return []
    dropped = dict.fromkeys(labels_of(held).keys() - labels.keys())
    patch = {"subsets": subsets, "metadata": {"labels": {**labels, **dropped}}}
    return [Patch(ENDPOINTS, name_of(held), namespace_of(held), patch)]


def _subsets(slices: Sequence[Object]) -> list[Object]:
    subsets = []
    for piece in slices:
        subset: Object = {}
        for endpoint in piece["endpoints"][:MOST_ADDRESSES]:
            subset.setdefault("addresses" if endpoint["conditions"]["ready"] else "notReadyAddresses", []).append(
                {
                    "ip": endpoint["addresses"][0],
                    **{key: endpoint[key] for key in ("hostname", "nodeName") if key in endpoint},
                    "targetRef": endpoint["targetRef"],
                }
            )
        for addresses in subset.values():
            addresses.sort(key=lambda address: ip_address(address["ip"]))
        if subset:
            subsets.append({**subset, "ports": [{k: v for k, v in port.items() if v != ""} for port in piece["ports"]]})
    return subsets


def plan_mirror(endpoints: Object | None, service: Object | None, slices: Sequence[Object]) -> list[Step]:
    """Steps from the slices that mirror an Endpoints object to what it says; none without a service that needs it."""
    wanted = _mirrors(endpoints) if endpoints is not None and _is_mirrored(endpoints, service) else []
    return plan_slices(wanted, slices)


def plan_slices(wanted: Sequence[Object], slices: Sequence[Object]) -> list[Step]:
    """Steps from the slices that exist to those that are wanted, by name."""
    held = {name_of(piece): piece for piece in slices}
    steps: list[Step] = []
    for piece in wanted:
        current = held.pop(name_of(piece), None)
        if current is not None and current["addressType"] != piece["addressType"]:
            steps.append(Delete(ENDPOINT_SLICE, name_of(piece), namespace_of(piece), uid_of(current)))
            current = None
        if current is None:
            steps.append(Create(ENDPOINT_SLICE, piece))
        elif any((current.get(key) or []) != piece[key] for key in ("endpoints", "ports")):
            body = {"endpoints": piece["endpoints"], "ports": piece["ports"]}
            steps.append(Patch(ENDPOINT_SLICE, name_of(piece), namespace_of(piece), body))
    return steps + [Delete(ENDPOINT_SLICE, name_of(s), namespace_of(s), uid_of(s)) for s in held.values()]


def _is_mirrored(endpoints: Object, service: Object | None) -> bool:
    if service is None or service["spec"].get("selector") or is_deleting(endpoints):
        return False
    return (
        labels_of(endpoints).get(SKIP) != "true"
        and labels_of(endpoints).get(MANAGED) != CONTROLLER
        and "control-plane.alpha.kubernetes.io/leader" not in annotations_of(endpoints)
    )


def _mirrors(endpoints: Object) -> list[Object]:
    """A slice for each subset and address family."""
    found: list[Object] = []
    for subset in endpoints.get("subsets") or ():
        ports = [{"name": "", "protocol": "TCP", **port} for port in subset.get("ports") or ()]
        for family in ("IPv4", "IPv6"):
            members = [
                _mirrored(address, ready)
                for ready, key in ((True, "addresses"), (False, "notReadyAddresses"))
                for address in subset.get(key) or ()
                if (":" in address["ip"]) is (family == "IPv6")
            ]
            if members:
                found.append(_mirror(endpoints, len(found), family, ports, members[:MOST_ADDRESSES]))
    return found


def _mirrored(address: Object, ready: bool) -> Object:
    kept: Object = {key: address[key] for key in ("hostname", "nodeName", "targetRef") if key in address}
    return {"addresses": [address["ip"]], "conditions": {"ready": ready}, **kept}


def _mirror(endpoints: Object, number: int, family: str, ports: list[Any], members: list[Object]) -> Object:
    labels = {**labels_of(endpoints), SERVICE_LABEL: name_of(endpoints), MANAGED_BY: MIRROR}
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": f"{name_of(endpoints)}-{uid_of(endpoints)[:5] or 'x'}{number or ''}",
            "namespace": namespace_of(endpoints),
            "labels": labels,
            "ownerReferences": [owner_reference(endpoints)],
        },
        "addressType": family,
        "endpoints": members,
        "ports": ports,
    }
