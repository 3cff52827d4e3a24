# SPDX-License-Identifier: Apache-2.0
"""Services: a cluster address each, claimed by an IPAddress named after it, and node ports."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from ipaddress import IPv4Address, IPv4Network, ip_address, ip_network

from lichen.kernel.admission import Request, faulty
from lichen.kernel.admission.pool import Pool
from lichen.kinds.builtin import SERVICE
from lichen.kinds.core.service import WITH_NODE_PORTS
from lichen.kinds.faults import show
from lichen.kinds.resources import builtin
from lichen.model.data import Object
from lichen.model.errors import Cause, NotFound
from lichen.model.kind import Kind
from lichen.model.state import State

IP_ADDRESS = builtin("networking.k8s.io", "ipaddresses")
SERVICE_RANGE = "10.96.0.0/16"
NODE_PORTS = (30000, 32767)
_MANAGED = {"ipaddress.kubernetes.io/ip-family": "IPv4", "ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io"}


class Services:
    """Gives clusterIP and nodePort before the answer, and takes them back at the end."""

    kinds: tuple[Kind, ...] | None = (SERVICE,)
    verbs: tuple[str, ...] = ("create", "update")

    def __init__(self, service_range: str = SERVICE_RANGE) -> None:
        network = ip_network(service_range)
        assert isinstance(network, IPv4Network)
        self._network = network
        self._addresses: Pool | None = None
        self._ports: Pool | None = None
        self._loading = asyncio.Lock()

    async def admit(self, request: Request) -> None:
        if request.subresource:
            return
        await self._load(request.state)
        spec = request.object["spec"]
        old = request.old["spec"] if request.old else {}
        if spec.get("type") == "ExternalName":
            for field in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"):
                spec.pop(field, None)
        else:
            await self._give_address(request, spec, old)
        await self._give_ports(request, spec, old)
        self._take_back(request, spec, old)

    async def removed(self, kind: Kind, obj: Object, state: State) -> None:
        spec = obj["spec"]
        await self._release_address(state, spec.get("clusterIP", ""))
        for number in _node_ports(spec):
            await self._release_port(number)

    async def _give_address(self, request: Request, spec: Object, old: Object) -> None:
        wanted = spec.get("clusterIP") or next(iter(spec.get("clusterIPs") or []), "")
        if not wanted or (wanted != "None" and wanted != old.get("clusterIP")):
            wanted = await self._take_address(request, wanted)
            request.undo.append(lambda: self._release_address(request.state, wanted))
        spec["clusterIP"], spec["clusterIPs"] = wanted, [wanted]
        spec.setdefault("ipFamilies", ["IPv4"])
        spec.setdefault("ipFamilyPolicy", "SingleStack")

    async def _take_address(self, request: Request, wanted: str) -> str:
        assert self._addresses is not None
        service = {"group": "", "resource": "services", "namespace": request.namespace, "name": request.name}
        claim = _claiming(request.state, service)
        if not wanted:
            number = await self._addresses.take_any(claim)
            if number is None:
                raise _refusal(request, "spec.clusterIPs", "", "no address of the service range is free")
            return str(IPv4Address(number))
        try:
            inside = ip_address(wanted) in self._network
        except ValueError:
            inside = False
        if not inside:
            why = f"provided IP is not in the valid range. The range of valid IPs is {self._network}"
            raise _refusal(request, "spec.clusterIPs", wanted, why)
        if not await self._addresses.take(int(ip_address(wanted)), claim):
            raise _refusal(request, "spec.clusterIPs", wanted, "provided IP is already allocated")
        return wanted

    async def _give_ports(self, request: Request, spec: Object, old: Object) -> None:
        if spec.get("type") not in WITH_NODE_PORTS:
            for port in spec.get("ports") or ():
                port.pop("nodePort", None)
            return
        kept = set(_node_ports(old))
        give = spec["type"] == "NodePort" or spec.get("allocateLoadBalancerNodePorts", True)
        for index, port in enumerate(spec.get("ports") or ()):
            if port.get("nodePort") not in kept and (port.get("nodePort") or give):
                port["nodePort"] = await self._take_port(request, port.get("nodePort") or 0, index)

    async def _take_port(self, request: Request, wanted: int, index: int) -> int:
        assert self._ports is not None
        field = f"spec.ports[{index}].nodePort"
        number: int | None = wanted
        if not wanted:
            number = await self._ports.take_any(_nothing)
        elif not NODE_PORTS[0] <= wanted <= NODE_PORTS[1]:
            why = (
                f"provided port is not in the valid range. The range of valid ports is {'-'.join(map(str, NODE_PORTS))}"
            )
            raise _refusal(request, field, wanted, why)
        elif not await self._ports.take(wanted, _nothing):
            raise _refusal(request, field, wanted, "provided port is already allocated")
        if number is None:
            raise _refusal(request, field, wanted, "no node port is free")
        request.undo.append(self._releasing_port(number))
        return number

    def _take_back(self, request: Request, spec: Object, old: Object) -> None:
        """What the old service had and the new one has not."""
        if old.get("clusterIP") and old["clusterIP"] != spec.get("clusterIP"):
            request.done.append(lambda: self._release_address(request.state, old["clusterIP"]))
        for number in set(_node_ports(old)) - set(_node_ports(spec)):
            request.done.append(self._releasing_port(number))

    def _releasing_port(self, number: int) -> Callable[[], Awaitable[None]]:
        return lambda: self._release_port(number)

    async def _release_port(self, number: int) -> None:
        if self._ports is not None:
            self._ports.release(number)

    async def _release_address(self, state: State, address: str) -> None:
        if not address or address == "None":
            return
        with contextlib.suppress(NotFound):
            await state.delete(IP_ADDRESS, address)
        if self._addresses is not None:
            self._addresses.release(int(ip_address(address)))

    async def _load(self, state: State) -> None:
        """From the stored services. A claim that no service has was left by a crash: it is removed."""
        if self._addresses is not None:
            return
        async with self._loading:
            if self._addresses is not None:
                return
            services = [service["spec"] for service in (await state.list(SERVICE)).items]
            held = {spec.get("clusterIP", "") for spec in services} - {"", "None"}
            for claim in (await state.list(IP_ADDRESS)).items:
                name = claim["metadata"]["name"]
                if name not in held and (claim["spec"].get("parentRef") or {}).get("resource") == "services":
                    await state.delete(IP_ADDRESS, name)
            first, last = int(self._network.network_address) + 1, int(self._network.broadcast_address) - 1
            self._ports = Pool([NODE_PORTS], [number for spec in services for number in _node_ports(spec)])
            # The low addresses are left for those who ask for one by name.
            dynamic = min(first + 256, last)
            self._addresses = Pool([(dynamic, last), (first, dynamic - 1)], [int(ip_address(ip)) for ip in held])


def _claiming(state: State, service: Object) -> Callable[[int], Awaitable[object]]:
    async def claim(number: int) -> None:
        await state.create(
            IP_ADDRESS,
            {
                "apiVersion": IP_ADDRESS.api_version,
                "kind": IP_ADDRESS.kind,
                "metadata": {"name": str(IPv4Address(number)), "labels": dict(_MANAGED)},
                "spec": {"parentRef": service},
            },
        )

    return claim


async def _nothing(number: int) -> None:
    return None


def _node_ports(spec: Object) -> list[int]:
    return [port["nodePort"] for port in spec.get("ports") or () if port.get("nodePort")]


def _refusal(request: Request, field: str, value: object, why: str) -> Exception:
    return faulty(request, Cause(field, f"Invalid value: {show(value)}: {why}"))
