# SPDX-License-Identifier: Apache-2.0
"""The networks of one node: there before the first port is plugged, gone with the last, current in between."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Hashable
from typing import Protocol

from lichen.agent.failures import Failures
from lichen.agent.sources import Sources
from lichen.agent.topology import Changes, Topology
from lichen.agent.workers import Workers
from lichen.drivers.base import GroupSpec, NetworkDriver, NetworkSpec, PortSpec, RouterSpec, ServiceRule
from lichen.kinds.network.port import Port
from lichen.model.data import Object
from lichen.model.errors import Conflict, NotFound, Temporary
from lichen.model.meta import name_of, namespace_of
from lichen.model.state import State
from lichen.runtime.clock import Clock

log = logging.getLogger(__name__)

SERVICES = "services"
"""The key of the services' rules among the networks' ids."""
GROUPS = "groups"
"""The key of the security groups and policies."""
ROUTERS = "routers"
"""The key of the routers."""


class Answering(Protocol):
    """What this node answers itself on each of its networks (metadata, the API)."""

    async def ensure(self, network_id: str) -> None: ...

    def drop(self, network_id: str) -> None: ...

    def close(self) -> None: ...


class Networks:
    """Plugs and unplugs ports, and keeps what it plugged them into."""

    def __init__(
        self,
        node: str,
        state: State,
        driver: NetworkDriver,
        sources: Sources,
        topology: Topology,
        clock: Clock,
        failures: Failures,
    ) -> None:
        self.driver = driver
        self.workers = Workers(self._sync, clock, failures.teller_of("network"))
        self._node = node
        self._state = state
        self._sources = sources
        self._topology = topology
        self._applied: dict[str, NetworkSpec] = {}
        self._rules: tuple[ServiceRule, ...] | None = None
        self._groups: tuple[GroupSpec, ...] | None = None
        self._names: dict[str, tuple[tuple[str, str], ...]] = {}
        self._plugged: dict[str, str] = {}
        self._filters: dict[str, PortSpec] = {}
        self._grouping = asyncio.Lock()
        self._routers: dict[str, RouterSpec | None] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self.answering: list[Answering] = []
        topology.listen(node, self._changed)

    async def start(self) -> None:
        """Find what is here, remove the ports and networks that nobody here has, and bring the rest up to date."""
        networks, ports = await self.driver.discover()
        for port_id in ports:
            port = next(iter(self._sources.ports.by_index("id", port_id)), None)
            if port is None or not self._sources.is_user_on(self._node, port["spec"].get("deviceId") or ""):
                await self.unplug(port_id)
            else:
                self._plugged[port_id] = port["spec"].get("networkId") or ""
        for network_id in networks:
            if self._topology.network(network_id) is None:
                await self.driver.remove_network(network_id)
            else:
                await self._ensure(network_id)
        await self._sync(SERVICES)
        for port_id in tuple(self._plugged):
            await self._filter(port_id)
        await self._ensure_groups()
        self._routers = dict.fromkeys(await self.driver.discover_routers())
        self.workers.poke(ROUTERS)

    async def close(self) -> None:
        self._topology.forget(self._node)
        await self.workers.close()
        for service in self.answering:
            service.close()

    def spec(self, port: Object) -> PortSpec | None:
        """None while the port cannot be plugged yet."""
        return self._topology.port(port)

    async def plug_tap(self, port: Object) -> str:
        """The name of the tap that a guest is to use. Temporary: the port is not ready."""
        spec = await self._prepare(port)
        tap = await self.driver.plug_tap(spec)
        await self._mark_up(port, spec)
        return tap

    async def plug_namespace(self, port: Object, netns: str) -> PortSpec:
        """The interface of a pod, plugged into its network namespace. Temporary: the port is not ready."""
        spec = await self._prepare(port)
        await self.driver.plug_namespace(spec, netns)
        await self._mark_up(port, spec)
        return spec

    async def unplug(self, port_id: str) -> None:
        await self.driver.unplug(port_id)
        self._plugged.pop(port_id, None)
        self._filters.pop(port_id, None)
        port = next(iter(self._sources.ports.by_index("id", port_id)), None)
        if port is not None:
            await self.report(port, "DOWN")

    async def report(self, port: Object, phase: str) -> None:
        """Say in a Port's status whether it carries traffic; a port that is gone needs no report."""
        if (port.get("status") or {}).get("phase") == phase:
            return
        try:
            await self._state.patch(
                Port.KIND, name_of(port), namespace_of(port), {"status": {"phase": phase}}, subresource="status"
            )
        except (NotFound, Conflict) as gone:
            log.info("port %s: %s", name_of(port), gone)

    async def _prepare(self, port: Object) -> PortSpec:
        spec = self._topology.port(port)
        if spec is None:
            raise Temporary(f"Port {name_of(port)} has no addresses yet.", delay=0.2)
        await self._ensure(spec.network_id)
        self._filters[spec.id] = spec
        if is_filtered(spec):
            await self._ensure_groups()
        return spec

    async def _mark_up(self, port: Object, spec: PortSpec) -> None:
        self._plugged[spec.id] = spec.network_id
        await self.report(port, "ACTIVE")

    def _changed(self, changes: Changes) -> None:
        for network_id in changes.networks & self._applied.keys():
            self.workers.poke(network_id)
        if changes.services and self._applied:
            self.workers.poke(SERVICES)
        if changes.groups and any(map(is_filtered, self._filters.values())):
            self.workers.poke(GROUPS)
        if changes.routers or changes.networks & self._applied.keys():
            self.workers.poke(ROUTERS)
        for port_id in changes.ports & self._plugged.keys():
            self.workers.poke(("port", port_id))

    async def _sync(self, key: Hashable) -> float | None:
        if isinstance(key, tuple):
            if self._sources.ports.by_index("id", key[1]):
                await self._filter(key[1])
                await self._ensure_groups()
            else:
                await self.unplug(key[1])
        elif key == SERVICES:
            rules = self._topology.rules(frozenset(self._applied))
            if rules != self._rules:
                await self.driver.ensure_services(rules)
                self._rules = rules
            names = self._topology.names(frozenset(self._applied))
            if names != self._names:
                await self.driver.ensure_names(names)
                self._names = names
        elif key == GROUPS:
            await self._ensure_groups()
        elif key == ROUTERS:
            await self._ensure_routers()
        else:
            await self._ensure(str(key))
        return None

    async def _filter(self, port_id: str) -> None:
        """A plugged port's own filters follow what the port says now."""
        port = next(iter(self._sources.ports.by_index("id", port_id)), None)
        spec = self._topology.port(port) if port is not None else None
        if spec is not None and spec != self._filters.get(port_id):
            await self.driver.filter_port(spec)
            self._filters[port_id] = spec

    async def _ensure_groups(self) -> None:
        """The groups that ports of this node are in, and those that these name."""
        async with self._grouping:
            groups = self._topology.groups({group for spec in self._filters.values() for group in filters_of(spec)})
            if groups != self._groups:
                await self.driver.ensure_groups(groups)
            self._groups = groups

    async def _ensure_routers(self) -> None:
        """The routers of the networks that this node has, with the networks that they lead to."""
        wanted = self._topology.routers(frozenset(self._applied))
        for gone in self._routers.keys() - wanted.keys():
            await self.driver.remove_router(gone)
            del self._routers[gone]
        for router in wanted.values():
            if self._routers.get(router.id) == router:
                continue
            outside = [router.gateway.network_id] if router.gateway else []
            for network_id in [*(network_id for network_id, _ in router.interfaces), *outside]:
                await self._ensure(network_id)
            await self.driver.ensure_router(router)
            self._routers[router.id] = router

    async def _ensure(self, network_id: str) -> None:
        """Make the network what it should be; only what changed reaches the driver, one change at a time."""
        async with self._locks.setdefault(network_id, asyncio.Lock()):
            spec = self._topology.network(network_id)
            if spec is None:
                await self._remove(network_id)
                return
            held = self._applied.get(network_id)
            if held is spec or held == spec:
                return
            await self.driver.ensure_network(spec)
            new = network_id not in self._applied
            self._applied[network_id] = spec
            if new:
                for service in self.answering:
                    await service.ensure(network_id)
                self.workers.poke(SERVICES)
                self.workers.poke(ROUTERS)

    async def _remove(self, network_id: str) -> None:
        if network_id in self._plugged.values():
            raise Temporary(f"Network {network_id} is gone, but a port is still plugged into it.", delay=1.0)
        for service in self.answering:
            service.drop(network_id)
        await self.driver.remove_network(network_id)
        self._applied.pop(network_id, None)
        self.workers.poke(SERVICES)


def filters_of(spec: PortSpec) -> list[str]:
    """The ids of a port's security groups and policies."""
    return [*(spec.groups or ()), *(spec.ingress or ()), *(spec.egress or ())]


def is_filtered(spec: PortSpec) -> bool:
    return any(some is not None for some in (spec.groups, spec.ingress, spec.egress))
