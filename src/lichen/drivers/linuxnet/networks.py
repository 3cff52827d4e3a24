# SPDX-License-Identifier: Apache-2.0
"""LinuxNetworks: port in, interface out (NetworkDriver)."""

from __future__ import annotations

import asyncio
import functools
import shutil
import socket
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from pyroute2.netlink.exceptions import NetlinkError

from lichen.drivers.base import GroupSpec, NetworkSpec, PortSpec, RouterSpec, ServiceRule
from lichen.drivers.linuxnet import dhcp, filters, links, namespace, nft, policing, routers, rules
from lichen.drivers.linuxnet.keepers import Keepers
from lichen.drivers.linuxnet.names import LINK_LOCAL, Names, short
from lichen.drivers.linuxnet.reach import listen, reach
from lichen.drivers.pidfd import ProcessId
from lichen.model.errors import Temporary

P = ParamSpec("P")
T = TypeVar("T")


class LinuxNetworks:
    """run_dir keeps dnsmasq's files; it and its parents must be open to user `nobody`. prefix and namespace name all
    that is made (names.Names), so that several drivers share a machine.

    Everything runs in one thread of its own: it enters namespaces, and changes to the network follow each other.
    Sysctls are set only on interfaces made here and inside the networks' namespaces, never on the host's own."""

    def __init__(self, run_dir: Path, *, prefix: str = "l", namespace: str = "lichen") -> None:
        if not 1 <= len(prefix) <= 6:
            raise ValueError("prefix: one to six characters, interface names hold fifteen")
        self._names = Names(prefix, namespace)
        self._run_dir = run_dir
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="linuxnet")
        self._rules: dict[str, tuple[ServiceRule, ...]] = {}
        self._guards: dict[str, str] = {}  # interface → the nft text that guards it
        self._groups: dict[str, str] = {}  # security group id → the nft text it has
        self._specs: dict[str, GroupSpec] | None = None  # the same groups as they were told; None: they never were
        self._policed: dict[str, PortSpec] = {}  # interface → its port, if policies filter it
        self._policing: dict[str, str] = {}  # network id → the nft text of its policies
        self._applied: dict[str, str] = {}  # network id → the nft text its namespace has
        self._said: Mapping[str, tuple[tuple[str, str], ...]] = {}
        self._way_out = False
        self._keepers = Keepers(self._mend)
        run_dir.mkdir(parents=True, exist_ok=True)

    async def discover(self) -> tuple[frozenset[str], frozenset[str]]:
        return await self._do(self._discover)

    async def ensure_network(self, network: NetworkSpec) -> None:
        self._keepers.keep(network.id, await self._do(self._ensure_network, network), network)

    async def remove_network(self, network_id: str) -> None:
        self._keepers.forget(network_id)
        await self._do(self._remove_network, network_id)

    async def plug_tap(self, port: PortSpec) -> str:
        return await self._do(self._plug_tap, port)

    async def plug_namespace(self, port: PortSpec, netns: str, interface: str = "eth0") -> None:
        await self._do(self._plug_namespace, port, Path(netns), interface)

    async def unplug(self, port_id: str) -> None:
        await self._do(self._unplug, port_id)

    async def filter_port(self, port: PortSpec) -> None:
        await self._do(self._filter_port, port)

    async def ensure_groups(self, groups: tuple[GroupSpec, ...]) -> None:
        await self._do(self._ensure_groups, groups)

    async def discover_routers(self) -> frozenset[str]:
        return await self._do(self._discover_routers)

    async def ensure_router(self, router: RouterSpec) -> None:
        await self._do(self._ensure_router, router)

    async def remove_router(self, router_id: str) -> None:
        await self._do(self._remove_router, router_id)

    async def ensure_services(self, rules: tuple[ServiceRule, ...]) -> None:
        await self._do(self._ensure_services, rules)

    async def ensure_names(self, names: Mapping[str, tuple[tuple[str, str], ...]]) -> None:
        await self._do(self._ensure_names, dict(names))

    async def reach(self, network_id: str, ip: str, port: int, data: bytes) -> bytes:
        """What a port of the network answers, asked from the network's own namespace. OSError."""
        return await reach(self.netns(network_id), ip, port, data)

    async def listen(self, network_id: str, ip: str, port: int) -> socket.socket:
        """A listening socket inside the network's namespace."""
        return await self._do(listen, self.netns(network_id), ip, port)

    async def cleanup(self) -> None:
        self._keepers.close()
        await self._do(self._cleanup)

    async def close(self) -> None:
        """Let go of everything; the networks stay."""
        self._keepers.close()
        self._thread.shutdown(wait=False)

    def netns(self, network_id: str) -> Path:
        """Where the network's namespace is: from inside it every port can be reached."""
        return self._run_dir / "netns" / self._names.netns(network_id)

    async def _mend(self, network: NetworkSpec) -> None:
        """Make a network whole whose dnsmasq ended, unless it is being removed, maybe by another process."""
        networks, _ = await self.discover()
        if network.id in networks:
            await self.ensure_network(network)
        else:
            self._keepers.forget(network.id)

    async def _do(self, work: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> T:
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._thread, functools.partial(work, *arguments, **options))
        except (NetlinkError, OSError) as error:
            raise Temporary(f"The kernel refused a change to the network: {error}") from error

    # --- in the thread ---

    def _discover(self) -> tuple[frozenset[str], frozenset[str]]:
        with links.netlink() as route:
            aliases = [link.alias for link in links.all_links(route).values() if self._names.owns(link.name)]
        networks = {found for alias in aliases if (found := self._names.parse(alias, "network"))}
        ports = {found for alias in aliases if (found := self._names.parse(alias, "port"))}
        return frozenset(networks), frozenset(ports)

    def _ensure_network(self, network: NetworkSpec) -> ProcessId | None:
        netns = self.netns(network.id)
        namespace.create(netns)
        with links.netlink() as route:
            bridge = links.ensure_bridge(route, self._names, network)
            links.ensure_gateway(route, self._names, network, bridge, netns)
            links.ensure_host_end(route, self._names, network, bridge)
        if network.external and not self._way_out:
            nft.apply(rules.way_out(self._names.namespace, self._names.hosts))
            self._way_out = True
        self._apply_services(network.id)
        self._apply_policies(network.id)
        process = dhcp.ensure(network, netns, self._folder(network.id))
        if network.id in self._said:
            dhcp.name(self._said[network.id], self._folder(network.id))
        return process

    def _remove_network(self, network_id: str) -> None:
        with links.netlink() as route:
            links.delete(route, self._names.bridge(network_id))
            links.delete(route, self._names.veth(network_id))
            links.delete(route, self._names.host(network_id))
        if self._guards:
            self._filter(filters.no_zone(self._names.namespace, self._names.bridge(network_id), network_id))
        dhcp.stop(self._folder(network_id))  # without its bridge no driver starts it again
        namespace.remove(self.netns(network_id))
        self._applied.pop(network_id, None)
        self._policing.pop(network_id, None)

    def _plug_tap(self, port: PortSpec) -> str:
        with links.netlink() as route:
            bridge = self._bridge(route, port)
            tap = links.ensure_tap(route, self._names, port, bridge)
            self._guard(route, bridge, tap, port)
        return tap

    def _plug_namespace(self, port: PortSpec, netns: Path, interface: str) -> None:
        with links.netlink() as route:
            bridge = self._bridge(route, port)
            self._guard(route, bridge, self._names.veth(port.id), port)
            try:
                links.ensure_veth(route, self._names, port, bridge, netns, interface)
            except FileNotFoundError as error:
                raise Temporary(f"There is no network namespace at {netns}") from error

    def _bridge(self, route: Any, port: PortSpec) -> int:
        link = links.find(route, self._names.bridge(port.network_id))
        if link is None:
            raise Temporary(f"Network {port.network_id} is not on this node yet")
        return link.index

    def _guard(self, route: Any, bridge: int, interface: str, port: PortSpec, *, fresh: bool = True) -> None:
        """fresh: what an earlier process may have left for this port is not looked after."""
        table = self._names.namespace
        text = rules.guard_port(table, interface, port) if port.port_security else rules.free_port(table, interface)
        follows = port.port_security and port.groups is not None
        if follows or policing.is_policed(port):
            links.let_connections_be_followed(route, bridge)
            text += filters.zone(table, self._names.bridge(port.network_id), port.network_id)
        unknown = interface in self._guards or not fresh  # taking away costs the kernel's wait of 16 ms
        if follows:
            text += filters.guard_port(table, interface, port.groups or ())
        elif unknown:
            text += filters.free_port(table, interface)
        text += self._police(interface, port, unknown)
        if self._guards.get(interface) != text:
            self._filter(text)
            self._guards[interface] = text
        self._apply_policies(port.network_id)

    def _police(self, interface: str, port: PortSpec, unknown: bool) -> str:
        """unknown: policies of before may still be there."""
        table = self._names.namespace
        text = filters.unpolice_port(table, interface) if unknown else ""
        if not policing.is_policed(port):
            self._policed.pop(interface, None)
            return text
        self._policed[interface] = port
        return text + filters.police_port(table, interface, port)

    def _filter_port(self, port: PortSpec) -> None:
        with links.netlink() as route:
            for interface in (self._names.tap(port.id), self._names.veth(port.id)):
                link = links.find(route, interface)
                if link is not None and link.master:
                    self._guard(route, link.master, interface, port, fresh=False)

    def _ensure_groups(self, wanted: tuple[GroupSpec, ...]) -> None:
        table = self._names.namespace
        texts = {spec.id: filters.group(table, spec) for spec in wanted}
        texts |= {gone: filters.no_group(table, gone) for gone in self._groups.keys() - texts.keys()}
        changed = [text for group, text in texts.items() if self._groups.get(group) != text]
        if changed:
            self._filter("".join(changed))
        self._groups = {spec.id: texts[spec.id] for spec in wanted}
        if self._specs is None:  # what an earlier process left is looked at, too
            self._policing = dict.fromkeys(self._discover()[0], "")
        self._specs = {spec.id: spec for spec in wanted}
        for network_id in {port.network_id for port in self._policed.values()} | self._policing.keys():
            self._apply_policies(network_id)

    def _filter(self, text: str) -> None:
        """Change the ports' filters, in the tables that are made by the first of them."""
        table = self._names.namespace
        base = rules.base_table(table, self._names.prefix) + filters.base_table(table, self._names.bridges)
        base += filters.services(table, self._translated())
        known = self._guards or self._groups
        try:
            nft.apply(text if known else base + text)
        except Temporary:  # somebody flushed the tables
            nft.apply(base + "".join(self._groups.values()) + text)

    def _unplug(self, port_id: str) -> None:
        with links.netlink() as route:
            for interface in (self._names.tap(port_id), self._names.veth(port_id)):
                if links.delete(route, interface) or interface in self._guards:
                    table = self._names.namespace
                    text = rules.free_port(table, interface) + filters.free_port(table, interface)
                    self._filter(text + filters.unpolice_port(table, interface))
                    self._guards.pop(interface, None)
                    policed = self._policed.pop(interface, None)
                    if policed is not None:
                        self._apply_policies(policed.network_id)

    def _discover_routers(self) -> frozenset[str]:
        """Each router has written its id beside its namespace."""
        return frozenset(path.read_text() for path in self._run_dir.glob("routers/*"))

    def _ensure_router(self, router: RouterSpec) -> None:
        mark = self._run_dir / "routers" / short(router.id)
        mark.parent.mkdir(exist_ok=True)
        mark.write_text(router.id)
        with links.netlink() as route:
            routers.ensure(route, self._names, router, self.netns)

    def _remove_router(self, router_id: str) -> None:
        with links.netlink() as route:
            routers.remove(route, self._names, router_id, self.netns(router_id))
        (self._run_dir / "routers" / short(router_id)).unlink(missing_ok=True)

    def _ensure_services(self, wanted: tuple[ServiceRule, ...]) -> None:
        by_network: dict[str, list[ServiceRule]] = {}
        for rule in wanted:
            by_network.setdefault(rule.network_id, []).append(rule)
        before = self._translated()
        self._rules = {network_id: tuple(some) for network_id, some in by_network.items()}
        networks, _ = self._discover()
        for network_id in networks:
            self._apply_services(network_id)
        if self._guards and self._translated() != before:
            self._filter(filters.services(self._names.namespace, self._translated()))

    def _translated(self) -> set[str]:
        """The addresses that lead to endpoints: not the API's own, which leads to this node."""
        rules = [rule for some in self._rules.values() for rule in some if ":" not in rule.ip]
        return {rule.ip for rule in rules if not any(ip == LINK_LOCAL for ip, _ in rule.endpoints)}

    def _ensure_names(self, names: Mapping[str, tuple[tuple[str, str], ...]]) -> None:
        self._said = names
        networks, _ = self._discover()
        for network_id in networks:
            dhcp.name(names.get(network_id, ()), self._folder(network_id))

    def _apply_services(self, network_id: str) -> None:
        text = rules.services(self._names.namespace, self._rules.get(network_id, ()))
        path = self.netns(network_id)
        if self._applied.get(network_id) == text or not path.exists():
            return
        with namespace.inside(path):
            nft.apply(text)
        self._applied[network_id] = text

    def _apply_policies(self, network_id: str) -> None:
        """Once the groups were told: till then an earlier process's table holds, which knows all ports."""
        path, table = self.netns(network_id), self._names.namespace
        ports = [port for port in self._policed.values() if port.network_id == network_id]
        if self._specs is None or not path.exists() or not (ports or network_id in self._policing):
            return
        text = policing.table(table, ports, self._specs) if ports else rules.drop_table("inet", table)
        if self._policing.get(network_id) != text:
            with namespace.inside(path):
                nft.apply(text)
        self._policing[network_id] = text

    def _cleanup(self) -> None:
        networks, _ = self._discover()
        for network_id in networks:
            self._remove_network(network_id)
        with links.netlink() as route:
            for name in links.all_links(route):
                if self._names.owns(name):
                    links.delete(route, name)
        for path in self._run_dir.glob("netns/*"):
            namespace.remove(path)
        for family in ("bridge", "inet", "ip"):
            nft.apply(rules.drop_table(family, self._names.namespace))
        for folder in self._run_dir.glob("dhcp/*"):
            dhcp.stop(folder)
        shutil.rmtree(self._run_dir, ignore_errors=True)

    def _folder(self, network_id: str) -> Path:
        return self._run_dir / "dhcp" / short(network_id)
