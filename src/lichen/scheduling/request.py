# SPDX-License-Identifier: Apache-2.0
"""What a workload asks of a node: one shape for pods and servers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import msgspec

from lichen.kinds.compute.server import Server
from lichen.model.data import Object
from lichen.model.meta import controller_of, labels_of, name_of, namespace_of, uid_of
from lichen.model.names import AGGREGATE, SERVER_GROUP
from lichen.model.quantity import millis, whole

VCPU_OVERCOMMIT = 4
"""Guests' virtual CPUs for each real one, nova's default."""
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
MOST_WEIGHT = 100
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
ZONE_LABEL = "topology.kubernetes.io/zone"
AGGREGATE_SPEC = "aggregate_instance_extra_specs:"
"""Prefix of a flavor's extra specs that ask for metadata of a host aggregate."""


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
    spread: tuple[Spread, ...] = ()
    wishes: Wishes | None = None
    host_ports: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Rules:
    """The node selector, the required node affinity and the tolerations, in canonical JSON; pools of volumes that must
    be reached."""

    selector: tuple[tuple[str, str], ...] = ()
    affinity: bytes = b"null"
    tolerations: bytes = b"[]"
    pools: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Term:
    """One required (anti-)affinity: pods that match `selector` in `namespaces`, within one value of `topology`."""

    topology: str
    namespaces: tuple[str, ...]
    selector: bytes


@dataclass(frozen=True, slots=True)
class Spread:
    """No value of `topology` may hold more than `skew` matching workloads beyond the one that holds fewest; if not
    `hard`, it should not."""

    term: Term
    skew: int
    hard: bool
    domains: int = 1


@dataclass(frozen=True, slots=True)
class Wishes:
    """Preferences, each with its weight (1 to 100). nodes: node selector terms in canonical JSON."""

    nodes: tuple[tuple[int, bytes], ...] = ()
    near: tuple[tuple[int, Term], ...] = ()
    away: tuple[tuple[int, Term], ...] = ()


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
            affinity=_canonical((affinity.get("nodeAffinity") or {}).get(_REQUIRED)),
            tolerations=_canonical(spec.get("tolerations") or []),
        ),
        labels=tuple(sorted(labels_of(pod).items())),
        near=_terms(affinity.get("podAffinity"), namespace_of(pod)),
        away=_terms(affinity.get("podAntiAffinity"), namespace_of(pod)),
        spread=tuple(_spread(c, pod) for c in spec.get("topologySpreadConstraints") or []),
        wishes=_wishes(affinity, namespace_of(pod)),
        host_ports=_host_ports(spec),
    )


def server_request(server: Object) -> Request:
    typed = Server.of(server)
    selector = dict(typed.spec.node_selector)
    if typed.spec.availability_zone:
        selector[ZONE_LABEL] = typed.spec.availability_zone
    for key, value in typed.spec.resources.extra_specs.items():
        if key.startswith(AGGREGATE_SPEC):
            selector[AGGREGATE + key.removeprefix(AGGREGATE_SPEC)] = value
    companions, policy = _companions(server, typed.spec.group_id), typed.spec.group_policy
    return Request(
        key=("Server", namespace_of(server), name_of(server)),
        uid=uid_of(server),
        cpu=typed.spec.resources.vcpus * 1000 // VCPU_OVERCOMMIT,
        memory=typed.spec.resources.memory << 20,
        created=typed.metadata.creation_timestamp,
        group=f"server-group/{typed.spec.group_id}" if policy else f"project/{namespace_of(server)}",
        rules=Rules(selector=tuple(sorted(selector.items()))),
        labels=tuple(sorted(labels_of(server).items())),
        near=(companions,) if policy == "affinity" else (),
        away=(companions,) if policy == "anti-affinity" else (),
        wishes=_company(companions, policy),
    )


def _company(companions: Term, policy: str) -> Wishes | None:
    """What a server would rather have, of those of its group."""
    if policy == "soft-affinity":
        return Wishes(near=((MOST_WEIGHT, companions),))
    return Wishes(away=((MOST_WEIGHT, companions),)) if policy == "soft-anti-affinity" else None


def _companions(server: Object, group_id: str) -> Term:
    """The servers of a server's group, host by host."""
    selector = _canonical({"matchLabels": {SERVER_GROUP: group_id}})
    return Term(topology="kubernetes.io/hostname", namespaces=(namespace_of(server),), selector=selector)


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
    required: Iterable[Object] = (affinity or {}).get(_REQUIRED) or []
    return tuple(_term(term, namespace) for term in required)


def _term(term: Object, namespace: str) -> Term:
    return Term(
        topology=term["topologyKey"],
        namespaces=tuple(term.get("namespaces") or [namespace]),
        selector=_canonical(term.get("labelSelector") or {}),
    )


def _spread(constraint: Object, pod: Object) -> Spread:
    """Labels named by matchLabelKeys narrow the selector to the pod's own values of them."""
    selector = dict(constraint.get("labelSelector") or {})
    own = {key: labels_of(pod)[key] for key in constraint.get("matchLabelKeys") or [] if key in labels_of(pod)}
    if own:
        selector["matchLabels"] = {**(selector.get("matchLabels") or {}), **own}
    return Spread(
        term=Term(constraint["topologyKey"], (namespace_of(pod),), _canonical(selector)),
        skew=constraint.get("maxSkew", 1),
        hard=constraint.get("whenUnsatisfiable", "DoNotSchedule") == "DoNotSchedule",
        domains=constraint.get("minDomains") or 1,
    )


def _wishes(affinity: Object, namespace: str) -> Wishes | None:
    def weighted(key: str) -> tuple[tuple[int, Term], ...]:
        wanted = (affinity.get(key) or {}).get(_PREFERRED) or []
        return tuple((w["weight"], _term(w["podAffinityTerm"], namespace)) for w in wanted)

    nodes = (affinity.get("nodeAffinity") or {}).get(_PREFERRED) or []
    wishes = Wishes(
        tuple((w["weight"], _canonical(w["preference"])) for w in nodes),
        weighted("podAffinity"),
        weighted("podAntiAffinity"),
    )
    return wishes if wishes != Wishes() else None


def _host_ports(spec: Object) -> tuple[tuple[str, int], ...]:
    ports = (p for c in spec.get("containers") or [] for p in c.get("ports") or [])
    return tuple((p.get("protocol", "TCP"), p["hostPort"]) for p in ports if p.get("hostPort"))


def _canonical(value: object) -> bytes:
    return msgspec.json.encode(value, order="deterministic")
