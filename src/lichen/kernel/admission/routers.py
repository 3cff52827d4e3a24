# SPDX-License-Identifier: Apache-2.0
"""Routers get their address outside before the answer; their interfaces fit together; none goes that is in use."""

from __future__ import annotations

from ipaddress import ip_network

from lichen.kernel.admission import Request, faulty, missing
from lichen.kernel.admission.madeports import MadePorts
from lichen.kernel.admission.refs import canonical, resolve_external
from lichen.kinds.network.floatingip import FloatingIP
from lichen.kinds.network.port import Port
from lichen.kinds.network.router import ROUTER_INTERFACE, Router
from lichen.kinds.network.subnet import Subnet
from lichen.model.data import Object
from lichen.model.errors import Cause, Conflict
from lichen.model.kind import Kind
from lichen.model.meta import namespace_of
from lichen.model.names import CONTROLLERS, with_suffix
from lichen.model.state import State

GATEWAY = "network:router_gateway"


class Routers:
    """Pins the external network and makes the gateway's port."""

    kinds: tuple[Kind, ...] | None = (Router.KIND,)
    verbs: tuple[str, ...] = ("create", "update", "delete")

    def __init__(self, made: MadePorts) -> None:
        self._made = made

    async def admit(self, request: Request) -> None:
        if request.subresource:
            return
        if request.verb == "delete":
            await self._check_unused(request)
            return
        spec = request.object["spec"]
        gateway = spec.get("externalGateway")
        old = ((request.old or {}).get("spec") or {}).get("externalGateway")
        if gateway:
            network = await resolve_external(request, gateway.get("network", ""), "spec.externalGateway.network")
            gateway["network"] = canonical(network, request.namespace)
            gateway["networkId"] = network["spec"]["id"]
            if old and _is_same(gateway, old):
                gateway["fixedIps"], gateway["port"] = old["fixedIps"], old["port"]
                return
        if old:
            await self._check_unfloated(request, old["networkId"])
            request.done.append(lambda: self._made.unmake(request.state, old["port"], request.namespace))
        if gateway:
            wanted = [{k: v for k, v in fixed.items() if v} for fixed in gateway.get("fixedIps") or []]
            name = with_suffix(f"gateway-{request.name}"[:50])
            port = await self._made.make(request, network, GATEWAY, name, wanted)
            gateway["fixedIps"], gateway["port"] = port["spec"]["fixedIps"], name

    async def removed(self, kind: Kind, obj: Object, state: State) -> None:
        gateway = obj["spec"].get("externalGateway")
        if gateway and gateway.get("port"):
            await self._made.unmake(state, gateway["port"], namespace_of(obj))

    async def _check_unused(self, request: Request) -> None:
        if request.caller.name == CONTROLLERS:
            return
        id = request.object["spec"]["id"]
        if await interfaces_of(request.state, id):
            raise _conflict(request, f"Router {id} still has ports")
        gateway = request.object["spec"].get("externalGateway")
        if gateway:
            await self._check_unfloated(request, gateway["networkId"])

    async def _check_unfloated(self, request: Request, network_id: str) -> None:
        id = request.object["spec"]["id"]
        floating = (await request.state.list(FloatingIP.KIND)).items
        if any(f["spec"].get("routerId") == id and f["spec"]["networkId"] == network_id for f in floating):
            raise _conflict(
                request,
                f"Gateway cannot be updated for router {id}, since a gateway to external network {network_id} is "
                "required by one or more floating IPs.",
            )


class RouterInterfaces:
    """A port that is a router's interface: the router is the project's, and its subnets don't overlap."""

    kinds: tuple[Kind, ...] | None = (Port.KIND,)
    verbs: tuple[str, ...] = ("create", "update")

    async def admit(self, request: Request) -> None:
        spec = request.object["spec"]
        old = request.old["spec"] if request.old else {}
        same = all(spec.get(key) == old.get(key) for key in ("deviceOwner", "deviceId"))
        if spec.get("deviceOwner") != ROUTER_INTERFACE or same:
            return
        id = spec.get("deviceId") or ""
        page = await request.state.list(Router.KIND, request.namespace, fields=f"spec.id={id}", limit=1)
        if not page.items:
            raise faulty(request, missing("spec.deviceId", id, "no Router of that id is in this namespace"))
        ours = await _subnets(request.state, [request.object])
        theirs = await _subnets(request.state, await interfaces_of(request.state, id))
        for subnet in ours:
            mine = ip_network(subnet["spec"]["cidr"])
            for other in theirs:
                if subnet["spec"]["id"] == other["spec"]["id"]:
                    why = f"Router already has a port on subnet {subnet['spec']['id']}"
                    raise faulty(request, Cause("spec.fixedIps", why))
                there = ip_network(other["spec"]["cidr"])
                if mine.version == there.version and mine.overlaps(there):
                    why = f"Cidr {mine} of subnet {subnet['spec']['id']} overlaps with cidr {there} of subnet"
                    raise faulty(request, Cause("spec.fixedIps", f"{why} {other['spec']['id']}"))


async def interfaces_of(state: State, router_id: str) -> list[Object]:
    """The ports by which a router is on networks inside."""
    ports = (await state.list(Port.KIND, fields=f"spec.deviceId={router_id}")).items
    return [port for port in ports if port["spec"].get("deviceOwner") == ROUTER_INTERFACE]


async def _subnets(state: State, ports: list[Object]) -> list[Object]:
    ids = {fixed["subnetId"] for port in ports for fixed in port["spec"].get("fixedIps") or ()}
    return [s for id in sorted(ids) for s in (await state.list(Subnet.KIND, fields=f"spec.id={id}")).items]


def _is_same(gateway: Object, old: Object) -> bool:
    """The gateway's port can stay: same network, and no other address is asked for."""
    if gateway["networkId"] != old["networkId"]:
        return False
    held = [(f["subnetId"], f["ipAddress"]) for f in old["fixedIps"]]
    wanted = [(f.get("subnetId"), f.get("ipAddress")) for f in gateway.get("fixedIps") or ()]
    fits = [
        all(w in (None, "", h) for w, h in zip(want, have, strict=True))
        for want, have in zip(wanted, held, strict=False)
    ]
    return not wanted or (len(wanted) == len(held) and all(fits))


def _conflict(request: Request, message: str) -> Conflict:
    return Conflict(message, kind=request.kind.plural, group=request.kind.group, name=request.name)
