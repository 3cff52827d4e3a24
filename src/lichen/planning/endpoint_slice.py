# SPDX-License-Identifier: Apache-2.0
"""A Service's EndpointSlice: the addresses of the pods it selects. Semantics: Kubernetes discovery/v1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lichen.kinds.builtin import ENDPOINT_SLICE
from lichen.model.data import Object
from lichen.model.meta import is_deleting, labels_of, name_of, namespace_of, owner_reference, uid_of
from lichen.planning.steps import Create, Delete, Patch, Step
from lichen.planning.workload import has_ended, says_ready

MANAGER = "endpointslice-controller.k8s.io"
EARLIER_MANAGER = "endpointslice-controller.lichen.dev"
"""As slices in the stores of Lichen 0.1 say; they are the same slices, and come under the new name."""
MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
SERVICE_LABEL = "kubernetes.io/service-name"
MOST_ENDPOINTS = 1000


def plan_endpoint_slices(service: Object, pods: Sequence[Object], slices: Sequence[Object]) -> list[Step]:
    """Steps from the slices that exist to what the pods (those the service selects) make of it.

    A service without a selector, or one that is only a name, has no slices made for it.
    """
    wanted = [] if is_deleting(service) or not is_selecting(service) else wanted_slices(service, pods)
    held = {name_of(piece): piece for piece in slices}
    steps: list[Step] = []
    for piece in wanted:
        current = held.pop(name_of(piece), None)
        if current is None:
            steps.append(Create(ENDPOINT_SLICE, piece))
        elif any((current.get(key) or []) != piece[key] for key in ("endpoints", "ports")) or not _is_named(current):
            body = {"endpoints": piece["endpoints"], "ports": piece["ports"]}
            if not _is_named(current):
                body["metadata"] = {"labels": {MANAGED_BY: MANAGER}}
            steps.append(Patch(ENDPOINT_SLICE, name_of(piece), namespace_of(piece), body))
    steps += [Delete(ENDPOINT_SLICE, name_of(s), namespace_of(s), uid_of(s)) for s in held.values()]
    return steps


def is_ours(piece: Object) -> bool:
    """Whether a slice was made for a service's selector, now or by an earlier Lichen."""
    return labels_of(piece).get(MANAGED_BY) in (MANAGER, EARLIER_MANAGER)


def _is_named(piece: Object) -> bool:
    return labels_of(piece).get(MANAGED_BY) == MANAGER


def is_selecting(service: Object) -> bool:
    return bool(service["spec"].get("selector")) and service["spec"].get("type") != "ExternalName"


def wanted_slices(service: Object, pods: Sequence[Object]) -> list[Object]:
    """One slice for each distinct set of resolved ports and thousand endpoints, as named target ports may differ."""
    groups: dict[tuple[Any, ...], list[Object]] = {}
    for pod in sorted(pods, key=name_of):
        if (pod.get("status") or {}).get("podIP") and not has_ended(pod):
            groups.setdefault(_resolved_ports(service, pod), []).append(_endpoint(service, pod))
    if not groups:
        groups[()] = []
    slices: list[Object] = []
    for ports, endpoints in groups.items():
        for start in range(0, max(len(endpoints), 1), MOST_ENDPOINTS):
            slices.append(_slice(service, len(slices), ports, endpoints[start : start + MOST_ENDPOINTS]))
    return slices


def _slice(service: Object, number: int, ports: tuple[Any, ...], endpoints: list[Object]) -> Object:
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": f"{name_of(service)}-{uid_of(service)[:5] or 'x'}{number or ''}",
            "namespace": namespace_of(service),
            "labels": {SERVICE_LABEL: name_of(service), MANAGED_BY: MANAGER},
            "ownerReferences": [owner_reference(service)],
        },
        "addressType": "IPv4",
        "endpoints": endpoints,
        "ports": [{"name": name, "protocol": protocol, "port": port} for name, protocol, port in ports],
    }


def _endpoint(service: Object, pod: Object) -> Object:
    serving = says_ready(pod)
    ready = (serving and not is_deleting(pod)) or bool(service["spec"].get("publishNotReadyAddresses"))
    endpoint = {
        "addresses": [pod["status"]["podIP"]],
        "conditions": {"ready": ready, "serving": serving, "terminating": is_deleting(pod)},
        "targetRef": {"kind": "Pod", "name": name_of(pod), "namespace": namespace_of(pod), "uid": uid_of(pod)},
    }
    if pod["spec"].get("nodeName"):
        endpoint["nodeName"] = pod["spec"]["nodeName"]
    if pod["spec"].get("hostname") and pod["spec"].get("subdomain") == name_of(service):
        endpoint["hostname"] = pod["spec"]["hostname"]
    return endpoint


def _resolved_ports(service: Object, pod: Object) -> tuple[Any, ...]:
    found = ((p, _target(p, pod)) for p in service["spec"].get("ports") or [])
    return tuple((p.get("name", ""), p.get("protocol", "TCP"), target) for p, target in found if target is not None)


def _target(port: Object, pod: Object) -> int | None:
    """The number of a service port on this pod; None if the pod has no port of that name."""
    target = port.get("targetPort") or port["port"]
    if isinstance(target, int):
        return target
    for container in pod["spec"].get("containers") or []:
        for candidate in container.get("ports") or []:
            if candidate.get("name") == target and candidate.get("protocol", "TCP") == port.get("protocol", "TCP"):
                number: int = candidate["containerPort"]
                return number
    return None
