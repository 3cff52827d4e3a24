# SPDX-License-Identifier: Apache-2.0
"""Nova's own words for floating IPs and networks, which ended with microversion 2.35. They are Neutron's."""

from __future__ import annotations

from typing import Any

from lichen.apis.openstack import objects
from lichen.apis.openstack.body import decode_object, shaped
from lichen.apis.openstack.compute.server_parts import ports_of
from lichen.apis.openstack.compute.server_views import Json
from lichen.apis.openstack.network.common import reference, remove
from lichen.apis.openstack.reply import Reply, accepted
from lichen.apis.openstack.request import Request
from lichen.kinds.network.floatingip import FloatingIP
from lichen.kinds.network.network import Network
from lichen.kinds.network.port import Port
from lichen.model.data import Object
from lichen.model.errors import BadRequest, Conflict, Forbidden, Invalid, NotFound
from lichen.model.meta import name_of, namespace_of
from lichen.model.names import with_suffix

LAST_ACTION = (2, 43)


async def list_pools(req: Request) -> Reply:
    return Reply({"floating_ip_pools": [{"name": _called(network)} for network in await _pools(req)]})


async def list_ips(req: Request) -> Reply:
    found = (await req.state.list(FloatingIP.KIND, req.namespace)).items
    return Reply({"floating_ips": [await _view(req, floating) for floating in found]})


async def show_ip(req: Request, id: str) -> Reply:
    return Reply({"floating_ip": await _view(req, await _find(req, id))})


async def create_ip(req: Request) -> Reply:
    """`{"pool": name or id}`; without one, of the first external network."""
    raw = await req.read()
    document = decode_object(raw) if raw else {}
    wanted = document.get("pool")
    pools = [n for n in await _pools(req) if not wanted or wanted in (_called(n), n["spec"]["id"])]
    if not pools:
        raise NotFound(f"Floating IP pool {wanted or ''} not found.")
    spec = {"network": reference(pools[0], req.namespace), "port": "", "portId": "", "fixedIp": "", "routerId": ""}
    try:
        made = await objects.create(req, FloatingIP.KIND, with_suffix("floating"), spec)
    except Conflict as error:
        raise NotFound(f"No more floating IPs in pool {_called(pools[0])}.") from error
    return Reply({"floating_ip": await _view(req, made)})


async def delete_ip(req: Request, id: str) -> Reply:
    await remove(req, await _find(req, id))
    return accepted()


async def add_floating_ip(req: Request, server: Object, argument: Any) -> Reply:
    """`{"address", "fixed_address"}`: from then on the address leads to the server."""
    wanted = _action(req, argument, "addFloatingIp")
    floating = await _by_address(req, str(wanted.get("address") or ""))
    ports = [port for port in await ports_of(req, server) if port["spec"].get("fixedIps")]
    held = [(port, fixed["ipAddress"]) for port in ports for fixed in port["spec"]["fixedIps"]]
    fixed_address = wanted.get("fixed_address")
    fitting = [(p, ip) for p, ip in held if ip == fixed_address or (not fixed_address and ":" not in ip)]
    if not fitting:
        raise BadRequest("No fixed IPs associated to instance" if not held else "Specified fixed address not assigned.")
    port, ip = fitting[0]
    spec = {"port": name_of(port), "portId": port["spec"]["id"], "fixedIp": ip}
    try:
        await objects.change(req, FloatingIP.KIND, floating, lambda held: {**held, **spec})
    except (Invalid, Conflict) as error:
        raise BadRequest(f"Unable to associate floating IP {wanted['address']}: {error.message}") from error
    return accepted()


async def remove_floating_ip(req: Request, server: Object, argument: Any) -> Reply:
    wanted = _action(req, argument, "removeFloatingIp")
    floating = await _by_address(req, str(wanted.get("address") or ""))
    if floating["spec"].get("portId") not in {port["spec"]["id"] for port in await ports_of(req, server)}:
        raise Conflict(f"Floating IP {wanted['address']} is not associated with instance {server['spec']['id']}.")
    apart = {"port": "", "portId": "", "fixedIp": "", "routerId": ""}
    await objects.change(req, FloatingIP.KIND, floating, lambda held: {**held, **apart})
    return accepted()


async def list_networks(req: Request) -> Reply:
    return Reply({"networks": [_network(network) for network in await objects.listed(req, Network.KIND)]})


async def show_network(req: Request, id: str) -> Reply:
    try:
        return Reply({"network": _network(await objects.find(req, Network.KIND, id))})
    except NotFound:
        raise NotFound("Network not found") from None


def _network(network: Object) -> Json:
    return {"id": network["spec"]["id"], "label": _called(network)}


def _action(req: Request, argument: Any, name: str) -> Object:
    if req.version > LAST_ACTION:
        raise BadRequest(f"There is no such action: {name}. The network service does it.")
    wanted = shaped(argument, dict[str, Any], where=name)
    if not isinstance(wanted.get("address"), str):
        raise BadRequest(f"Invalid input for field/attribute {name}: its address is missing.")
    return wanted


async def _by_address(req: Request, address: str) -> Object:
    for floating in (await req.state.list(FloatingIP.KIND, req.namespace)).items:
        if floating["spec"].get("address") == address:
            return floating
    raise NotFound(f"Floating IP {address} not found.")


async def _find(req: Request, id: str) -> Object:
    try:
        found = await objects.find(req, FloatingIP.KIND, id)
    except (NotFound, Forbidden):
        raise NotFound(f"Floating IP not found for ID {id}") from None
    return found


async def _pools(req: Request) -> list[Object]:
    networks = await objects.listed(req, Network.KIND, everywhere=req.caller.is_admin)
    return [network for network in networks if network["spec"].get("external")]


async def _view(req: Request, floating: Object) -> Json:
    spec = floating["spec"]
    pool = next((n for n in await _pools(req) if n["spec"]["id"] == spec.get("networkId")), None)
    server = None
    if spec.get("portId"):
        where = namespace_of(floating)
        ports = (await req.state.list(Port.KIND, where, fields=f"spec.id={spec['portId']}", limit=1)).items
        server = next((p["spec"].get("deviceId") or None for p in ports), None)
    return {
        "id": spec["id"],
        "ip": spec.get("address", ""),
        "fixed_ip": spec.get("fixedIp") or None,
        "instance_id": server,
        "pool": _called(pool) if pool else spec.get("networkId", ""),
    }


def _called(network: Object) -> str:
    return str(network["spec"].get("displayName") or name_of(network))
