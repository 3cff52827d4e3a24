# SPDX-License-Identifier: Apache-2.0
"""What every node's network driver is to be told, worked out once for all agents of a process.

An event marks what it touches; after a moment's gathering the agents are told which networks, and whether the services'
rules, are new. Reading is always up to date: a spec that was marked is built when it is asked for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from lichen.agent.netspecs import (
    group_spec,
    has_addresses,
    network_spec,
    port_spec,
    router_spec,
    rules_on,
    service_names,
    service_rules,
    subnets_known,
)
from lichen.agent.policies import Policies
from lichen.agent.sources import Sources, is_open
from lichen.drivers.base import GroupSpec, NetworkSpec, PortSpec, RouterSpec, ServiceRule
from lichen.kinds.network.filters import DEFAULT_GROUP
from lichen.model.data import Object
from lichen.model.meta import name_of, namespace_of

GATHER = 0.05
"""Seconds for which events are gathered before the nodes are told."""


@dataclass(frozen=True, slots=True)
class Changes:
    """What is new: networks and ports by id; whether services' rules, security groups and routers are."""

    networks: frozenset[str]
    ports: frozenset[str]
    services: bool
    groups: bool
    routers: bool


Listener = Callable[[Changes], None]


class Topology:
    """Networks and service rules as `Sources` knows them."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._specs: dict[str, NetworkSpec] = {}
        self._rules: dict[str, tuple[ServiceRule, ...]] | None = None
        self._owners: dict[str, str] = {}
        self._groups: dict[str, GroupSpec] = {}
        self._policies = Policies(sources, self._policies_changed)
        self._dirty: set[str] = set()
        self._dirty_ports: set[str] = set()
        self._services_dirty = False
        self._groups_dirty = False
        self._routers_dirty = False
        self._timer: asyncio.TimerHandle | None = None
        self._listeners: dict[str, Listener] = {}
        sources.networks.subscribe(self._network_event)
        sources.subnets.subscribe(self._network_event)
        sources.ports.subscribe(self._network_event)
        sources.ports.subscribe(self._port_event)
        sources.groups.subscribe(self._group_event)
        self._policies.start()
        sources.routers.subscribe(self._router_event)
        sources.floating.subscribe(self._router_event)
        sources.services.subscribe(self._service_event)
        sources.slices.subscribe(self._service_event)

    def listen(self, node: str, listener: Listener) -> None:
        """Have changes told."""
        self._listeners[node] = listener

    def forget(self, node: str) -> None:
        self._listeners.pop(node, None)

    def network(self, network_id: str) -> NetworkSpec | None:
        """The network as it is now; None if there is none."""
        spec = self._specs.get(network_id)
        if spec is None:
            network = self._network_object(network_id)
            if network is None:
                return None
            subnets, ports = self._sources.subnets, self._sources.ports
            spec = network_spec(network, subnets.by_index("network", network_id), ports.by_index("network", network_id))
            self._specs[network_id] = spec
        return spec

    def port(self, port: Object) -> PortSpec | None:
        """The interface of a port; None while it lacks its addresses or its network is not known."""
        network_id = port["spec"].get("networkId") or ""
        network = self._network_object(network_id)
        subnets = self._sources.subnets.by_index("network", network_id)
        if network is None or not has_addresses(port) or not subnets_known(port, subnets):
            return None
        return port_spec(port, network, subnets, self._policies.of(port))

    def rules(self, networks: frozenset[str]) -> tuple[ServiceRule, ...]:
        """The service rules of a node that has these networks."""
        if self._rules is None:
            self._owners = {
                port["spec"].get("deviceId") or "": port["spec"].get("networkId") or ""
                for port in self._sources.ports.items.values()
                if port["spec"].get("deviceOwner") == "pod"
            }
            self._rules = service_rules(
                self._sources.services.items.values(), self._sources.slices.items.values(), self._owners
            )
        return rules_on(networks, self._rules)

    def names(self, networks: frozenset[str]) -> dict[str, tuple[tuple[str, str], ...]]:
        """What the services are called, on each of these networks."""
        services, slices = self._sources.services.items.values(), self._sources.slices.items.values()
        by_network = {network_id: self.rules(frozenset({network_id})) for network_id in networks}
        return {id: service_names(services, slices, self._owners, rules) for id, rules in by_network.items()}

    def groups(self, wanted: Iterable[str]) -> tuple[GroupSpec, ...]:
        """These security groups and policies, and all that their rules name. One that is not known yet is left out."""
        found: dict[str, GroupSpec] = {}
        waiting = list(wanted)
        while waiting:
            id = waiting.pop()
            if id in found:
                continue
            spec = self._group(id)
            if spec is not None:
                found[id] = spec
                waiting += [rule.remote_group for rule in spec.rules if rule.remote_group]
        return tuple(found[id] for id in sorted(found))

    def routers(self, networks: frozenset[str]) -> dict[str, RouterSpec]:
        """The routers, by id, that join any of these networks."""
        found = {}
        for router in self._sources.routers.items.values():
            ports = [
                port for port in self._sources.ports_of(router["spec"].get("id") or "")
                if namespace_of(port) == namespace_of(router)
            ]  # fmt: skip
            if not any(port["spec"].get("networkId") in networks for port in ports):
                continue
            subnets = {
                subnet["spec"]["id"]: subnet
                for port in ports
                for subnet in self._sources.subnets.by_index("network", port["spec"].get("networkId") or "")
            }
            floating = self._sources.floating.by_index("router", router["spec"]["id"])
            spec = router_spec(router, ports, subnets, floating)
            if any(network_id in networks for network_id, _ in spec.interfaces):
                found[spec.id] = spec
        return found

    def _group(self, id: str) -> GroupSpec | None:
        spec = self._groups.get(id) or self._policies.group(id)
        if spec is None:
            group = next(iter(self._sources.groups.by_index("id", id)), None)
            if group is None:
                return None
            ports = list(self._sources.ports.by_index("group", id))
            if name_of(group) == DEFAULT_GROUP:
                ports += self._sources.ports.by_index("open", namespace_of(group))
            spec = group_spec(group, ports)
        self._groups[id] = spec
        return spec

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _network_object(self, network_id: str) -> Object | None:
        return next(iter(self._sources.networks.by_index("id", network_id)), None) if network_id else None

    def _network_event(self, event: Any, obj: Object, old: Object | None) -> None:
        own = obj["spec"].get("id") if obj["kind"] == "Network" else obj["spec"].get("networkId")
        if not own or (old is not None and old["spec"] == obj["spec"] and event == "MODIFIED"):
            return
        self._specs.pop(own, None)
        self._dirty.add(own)
        if obj["spec"].get("deviceOwner") == "pod":
            self._rules = None
            self._services_dirty = True
        self._arm()

    def _port_event(self, event: Any, port: Object, old: Object | None) -> None:
        """What it is in has other members now, and what it is in may be new."""
        if old is not None and old["spec"] == port["spec"] and event == "MODIFIED":
            return
        self._dirty_ports.add(port["spec"].get("id") or "")
        if port["spec"].get("deviceOwner", "").startswith("network:router_"):
            self._routers_dirty = True
        touched = {id for p in (port, old) if p is not None for id in p["spec"].get("securityGroupIds") or ()}
        if any(p is not None and is_open(p) for p in (port, old)):
            default = self._sources.groups.get(DEFAULT_GROUP, namespace_of(port))
            touched |= {default["spec"].get("id") or ""} if default is not None else set()
        self._forget_groups(touched)
        self._arm()

    def _group_event(self, event: Any, group: Object, old: Object | None) -> None:
        self._forget_groups({group["spec"].get("id") or ""})
        self._groups_dirty = True
        self._arm()

    def _policies_changed(self, groups: Iterable[str], ports: Iterable[str]) -> None:
        self._forget_groups(groups)
        self._dirty_ports.update(ports)
        self._arm()

    def _router_event(self, event: Any, obj: Object, old: Object | None) -> None:
        if old is None or old["spec"] != obj["spec"] or event != "MODIFIED":
            self._routers_dirty = True
            self._arm()

    def _forget_groups(self, ids: Iterable[str]) -> None:
        for id in ids:
            self._groups_dirty |= self._groups.pop(id, None) is not None

    def _service_event(self, event: Any, obj: Object, old: Object | None) -> None:
        self._rules = None
        self._services_dirty = True
        self._arm()

    def _arm(self) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(GATHER, self._tell)

    def _tell(self) -> None:
        self._timer = None
        changes = Changes(
            frozenset(self._dirty), frozenset(self._dirty_ports), self._services_dirty, self._groups_dirty,
            self._routers_dirty,
        )  # fmt: skip
        self._dirty, self._dirty_ports = set(), set()
        self._services_dirty = self._groups_dirty = self._routers_dirty = False
        for listener in tuple(self._listeners.values()):
            listener(changes)
