# SPDX-License-Identifier: Apache-2.0
"""From a NetworkPolicy to the port filters that security groups are made of. Pure.

A policy is a group whose rules say who may come and go; the pods that it speaks of are groups, too, without rules of
their own. A name of a port means another number in each pod: pods that mean the same share a variant of the policy.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_network

from lichen.drivers.base import FilterRule, GroupSpec
from lichen.kinds.network.filters import PROTOCOLS
from lichen.model.data import Object
from lichen.model.meta import namespace_of, uid_of
from lichen.model.selectors import LabelSelector, selector_of

NamedPort = tuple[str, str, int]
"""(name, protocol, number) of a port as a pod calls it."""
Numbers = Mapping[tuple[str, str], Iterable[int]]
"""What a port's name and protocol mean: of one pod, or of all pods."""


@dataclass(frozen=True, slots=True)
class Peers:
    """Pods that a rule speaks of: in one namespace, or (if that is "") in those that `namespaces` selects. port: only
    those that call a port so."""

    namespace: str
    namespaces: LabelSelector
    pods: LabelSelector
    port: NamedPort | None = None

    @property
    def id(self) -> str:
        """What their group is called."""
        where = self.namespace or _said(self.namespaces)
        return f"pods {where} {_said(self.pods)} {self.port or ''}"

    def reaches(self, namespace: str, labels: Mapping[str, str]) -> bool:
        """Whether these pods may be in a namespace with these labels."""
        return namespace == self.namespace if self.namespace else self.namespaces.matches(labels)

    def has(self, port: Object) -> bool:
        """Whether the pod of this port is one of them, as far as it is in the right namespace."""
        return self.pods.matches(port["spec"].get("podLabels") or {}) and (
            self.port is None or self.port in named_ports(port)
        )


ALL = LabelSelector()


@dataclass(slots=True)
class Compiled:
    """A policy's group, and the pods that its rules name, by the id of their group."""

    group: GroupSpec
    peers: dict[str, Peers] = field(default_factory=dict)


def named_ports(port: Object) -> frozenset[NamedPort]:
    """The ports that a port's pod calls by name."""
    return frozenset((p["name"], p["protocol"], p["port"]) for p in port["spec"].get("podPorts") or ())


def directions(policy: Object) -> tuple[bool, bool]:
    """Whether a policy isolates what it selects, for what comes and for what goes."""
    types = policy["spec"].get("policyTypes") or ["Ingress", *(["Egress"] if policy["spec"].get("egress") else [])]
    return "Ingress" in types, "Egress" in types


def variant(policy: Object, port: Object) -> tuple[NamedPort, ...]:
    """What the names that a policy's ingress uses mean in the pod of this port."""
    used = _names(policy, "ingress")
    return tuple(sorted(p for p in named_ports(port) if (p[0], p[1]) in used)) if used else ()


def policy_id(policy: Object, own: tuple[NamedPort, ...]) -> str:
    """What the group of a variant of a policy is called."""
    return " ".join([uid_of(policy), *(f"{name}/{protocol}={number}" for name, protocol, number in own)])


def depends_on_names(policy: Object) -> bool:
    """Whether its egress goes by what other pods call their ports."""
    return bool(_names(policy, "egress"))


def compile_policy(policy: Object, own: tuple[NamedPort, ...], numbers: Numbers) -> Compiled:
    """own: what names of ports mean in the pods of this variant. numbers: what they mean in any pod."""
    compiled = Compiled(GroupSpec(policy_id(policy, own)))
    mine: dict[tuple[str, str], list[int]] = {}
    for name, protocol, number in own:
        mine.setdefault((name, protocol), []).append(number)
    rules: dict[FilterRule, None] = {}
    for way, said in zip(("ingress", "egress"), directions(policy), strict=True):
        for allowed in policy["spec"].get(way) or () if said else ():
            for rule in _allowed(policy, way, allowed, mine if way == "ingress" else numbers, compiled.peers):
                rules[rule] = None
    compiled.group = GroupSpec(compiled.group.id, tuple(rules))
    return compiled


def _allowed(
    policy: Object, way: str, allowed: Object, numbers: Numbers, found: dict[str, Peers]
) -> Iterable[FilterRule]:
    """The filters of one rule: each of its peers by each of its ports; none of a sort means all."""
    for port in allowed.get("ports") or [{}]:
        protocol = PROTOCOLS[(port.get("protocol") or "TCP").lower()] if port else 0
        said = port.get("port")
        if isinstance(said, str):
            key = (said, port.get("protocol") or "TCP")
            for number in sorted(set(numbers.get(key, ()))):
                named = (*key, number) if way == "egress" else None
                yield from _peered(policy, way, allowed, (protocol, number, number), named, found)
        else:
            yield from _peered(policy, way, allowed, (protocol, said, port.get("endPort") or said), None, found)


def _peered(
    policy: Object,
    way: str,
    allowed: Object,
    port: tuple[int, int | None, int | None],
    named: NamedPort | None,
    found: dict[str, Peers],
) -> Iterable[FilterRule]:
    """named: only pods that call the port so, which a range of addresses does not know."""
    peers = allowed.get("from" if way == "ingress" else "to") or []
    if not peers and named is None:
        yield from (FilterRule(way == "ingress", version, *port) for version in (4, 6))
    for peer in peers or ([{"namespaceSelector": {}}] if named else []):
        block = peer.get("ipBlock")
        if block is None:
            pods = _peers(policy, peer, named)
            found[pods.id] = pods
            yield from (FilterRule(way == "ingress", version, *port, remote_group=pods.id) for version in (4, 6))
        elif named is None:
            version = 6 if ":" in block["cidr"] else 4
            excepted = tuple(sorted(_range(each) for each in block.get("except") or ()))
            cidr = _range(block["cidr"])
            yield FilterRule(way == "ingress", version, *port, remote_cidr=cidr, remote_except=excepted)


def _peers(policy: Object, peer: Object, named: NamedPort | None) -> Peers:
    pods = selector_of(peer.get("podSelector") or {})
    if peer.get("namespaceSelector") is None:
        return Peers(namespace_of(policy), ALL, pods, named)
    return Peers("", selector_of(peer["namespaceSelector"]), pods, named)


def _range(cidr: str) -> str:
    """Without bits beyond its prefix."""
    return str(ip_network(cidr, strict=False))


def _names(policy: Object, way: str) -> set[tuple[str, str]]:
    return {
        (port["port"], port.get("protocol") or "TCP")
        for allowed in policy["spec"].get(way) or ()
        for port in allowed.get("ports") or ()
        if isinstance(port.get("port"), str)
    }


def _said(selector: LabelSelector) -> str:
    return repr([(r.key, r.operator, sorted(r.values)) for r in selector.requirements])


def is_same_pod(one: Object | None, other: Object | None) -> bool:
    """Whether two states of a port are the same to every policy."""
    return one is not None and other is not None and _seen(one) == _seen(other)


def _seen(port: Object) -> tuple[object, ...]:
    spec = port["spec"]
    return spec.get("podLabels"), spec.get("podPorts"), spec.get("fixedIps"), spec.get("deviceOwner")
