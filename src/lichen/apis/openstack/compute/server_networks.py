# SPDX-License-Identifier: Apache-2.0
"""The `networks` of a new server: named ones, existing ports, `auto`, `none`, or nothing said."""

from __future__ import annotations

from typing import Any

from lichen.apis.openstack import objects
from lichen.apis.openstack.request import Request
from lichen.kinds.network import ranges
from lichen.kinds.network.network import Network
from lichen.kinds.network.port import Port
from lichen.kinds.network.subnet import Subnet
from lichen.model.data import Object
from lichen.model.errors import BadRequest, Conflict, NotFound
from lichen.model.meta import name_of, namespace_of

_KEYS = {"uuid", "port", "fixed_ip", "tag"}


async def networks_of(req: Request, wanted: Any) -> list[Object]:
    """The spec's networks. BadRequest: one of them is not there. Conflict: a port is in use, or nothing was said and
    several networks could be meant."""
    if isinstance(wanted, str):
        if wanted not in ("auto", "none") or not req.since(2, 37):
            raise BadRequest(f"Invalid input for field/attribute networks. Value: {wanted[:40]}.")
        return [] if wanted == "none" else await _the_one(req)
    if wanted is not None and not (isinstance(wanted, list) and all(isinstance(item, dict) for item in wanted)):
        raise BadRequest("Invalid input for field/attribute networks: it is not a list of objects.")
    if not wanted:
        return await _the_one(req)
    ports = [item.get("port") for item in wanted if item.get("port")]
    if len(ports) != len(set(map(str, ports))):
        raise BadRequest("Invalid input for field/attribute networks: a port is named twice.")
    return [await _one(req, item) for item in wanted]


async def network_of(req: Request, id: str | None) -> Object:
    """The network of that id, or the one that there is. BadRequest; Conflict: several could be meant."""
    usable = [await _network(req, id)] if id else await _usable(req)
    if not usable:
        raise BadRequest("There is no network to use.")
    return usable[0]


async def _the_one(req: Request) -> list[Object]:
    """The project's only network, else the only one that is shared with it; none if there is none."""
    return [{"network": reference(req, network)} for network in await _usable(req)]


async def _usable(req: Request) -> list[Object]:
    networks = [n for n in await objects.listed(req, Network.KIND) if not n["spec"].get("external")]
    own = [n for n in networks if namespace_of(n) == req.namespace]
    usable = own or networks
    if len(usable) > 1:
        raise Conflict("Multiple possible networks found, use a Network ID to be more specific.")
    return usable


async def _one(req: Request, item: Object) -> Object:
    unknown = sorted(set(item) - _KEYS)
    if unknown or not all(value is None or isinstance(value, str) for value in item.values()):
        raise BadRequest(f"Invalid input for field/attribute networks: {unknown or 'its values are texts'}.")
    if item.get("tag"):
        raise BadRequest("Tags of interfaces are not supported by this cloud.")
    if item.get("port"):
        return {"port": await port_of(req, item["port"])}
    if not item.get("uuid"):
        raise BadRequest("Invalid input for field/attribute networks: each needs a uuid or a port.")
    network = await _network(req, item["uuid"])
    wanted = {"network": reference(req, network)}
    if item.get("fixed_ip"):
        wanted["fixedIp"] = address_of(item["fixed_ip"])
    return wanted


async def _network(req: Request, id: str) -> Object:
    try:
        network = await objects.find(req, Network.KIND, id)
    except NotFound:
        raise BadRequest(f"Network {id} could not be found.") from None
    where = req.namespace if namespace_of(network) == req.namespace else None
    if not (await req.state.list(Subnet.KIND, where, fields=f"spec.networkId={id}", limit=1)).items:
        raise BadRequest(f"Network {id} requires a subnet in order to boot instances on.")
    return network


async def port_of(req: Request, id: str) -> str:
    try:
        port = await objects.find(req, Port.KIND, id)
    except NotFound:
        raise BadRequest(f"Port id {id} could not be found.") from None
    if port["spec"].get("deviceId"):
        raise Conflict(f"Port {id} is still in use.")
    if namespace_of(port) != req.namespace:
        raise BadRequest(f"Port {id} not usable for instance: it is another project's.")
    return name_of(port)


def address_of(text: str) -> str:
    address = ranges.address_of(text)
    if address is None:
        raise BadRequest(f"Fixed IP address ({text}) is not a valid address.")
    return str(address)


def reference(req: Request, network: Object) -> str:
    where = namespace_of(network)
    return name_of(network) if where == req.namespace else f"{where}/{name_of(network)}"
