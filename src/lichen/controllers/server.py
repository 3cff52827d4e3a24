# SPDX-License-Identifier: Apache-2.0
"""Servers get their ports, and show the addresses of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from lichen.controllers.base import Key, Mapper, World, by_owner
from lichen.kinds.builtin import NODE
from lichen.kinds.compute.server import Server
from lichen.kinds.network.floatingip import FloatingIP
from lichen.kinds.network.network import Network
from lichen.kinds.network.port import Port
from lichen.kinds.network.securitygroup import SecurityGroup
from lichen.model.data import Object
from lichen.model.kind import Kind
from lichen.model.meta import labels_of, name_of, namespace_of
from lichen.model.names import CLUSTER_NETWORK, SYSTEM_NAMESPACE
from lichen.planning.ports import SERVER_OWNER, plan_server_ports, server_addresses, server_port_names
from lichen.planning.steps import Step, patch_status

ZONE = "topology.kubernetes.io/zone"


class ServerController:
    name: ClassVar[str] = "server"
    kind: ClassVar[Kind] = Server.KIND

    def __init__(self, world: World) -> None:
        self.world = world
        self.servers = world.informer(Server.KIND)
        self.ports = world.informer(Port.KIND)
        self.nodes = world.informer(NODE)
        self.networks = world.informer(Network.KIND)
        self.floating = world.informer(FloatingIP.KIND)
        self.floating.add_index("port", lambda floating: [floating["spec"].get("portId") or ""])
        self.ports.add_index("id", lambda port: [port["spec"].get("id", "")])
        self.groups = world.informer(SecurityGroup.KIND)
        self.servers.add_index("id", lambda server: [server["spec"].get("id", "")])
        self.networks.add_index("namespace", lambda network: [namespace_of(network)])
        self.watches: Mapping[Kind, Mapper] = {Port.KIND: self._server_of, FloatingIP.KIND: self._server_behind}

    async def reconcile(self, key: Key) -> float | None:
        server = self.servers.get(key[1], key[0])
        if server is None:
            return None
        default = self._default_network(key[0])
        names = server_port_names(server, default)
        held = {name: port for name in names if (port := self.ports.get(name, key[0]))}
        ordered = [held[name] for name in names if name in held]
        steps = plan_server_ports(server, held, default)
        await self.world.apply_told([*steps, *self._report(server, ordered)], server, "FailedCreatePort")
        return None

    def _report(self, server: Object, ports: list[Object]) -> list[Step]:
        labels = {
            n["spec"].get("id", ""): n["spec"].get("displayName") or name_of(n) for n in self.networks.items.values()
        }
        addresses = server_addresses(server, ports, labels)
        addresses += [floating for port in ports for floating in self._floating(port, labels)]
        wanted: Object = {"addresses": addresses, "ips": ", ".join(a["ip"] for a in addresses)}
        wanted["securityGroups"] = self._groups_of(ports)
        wanted["zone"] = labels_of(self.nodes.get(server["spec"].get("node") or "") or {"metadata": {}}).get(ZONE, "")
        if not (server.get("status") or {}).get("phase"):
            wanted["phase"] = "Pending"
        return patch_status(Server.KIND, server, wanted)

    def _floating(self, port: Object, labels: Mapping[str, str]) -> list[Object]:
        """The addresses outside that lead to a port."""
        spec = port["spec"]
        found = sorted(f["spec"]["address"] for f in self.floating.by_index("port", spec.get("id") or "-"))
        shown = {"network": labels.get(spec.get("networkId", ""), spec["network"]), "mac": spec.get("mac", "")}
        return [{**shown, "ip": ip, "version": 4, "port": name_of(port), "type": "floating"} for ip in found]

    def _server_behind(self, floating: Object) -> list[Key]:
        ports = self.ports.by_index("id", floating["spec"].get("portId") or "-")
        return [key for port in ports for key in self._server_of(port)]

    def _groups_of(self, ports: list[Object]) -> list[str]:
        """The names, as written, of the security groups of its ports."""
        named = {(namespace_of(port), name) for port in ports for name in port["spec"].get("securityGroups") or ()}
        found = ((self.groups.get(name, namespace), name) for namespace, name in sorted(named))
        return [(group["spec"].get("displayName") or name) if group else name for group, name in found]

    def _default_network(self, namespace: str) -> str:
        """The project's only network, else the one that all share."""
        own = self.networks.by_index("namespace", namespace)
        if len(own) == 1:
            return name_of(own[0])
        shared = self.networks.get(CLUSTER_NETWORK, SYSTEM_NAMESPACE)
        return f"{SYSTEM_NAMESPACE}/{CLUSTER_NETWORK}" if shared else ""

    def _server_of(self, port: Object) -> list[Key]:
        owned = by_owner("Server")(port)
        if owned or port["spec"].get("deviceOwner") != SERVER_OWNER:
            return list(owned)
        servers = self.servers.by_index("id", port["spec"].get("deviceId", ""))
        return [(namespace_of(s), name_of(s)) for s in servers]
