# SPDX-License-Identifier: Apache-2.0
"""What a workload asks of a node: one shape for pods and servers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import msgspec

from lichen.kinds.compute.server import Server
from lichen.model.data import Object
from lichen.model.meta import controller_of, labels_of, name_of, namespace_of, uid_of
from lichen.model.quantity import millis, whole

VCPU_OVERCOMMIT = 4
"""Guests' virtual CPUs for each real one, nova's default."""
ZONE_LABEL = "topology.kubernetes.io/zone"


@dataclass(frozen=True, slots=True)
class Request:
    """key: (kind, namespace, name). cpu in millicores, memory in bytes. group: workloads that should spread, by owner.

    rules: what a node must satisfy by its labels and taints, equal for equal workloads, so that it is judged once.
    """

    key: tuple[str, str, str]
    uid: str
    cpu: int
    memory: int
    priority: int = 0
    created: str = ""
    group: str = ""
    rules: Rules = field(default_factory=lambda: Rules())
    labels: tuple[tuple[str, str], ...] = ()
    near: tuple[Term, ...] = ()
    away: tuple[Term, ...] = ()


@dataclass(frozen=True, slots=True)
class Rules:
    """The node selector, the required node affinity and the tolerations, in canonical JSON."""

    selector: tuple[tuple[str, str], ...] = ()
    affinity: bytes = b"null"
    tolerations: bytes = b"[]"


@dataclass(frozen=True, slots=True)
class Term:
    """One required (anti-)affinity: pods that match `selector` in `namespaces`, within one value of `topology`."""

    topology: str
    namespaces: tuple[str, ...]
    selector: bytes


def pod_request(pod: Object) -> Request:
    spec = pod["spec"]
    affinity = spec.get("affinity") or {}
    owner = controller_of(pod)
    return Request(
        key=("Pod", namespace_of(pod), name_of(pod)),
        uid=uid_of(pod),
        cpu=_pod_total(spec, "cpu"),
        memory=_pod_total(spec, "memory"),
        priority=spec.get("priority") or 0,
        created=pod["metadata"].get("creationTimestamp", ""),
        group=owner["uid"] if owner else "",
        rules=Rules(
            selector=tuple(sorted((spec.get("nodeSelector") or {}).items())),
            affinity=_canonical(
                (affinity.get("nodeAffinity") or {}).get("requiredDuringSchedulingIgnoredDuringExecution")
            ),
            tolerations=_canonical(spec.get("tolerations") or []),
        ),
        labels=tuple(sorted(labels_of(pod).items())),
        near=_terms(affinity.get("podAffinity"), namespace_of(pod)),
        away=_terms(affinity.get("podAntiAffinity"), namespace_of(pod)),
    )


def server_request(server: Object) -> Request:
    typed = Server.of(server)
    selector = dict(typed.spec.node_selector)
    if typed.spec.availability_zone:
        selector[ZONE_LABEL] = typed.spec.availability_zone
    return Request(
        key=("Server", namespace_of(server), name_of(server)),
        uid=uid_of(server),
        cpu=typed.spec.resources.vcpus * 1000 // VCPU_OVERCOMMIT,
        memory=typed.spec.resources.memory << 20,
        created=typed.metadata.creation_timestamp,
        group=f"project/{namespace_of(server)}",
        rules=Rules(selector=tuple(sorted(selector.items()))),
        labels=tuple(sorted(labels_of(server).items())),
    )


def _pod_total(spec: Object, resource: str) -> int:
    """Kubernetes' effective request: the containers' sum with the sidecars', or the most that an init container needs
    beside the sidecars started before it."""
    sidecars = starting = 0
    for container in spec.get("initContainers") or []:
        asked = _asked(container, resource)
        if container.get("restartPolicy") == "Always":
            sidecars += asked
        starting = max(starting, sidecars if container.get("restartPolicy") == "Always" else sidecars + asked)
    running = sidecars + sum(_asked(c, resource) for c in spec.get("containers") or [])
    overhead = (spec.get("overhead") or {}).get(resource)
    return max(running, starting) + (_amount(overhead, resource) if overhead else 0)


def _asked(container: Object, resource: str) -> int:
    resources = container.get("resources") or {}
    asked = (resources.get("requests") or {}).get(resource) or (resources.get("limits") or {}).get(resource)
    return _amount(asked, resource) if asked else 0


def _amount(quantity: str, resource: str) -> int:
    return millis(quantity) if resource == "cpu" else whole(quantity)


def _terms(affinity: Object | None, namespace: str) -> tuple[Term, ...]:
    required: Iterable[Object] = (affinity or {}).get("requiredDuringSchedulingIgnoredDuringExecution") or []
    return tuple(
        Term(
            topology=term["topologyKey"],
            namespaces=tuple(term.get("namespaces") or [namespace]),
            selector=_canonical(term.get("labelSelector") or {}),
        )
        for term in required
    )


def _canonical(value: object) -> bytes:
    return msgspec.json.encode(value, order="deterministic")
