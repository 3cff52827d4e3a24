# SPDX-License-Identifier: Apache-2.0
"""Simulated networks: what was asked for is remembered; what could not work on a real one is refused."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from lichen.drivers.base import ContainerPhase, GroupSpec, NetworkSpec, PortSpec, RouterSpec, ServiceRule
from lichen.drivers.fake.machine import FakeMachine
from lichen.model.errors import Temporary


class FakeNetworks:
    """NetworkDriver over a `FakeMachine`."""

    def __init__(self, machine: FakeMachine) -> None:
        self._machine = machine

    async def discover(self) -> tuple[frozenset[str], frozenset[str]]:
        return frozenset(self._machine.networks), frozenset(self._machine.ports)

    async def ensure_network(self, network: NetworkSpec) -> None:
        self._machine.networks[network.id] = network

    async def remove_network(self, network_id: str) -> None:
        self._machine.networks.pop(network_id, None)
        for port in [port for port in self._machine.ports.values() if port.network_id == network_id]:
            del self._machine.ports[port.id]

    async def plug_tap(self, port: PortSpec) -> str:
        self._plug(port)
        return "lt" + hashlib.sha256(port.id.encode()).hexdigest()[:8]

    async def plug_namespace(self, port: PortSpec, netns: str, interface: str = "eth0") -> None:
        self._plug(port)

    async def unplug(self, port_id: str) -> None:
        self._machine.ports.pop(port_id, None)

    async def filter_port(self, port: PortSpec) -> None:
        if port.id in self._machine.ports:
            self._machine.ports[port.id] = port

    async def ensure_groups(self, groups: tuple[GroupSpec, ...]) -> None:
        self._machine.groups = {group.id: group for group in groups}

    async def discover_routers(self) -> frozenset[str]:
        return frozenset(self._machine.routers)

    async def ensure_router(self, router: RouterSpec) -> None:
        outside = [router.gateway.network_id] if router.gateway else []
        for network_id in [*(network_id for network_id, _ in router.interfaces), *outside]:
            if network_id not in self._machine.networks:
                raise Temporary(f"Network {network_id} is not on this machine yet.")
        self._machine.routers[router.id] = router

    async def remove_router(self, router_id: str) -> None:
        self._machine.routers.pop(router_id, None)

    async def ensure_services(self, rules: tuple[ServiceRule, ...]) -> None:
        self._machine.services = rules

    async def ensure_names(self, names: Mapping[str, tuple[tuple[str, str], ...]]) -> None:
        self._machine.names = dict(names)

    async def cleanup(self) -> None:
        self._machine.networks.clear()
        self._machine.ports.clear()
        self._machine.services = ()
        self._machine.groups = {}
        self._machine.routers = {}

    async def reach(self, network_id: str, ip: str, port: int, data: bytes) -> bytes:
        """A simulated container that runs listens on all ports, and answers every page."""
        pods = self._machine.pods.values()
        running = any(
            attempts[-1].phase == ContainerPhase.RUNNING
            for pod in pods if pod.ready and ip in pod.ips
            for attempts in pod.containers.values()
        )  # fmt: skip
        if not running:
            raise ConnectionRefusedError(f"nothing listens on {ip}:{port}")
        return b"HTTP/1.1 200 OK\r\n\r\n" if data else b""

    def _plug(self, port: PortSpec) -> None:
        if port.network_id not in self._machine.networks:
            raise Temporary(f"Network {port.network_id} is not on this machine yet.")
        self._machine.ports[port.id] = port
