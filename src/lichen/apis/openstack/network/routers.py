# SPDX-License-Identifier: Apache-2.0
"""Calls on routers and their interfaces. An interface is a port of the router's."""

from __future__ import annotations

from msgspec import Struct

from lichen.apis.openstack import objects
from lichen.apis.openstack.body import shaped
from lichen.apis.openstack.network.attributes import bodies, invalid, one_body, to_spec, typed
from lichen.apis.openstack.network.common import create_all, reference, remove, see, visible
from lichen.apis.openstack.network.common import target_namespace as namespace_for
from lichen.apis.openstack.network.filters import Json, listing, only_fields
from lichen.apis.openstack.network.views import router_view
from lichen.apis.openstack.projects import project_ids
from lichen.apis.openstack.reply import Reply, created
from lichen.apis.openstack.request import Request
from lichen.kinds.network.floatingip import FloatingIP
from lichen.kinds.network.network import Network
from lichen.kinds.network.port import Port
from lichen.kinds.network.router import ROUTER_INTERFACE, Router
from lichen.kinds.network.subnet import Subnet
from lichen.model.data import Object
from lichen.model.errors import BadRequest, Conflict, NotFound
from lichen.model.meta import name_of, namespace_of

ATTRIBUTES = frozenset(
    {
        "id", "name", "status", "admin_state_up", "tenant_id", "project_id", "description", "revision_number",
        "created_at", "updated_at", "flavor_id", "ha", "distributed",
    }
)  # fmt: skip
_APART = ("external_gateway_info", "ha", "distributed", "availability_zone_hints", "flavor_id")
_READ_ONLY = ("status", "tags")


class InterfaceBody(Struct):
    """Of add_router_interface and remove_router_interface."""

    subnet_id: str | None = None
    port_id: str | None = None


async def list_routers(req: Request) -> Reply:
    return listing(req, "routers", await _views(req, await visible(req, Router.KIND)), ATTRIBUTES)


async def show_router(req: Request, id: str) -> Reply:
    router = await see(req, Router.KIND, id)
    return Reply({"router": only_fields(req, (await _views(req, [router]))[0])})


async def create_router(req: Request) -> Reply:
    wanted, bulk = await bodies(req, "router", "routers")
    shown = await _views(req, await create_all(req, wanted, _create))
    return created({"routers": shown} if bulk else {"router": shown[0]})


async def update_router(req: Request, id: str) -> Reply:
    attributes = await one_body(req, "router")
    _check(attributes)
    spec = to_spec(attributes, Router.Spec, apart=_APART, read_only=_READ_ONLY)
    router = await see(req, Router.KIND, id)
    if "external_gateway_info" in attributes:
        spec["externalGateway"] = await _gateway(req, attributes["external_gateway_info"], namespace_of(router))
    changed = await objects.change(req, Router.KIND, router, lambda held: _without_none({**held, **spec}))
    return Reply({"router": (await _views(req, [changed]))[0]})


async def delete_router(req: Request, id: str) -> Reply:
    return await remove(req, await see(req, Router.KIND, id))


async def add_interface(req: Request, id: str) -> Reply:
    router = await see(req, Router.KIND, id)
    body = shaped(await req.document(), InterfaceBody, lax=False)
    if bool(body.subnet_id) == bool(body.port_id):
        raise typed(BadRequest("Bad router request: Either subnet_id or port_id must be specified."), "BadRequest")
    if body.subnet_id:
        port = await _add_subnet(req, router, body.subnet_id)
    else:
        port = await _add_port(req, router, body.port_id or "")
    return Reply(await _interface(req, router, port))


async def remove_interface(req: Request, id: str) -> Reply:
    router = await see(req, Router.KIND, id)
    body = shaped(await req.document(), InterfaceBody, lax=False)
    port_id, subnet_id = body.port_id, body.subnet_id
    if not port_id and not subnet_id:
        raise typed(BadRequest("Bad router request: Either subnet_id or port_id must be specified."), "BadRequest")
    for port in await _interfaces(req, router):
        subnets = {fixed["subnetId"] for fixed in port["spec"].get("fixedIps") or ()}
        if (not port_id or port["spec"]["id"] == port_id) and (not subnet_id or subnet_id in subnets):
            await _check_unfloated(req, router, subnets)
            await req.state.delete(Port.KIND, name_of(port), namespace_of(port))
            return Reply(await _interface(req, router, port))
    if port_id:
        message, fault = f"Router {id} does not have an interface with id {port_id}", "RouterInterfaceNotFound"
    else:
        message = f"Router {id} has no interface on subnet {subnet_id}"
        fault = "RouterInterfaceNotFoundForSubnet"
    raise typed(NotFound(message), fault)


