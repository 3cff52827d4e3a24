# SPDX-License-Identifier: Apache-2.0
"""Network policies as `Sources` knows them: which hold for a port, and the groups that they and their peers are.

An event forgets only the groups that it touches; they are built again when a node asks for them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any

from lichen.agent.netspecs import Policed, has_addresses
from lichen.agent.policyspecs import (
    NamedPort,
    Peers,
    compile_policy,
    depends_on_names,
    directions,
    is_same_pod,
    named_ports,
    policy_id,
    variant,
)
from lichen.agent.sources import Sources, is_pods
from lichen.drivers.base import GroupSpec
from lichen.kinds.core.networkpolicy import validate_network_policy
from lichen.kinds.faults import Faults
from lichen.model.data import Object
from lichen.model.meta import labels_of, name_of, namespace_of
from lichen.model.selectors import LabelSelector, selector_of

log = logging.getLogger(__name__)

Changed = Callable[[Iterable[str], Iterable[str]], None]
"""Told the ids of groups that are not what they were, and of ports that may be filtered otherwise."""
Key = tuple[str, str]


class Policies:
    def __init__(self, sources: Sources, changed: Changed) -> None:
        self._sources = sources
        self._changed = changed
        self._selectors: dict[Key, LabelSelector] = {}
        self._variants: dict[str, tuple[Key, tuple[NamedPort, ...]]] = {}
        self._of_policy: dict[Key, set[str]] = {}
        self._peers: dict[str, Peers] = {}
        self._users: dict[str, set[str]] = {}

    def start(self) -> None:
        """Follow what is watched."""
        self._sources.policies.subscribe(self._policy_event)
        self._sources.namespaces.subscribe(self._namespace_event)
        self._sources.ports.subscribe(self._port_event)

    def of(self, port: Object) -> tuple[Policed, Policed]:
        """The ids of the policies that hold for a port, for what comes and what goes; None: it is not isolated so."""
        ways: tuple[list[str], list[str]] = ([], [])
        isolated = [False, False]
        for policy in self._selecting(port):
            id = self._known(policy, variant(policy, port))
            for way, isolates in enumerate(directions(policy)):
                isolated[way] |= isolates
                ways[way].extend([id] if isolates else [])
        ingress, egress = (tuple(sorted(ids)) if held else None for ids, held in zip(ways, isolated, strict=True))
        return ingress, egress

    def group(self, id: str) -> GroupSpec | None:
        """A policy's group, or that of the pods that policies speak of."""
        if id in self._peers:
            return GroupSpec(id, members=self._members(self._peers[id]))
        key, own = self._variants.get(id, (("", ""), ()))
        policy = self._sources.policies.get(key[1], key[0])
        if policy is None or id not in self._variants:
            return None
        compiled = compile_policy(policy, own, self._numbers() if depends_on_names(policy) else {})
        for peer, pods in compiled.peers.items():
            self._peers[peer] = pods
            self._users.setdefault(peer, set()).add(id)
        return compiled.group

    def _selecting(self, port: Object) -> list[Object]:
        if not is_pods(port):
            return []
        labels, namespace = port["spec"].get("podLabels") or {}, namespace_of(port)
        found = self._sources.policies.by_index("namespace", namespace)
        selectors = self._selectors
        return [p for p in found if (s := selectors.get((namespace, name_of(p)))) is not None and s.matches(labels)]

    def _known(self, policy: Object, own: tuple[NamedPort, ...]) -> str:
        id, key = policy_id(policy, own), (namespace_of(policy), name_of(policy))
        self._variants[id] = (key, own)
        self._of_policy.setdefault(key, set()).add(id)
        return id

    def _members(self, pods: Peers) -> tuple[str, ...]:
        ports = self._sources.ports
        spaces = self._sources.namespaces.items.values()
        selected = [name_of(space) for space in spaces if pods.namespaces.matches(labels_of(space))]
        names = [pods.namespace] if pods.namespace else selected
        found = (port for name in names for port in ports.by_index("pods", name) if pods.has(port))
        return tuple(
            sorted({f["ipAddress"] for port in found if has_addresses(port) for f in port["spec"]["fixedIps"]})
        )

    def _numbers(self) -> dict[tuple[str, str], set[int]]:
        """What each name of a port means in any pod."""
        numbers: dict[tuple[str, str], set[int]] = {}
        for port in self._sources.ports.by_index("naming", "yes"):
            for name, protocol, number in named_ports(port):
                numbers.setdefault((name, protocol), set()).add(number)
        return numbers

    def _unuse(self, id: str) -> list[str]:
        """Peers that nobody names any longer are not looked after, and so not to be kept; returns their ids."""
        gone = []
        for peer in [peer for peer, users in self._users.items() if id in users]:
            self._users[peer].discard(id)
            if not self._users[peer]:
                del self._users[peer], self._peers[peer]
                gone.append(peer)
        return gone

    def _policy_event(self, event: Any, policy: Object, old: Object | None) -> None:
        if old is not None and event == "MODIFIED" and old["spec"] == policy["spec"]:
            return
        key = (namespace_of(policy), name_of(policy))
        before, now = self._selectors.pop(key, None), None
        if event != "DELETED" and (now := _selector(policy)) is not None:
            self._selectors[key] = now
        own = self._of_policy.get(key, set())
        groups = [*own, *(peer for id in own for peer in self._unuse(id))]
        if event == "DELETED":
            for id in self._of_policy.pop(key, set()):
                self._variants.pop(id, None)
        held = [selector for selector in (before, now) if selector is not None]
        ports = [
            port["spec"].get("id") or ""
            for port in self._sources.ports.by_index("pods", key[0])
            if any(selector.matches(port["spec"].get("podLabels") or {}) for selector in held)
        ]
        self._changed(groups, ports)

    def _namespace_event(self, event: Any, namespace: Object, old: Object | None) -> None:
        before = labels_of(old) if old is not None else None
        now = labels_of(namespace) if event != "DELETED" else None
        if before == now:
            return
        self._changed([id for id, pods in self._peers.items() if not pods.namespace and _joins(pods, before, now)], ())

    def _port_event(self, event: Any, port: Object, old: Object | None) -> None:
        """Pods that come, go or change are others' peers; what they call their ports may be new."""
        states = [each for each in (port, old) if each is not None and is_pods(each)]
        if not states or (event == "MODIFIED" and is_same_pod(port, old)):
            return
        name = namespace_of(port)
        labels = labels_of(space) if (space := self._sources.namespaces.get(name)) is not None else {}
        touched = [id for id, p in self._peers.items() if p.reaches(name, labels) and any(map(p.has, states))]
        if any(each["spec"].get("podPorts") for each in states):
            touched += [id for id, (key, _) in self._variants.items() if self._goes_by_names(key)]
        if touched:
            self._changed(touched, ())

    def _goes_by_names(self, key: Key) -> bool:
        policy = self._sources.policies.get(key[1], key[0])
        return policy is not None and depends_on_names(policy)


def _selector(policy: Object) -> LabelSelector | None:
    """What a policy selects; None: an earlier Lichen stored what cannot be read, and it holds for nobody."""
    faults = Faults()
    validate_network_policy(policy, faults)
    if faults:
        log.warning("networkpolicy %s/%s is not followed: %s", namespace_of(policy), name_of(policy), faults[0].message)
        return None
    return selector_of(policy["spec"].get("podSelector") or {})


def _joins(pods: Peers, before: dict[str, str] | None, now: dict[str, str] | None) -> bool:
    """Whether a namespace with these labels is otherwise to them than with those."""
    was, is_now = (labels is not None and pods.namespaces.matches(labels) for labels in (before, now))
    return was != is_now
