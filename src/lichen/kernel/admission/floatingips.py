# SPDX-License-Identifier: Apache-2.0
"""Floating IPs get their address before the answer, and the router that leads to their port."""

from __future__ import annotations

from lichen.kernel.admission import Request, faulty, missing
from lichen.kernel.admission.madeports import MadePorts
from lichen.kernel.admission.refs import canonical, resolve_external
from lichen.kinds.network.floatingip import FloatingIP
from lichen.kinds.network.port import Port
from lichen.kinds.network.router import ROUTER_INTERFACE, Router
from lichen.model.data import Object
from lichen.model.errors import Cause, Conflict, NotFound
from lichen.model.kind import Kind
from lichen.model.meta import name_of, namespace_of
from lichen.model.state import State

OWNER = "network:floatingip"


class FloatingIPs:
    """Fills and pins."""

    kinds: tuple[Kind, ...] | None = (FloatingIP.KIND,)
    verbs: tuple[str, ...] = ("create", "update")

    def __init__(self, made: MadePorts) -> None:
        self._made = made

    async def admit(self, request: Request) -> None:
        if request.subresource:
            return
        spec = request.object["spec"]
        if request.verb == "create":
            network = await resolve_external(request, spec.get("network", ""), "spec.network")
            spec["network"], spec["networkId"] = canonical(network, request.namespace), network["spec"]["id"]
            wanted = {"ipAddress": spec.get("address", ""), "subnet": spec.get("subnet", "")}
            fixed = {key: value for key, value in wanted.items() if value}
            port = await self._made.make(request, network, OWNER, port_name(spec["id"]), [fixed] if fixed else [])
            if not port["spec"]["fixedIps"]:
                raise faulty(request, Cause("spec.network", "the external network has no subnet to take from"))
            spec["address"] = port["spec"]["fixedIps"][0]["ipAddress"]
        await self._lead(request, spec, (request.old or {}).get("spec") or {})

    async def removed(self, kind: Kind, obj: Object, state: State) -> None:
        await self._made.unmake(state, port_name(obj["spec"]["id"]), namespace_of(obj))

    async def _lead(self, request: Request, spec: Object, old: Object) -> None:
        """Pin the port, its address and the router between."""
        name = spec.get("port")
        if not name:
            for key in ("port", "portId", "fixedIp", "routerId"):
                spec.pop(key, None)
            return
        try:
            port = await request.state.get(Port.KIND, name, request.namespace)
        except NotFound:
            raise faulty(request, missing("spec.port", name, "no Port of that name is in this namespace")) from None
        moved = spec.get("portId") not in ("", None, port["spec"]["id"]) or old.get("port") != name
        held = [f["ipAddress"] for f in port["spec"].get("fixedIps") or () if ":" not in f["ipAddress"]]
        wanted = spec.get("fixedIp") if not (moved and spec.get("fixedIp") == old.get("fixedIp")) else ""
        if not held or (wanted and wanted not in held):
            why = f"Port {port['spec']['id']} does not have fixed ip {wanted or 'of IPv4'}."
            raise faulty(request, Cause("spec.fixedIp", why))
        spec["portId"], spec["fixedIp"] = port["spec"]["id"], wanted or held[0]
        await self._check_free(request, spec)
        spec["routerId"] = await _router_of(request, spec, port)

    async def _check_free(self, request: Request, spec: Object) -> None:
        others = (await request.state.list(FloatingIP.KIND, fields=f"spec.portId={spec['portId']}")).items
        for other in others:
            if name_of(other) != request.name and other["spec"].get("fixedIp") == spec["fixedIp"]:
                raise Conflict(
                    f"Cannot associate floating IP {spec['address']} ({spec['id']}) with port {spec['portId']} using "
                    f"fixed IP {spec['fixedIp']}, as that fixed IP already has a floating IP on external network "
                    f"{spec['networkId']}.",
                    kind=request.kind.plural,
                    group=request.kind.group,
                    name=request.name,
                )


def port_name(id: str) -> str:
    """Of the port that holds a floating IP's address."""
    return f"floating-{id}".lower()


async def _router_of(request: Request, spec: Object, port: Object) -> str:
    """The router that is on the port's network and has its gateway on the floating IP's. Invalid: there is none."""
    subnet = next((f["subnetId"] for f in port["spec"]["fixedIps"] if f["ipAddress"] == spec["fixedIp"]), "")
    routers = (await request.state.list(Router.KIND)).items
    leading = {
        r["spec"]["id"] for r in routers
        if (r["spec"].get("externalGateway") or {}).get("networkId") == spec["networkId"]
    }  # fmt: skip
    ports = await request.state.list(Port.KIND, fields=f"spec.networkId={port['spec']['networkId']}")
    for other in sorted(ports.items, key=name_of):
        found = other["spec"]
        on_subnet = any(f["subnetId"] == subnet for f in found.get("fixedIps") or ())
        if found.get("deviceOwner") == ROUTER_INTERFACE and found.get("deviceId") in leading and on_subnet:
            return str(found["deviceId"])
    why = (
        f"External network {spec['networkId']} is not reachable from subnet {subnet}. Therefore, cannot associate Port "
        f"{port['spec']['id']} with a Floating IP."
    )
    raise faulty(request, Cause("spec.port", why, "FieldValueNotFound"))
