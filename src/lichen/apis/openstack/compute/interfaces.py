# SPDX-License-Identifier: Apache-2.0
"""Interfaces of a server: plugged in and out while it runs; further addresses on one of them."""

from __future__ import annotations

from typing import Any

from lichen.apis.openstack import objects
from lichen.apis.openstack.body import shaped
from lichen.apis.openstack.compute.readiness import check_unlocked, require
from lichen.apis.openstack.compute.server_networks import address_of, network_of, port_of, reference
from lichen.apis.openstack.compute.server_parts import interface_view, ports_of
from lichen.apis.openstack.compute.servers import find, patch_spec
from lichen.apis.openstack.reply import Reply, accepted
from lichen.apis.openstack.request import Request
from lichen.kinds.compute.server import Server
from lichen.kinds.network.network import Network
from lichen.kinds.network.port import Port
from lichen.kinds.network.subnet import Subnet
from lichen.model.data import Object
from lichen.model.errors import BadRequest, NotFound
from lichen.model.kind import new_object
from lichen.model.meta import name_of, namespace_of, owner_reference, owners_of
from lichen.model.names import with_suffix
from lichen.planning.ports import SERVER_OWNER, server_port_name

STATES = {"active", "paused", "stopped"}


async def attach(req: Request, id: str) -> Reply:
    """`{"interfaceAttachment": {"port_id"} or {"net_id", "fixed_ips"}}`; nothing named: the one network there is."""
    document = await req.document()
    wanted = shaped(document.get("interfaceAttachment") or {}, dict[str, Any], where="interfaceAttachment")
    server = await find(req, id)
    check_unlocked(req, server)
    require(server, "attach_interface", STATES)
    if set(wanted) - {"port_id", "net_id", "fixed_ips"}:
        raise BadRequest("Invalid input for field/attribute interfaceAttachment: port_id, net_id, fixed_ips are known.")
    if wanted.get("port_id"):
        if wanted.get("net_id") or wanted.get("fixed_ips"):
            raise BadRequest("Invalid input for field/attribute interfaceAttachment: port_id stands alone.")
        name = await port_of(req, str(wanted["port_id"]))
    else:
        name = await _new_port(req, server, wanted)
    await patch_spec(req, server, {"networks": [*await _explicit(req, server), {"port": name}]})
    port = await req.state.get(Port.KIND, name, namespace_of(server))
    return Reply({"interfaceAttachment": interface_view(req, port)})


async def detach(req: Request, id: str, port_id: str) -> Reply:
    server = await find(req, id)
    check_unlocked(req, server)
    require(server, "detach_interface", STATES)
    port = next((p for p in await ports_of(req, server) if p["spec"]["id"] == port_id), None)
    if port is None:
        raise NotFound(f"Port {port_id} not found on instance {id}")
    left = [entry for entry in await _explicit(req, server) if entry.get("port") != name_of(port)]
    await patch_spec(req, server, {"networks": left})
    if any(owner["kind"] == Server.KIND.kind for owner in owners_of(port)):
        await req.state.delete(Port.KIND, name_of(port), namespace_of(port))
    else:
        free = {"spec": {"deviceId": "", "deviceOwner": ""}}
        await req.state.patch(Port.KIND, name_of(port), namespace_of(port), free)
    return accepted()


async def add_fixed_ip(req: Request, server: Object, argument: Any) -> Reply:
    """`{"networkId"}`: one more address on the interface that the server has there."""
    network_id = str(shaped(argument, dict[str, Any], where="addFixedIp").get("networkId") or "")
    for port in await ports_of(req, server):
        if port["spec"].get("networkId") == network_id:
            held = port["spec"].get("fixedIps") or []
            network = await objects.find(req, Network.KIND, network_id)
            fields = f"spec.networkId={network_id}"
            subnets = (await req.state.list(Subnet.KIND, namespace_of(network), fields=fields)).items
            where = {"subnet": _seen_from(port, subnets[0])} if subnets else {}
            patch = {"spec": {"fixedIps": [*held, where]}}
            await req.state.patch(Port.KIND, name_of(port), namespace_of(port), patch)
            return accepted()
    raise BadRequest(f"Network {network_id} is none that instance {server['spec']['id']} is on.")


async def remove_fixed_ip(req: Request, server: Object, argument: Any) -> Reply:
    address = str(shaped(argument, dict[str, Any], where="removeFixedIp").get("address") or "")
    for port in await ports_of(req, server):
        held = port["spec"].get("fixedIps") or []
        left = [fixed for fixed in held if fixed.get("ipAddress") != address]
        if len(left) < len(held):
            await req.state.patch(Port.KIND, name_of(port), namespace_of(port), {"spec": {"fixedIps": left}})
            return accepted()
    raise BadRequest(f"Fixed IP {address} has not been found for instance {server['spec']['id']}.")


def _seen_from(port: Object, subnet: Object) -> str:
    there = namespace_of(subnet)
    return name_of(subnet) if there == namespace_of(port) else f"{there}/{name_of(subnet)}"


async def _new_port(req: Request, server: Object, wanted: Object) -> str:
    """A port of the server's own, by name."""
    fixed = wanted.get("fixed_ips") or []
    if not isinstance(fixed, list) or len(fixed) > 1 or not all(isinstance(ip, dict) for ip in fixed):
        raise BadRequest("Invalid input for field/attribute fixed_ips: it is a list of one address.")
    if fixed and not wanted.get("net_id"):
        raise BadRequest("Invalid input for field/attribute fixed_ips: it needs a net_id.")
    network = await network_of(req, wanted.get("net_id") and str(wanted["net_id"]))
    spec: Object = {
        "network": reference(req, network),
        "deviceOwner": SERVER_OWNER,
        "deviceId": server["spec"]["id"],
    }
    if fixed:
        spec["fixedIps"] = [{"ipAddress": address_of(str(fixed[0].get("ip_address", "")))}]
    name = with_suffix(name_of(server))
    owned = {"ownerReferences": [owner_reference(server)]}
    await req.state.create(Port.KIND, new_object(Port.KIND, name, namespace_of(server), spec, **owned))
    return name


async def _explicit(req: Request, server: Object) -> list[Object]:
    """The server's networks, its ports named, so that each keeps its port when another comes or goes."""
    ports = {name_of(port) for port in await ports_of(req, server)}
    networks = server["spec"].get("networks")
    if networks is None:
        return [{"port": name} for name in sorted(ports)]
    made = [server_port_name(name_of(server), number) for number in range(len(networks))]
    return [
        entry if entry.get("port") or name not in ports else {"port": name}
        for entry, name in zip(networks, made, strict=True)
    ]