async def _add_subnet(req: Request, router: Object, subnet_id: str) -> Object:
    try:
        subnet = await see(req, Subnet.KIND, subnet_id)
    except NotFound as error:
        raise typed(NotFound(error.message), "SubnetNotFound") from error
    address = subnet["spec"].get("gatewayIp")
    if not address:
        raise typed(
            BadRequest(f"Bad router request: Subnet for router interface must have a gateway IP: {subnet_id}."),
            "BadRequest",
        )
    for port in await _interfaces(req, router):
        if any(fixed["subnetId"] == subnet_id for fixed in port["spec"].get("fixedIps") or ()):
            said = f"Bad router request: Router already has a port on subnet {subnet_id}."
            raise typed(BadRequest(said), "BadRequest")
    network = await see(req, Network.KIND, subnet["spec"]["networkId"])
    namespace = namespace_of(router)
    spec = {
        "displayName": "",
        "network": reference(network, namespace),
        "fixedIps": [{"subnet": name_of(subnet), "subnetId": subnet_id, "ipAddress": address}],
        "deviceOwner": ROUTER_INTERFACE,
        "deviceId": router["spec"]["id"],
    }
    return await objects.create(req, Port.KIND, f"{name_of(router)}-{name_of(subnet)}", spec, namespace=namespace)


async def _add_port(req: Request, router: Object, port_id: str) -> Object:
    """A port that was made for it is replaced by one of the router's with the same addresses."""
    port = await see(req, Port.KIND, port_id)
    if port["spec"].get("deviceId"):
        raise typed(
            Conflict(
                f"Unable to complete operation on port {port_id} for network {port['spec']['networkId']}. Port already "
                f"has an attached device {port['spec']['deviceId']}."
            ),
            "PortInUse",
        )
    if not port["spec"].get("fixedIps"):
        raise typed(BadRequest("Bad router request: Router port must have at least one fixed IP."), "BadRequest")
    spec = {"deviceOwner": ROUTER_INTERFACE, "deviceId": router["spec"]["id"], "securityGroups": []}
    return await req.state.patch(Port.KIND, name_of(port), namespace_of(port), {"spec": spec})


async def _check_unfloated(req: Request, router: Object, subnets: set[str]) -> None:
    floating = (await req.state.list(FloatingIP.KIND, namespace_of(router))).items
    for one in floating:
        if one["spec"].get("routerId") != router["spec"]["id"]:
            continue
        ports = (await req.state.list(Port.KIND, namespace_of(one), fields=f"spec.id={one['spec']['portId']}")).items
        if any(fixed["subnetId"] in subnets for port in ports for fixed in port["spec"].get("fixedIps") or ()):
            raise typed(
                Conflict(
                    f"Router interface for subnet {min(subnets)} on router {router['spec']['id']} cannot be deleted, "
                    "as it is required by one or more floating IPs."
                ),
                "RouterInterfaceInUseByFloatingIP",
            )


async def _interfaces(req: Request, router: Object) -> list[Object]:
    id = router["spec"]["id"]
    ports = (await req.state.list(Port.KIND, namespace_of(router), fields=f"spec.deviceId={id}")).items
    return [port for port in ports if port["spec"].get("deviceOwner") == ROUTER_INTERFACE]


async def _interface(req: Request, router: Object, port: Object) -> Json:
    project = (await project_ids(req, [router]))[namespace_of(router)]
    subnets = [fixed["subnetId"] for fixed in port["spec"].get("fixedIps") or ()]
    return {
        "id": router["spec"]["id"],
        "tenant_id": project,
        "project_id": project,
        "port_id": port["spec"]["id"],
        "network_id": port["spec"]["networkId"],
        "subnet_id": subnets[0] if subnets else None,
        "subnet_ids": subnets,
        "tags": [],
    }


async def _create(req: Request, attributes: Object) -> Object:
    namespace = await namespace_for(req, attributes)
    _check(attributes)
    spec = to_spec(attributes, Router.Spec, apart=_APART, read_only=_READ_ONLY)
    gateway = await _gateway(req, attributes.get("external_gateway_info"), namespace)
    spec |= {"displayName": spec.get("displayName", ""), "externalGateway": gateway}
    return await objects.create(req, Router.KIND, spec["displayName"], _without_none(spec), namespace=namespace)


async def _gateway(req: Request, info: object, namespace: str) -> Object | None:
    """`external_gateway_info` as the spec has it; None takes the gateway away."""
    if not info:
        return None
    if not isinstance(info, dict) or not isinstance(info.get("network_id"), str):
        raise invalid("external_gateway_info needs a network_id")
    network = await see(req, Network.KIND, info["network_id"])
    if not network["spec"].get("external"):
        raise typed(
            BadRequest(f"Bad router request: Network {info['network_id']} is not an external network."), "BadRequest"
        )
    fixed = info.get("external_fixed_ips") or []
    if not isinstance(fixed, list) or not all(isinstance(item, dict) for item in fixed):
        raise invalid("external_fixed_ips is not a list of objects")
    names = {"subnet_id": "subnetId", "ip_address": "ipAddress"}
    wanted = [{names[key]: str(item[key]) for key in names if item.get(key)} for item in fixed]
    snat = info.get("enable_snat", True)
    return {
        "network": reference(network, namespace),
        "enableSnat": snat if isinstance(snat, bool) else str(snat).lower() == "true",
        "fixedIps": wanted,
    }


def _check(attributes: Object) -> None:
    for name in ("ha", "distributed", "availability_zone_hints", "flavor_id"):
        if attributes.get(name):
            raise invalid(f"{name} is not supported")


def _without_none(spec: Object) -> Object:
    return {key: value for key, value in spec.items() if value is not None}


async def _views(req: Request, routers: list[Object]) -> list[Json]:
    projects = await project_ids(req, routers)
    return [router_view(r, projects[namespace_of(r)]) for r in routers]
