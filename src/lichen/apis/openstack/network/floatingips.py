# SPDX-License-Identifier: Apache-2.0
"""Calls on floating IPs."""

from __future__ import annotations

from lichen.apis.openstack import objects
from lichen.apis.openstack.network.attributes import bodies, invalid, one_body, to_spec, typed
from lichen.apis.openstack.network.common import create_all, reference, remove, see, visible
from lichen.apis.openstack.network.common import target_namespace as namespace_for
from lichen.apis.openstack.network.filters import Json, listing, only_fields
from lichen.apis.openstack.network.views import floating_ip_view
from lichen.apis.openstack.projects import project_ids
from lichen.apis.openstack.reply import Reply, created
from lichen.apis.openstack.request import Request
from lichen.kinds.network.floatingip import FloatingIP
from lichen.kinds.network.network import Network
from lichen.kinds.network.port import Port
from lichen.kinds.network.subnet import Subnet
from lichen.model.data import Object
from lichen.model.errors import BadRequest
from lichen.model.meta import name_of, namespace_of
from lichen.model.names import with_suffix

ATTRIBUTES = frozenset(
    {
        "id", "floating_network_id", "floating_ip_address", "fixed_ip_address", "port_id", "router_id", "status",
        "tenant_id", "project_id", "description", "revision_number", "created_at", "updated_at",
    }
)  # fmt: skip
_APART = ("floating_network_id", "port_id", "fixed_ip_address", "subnet_id", "dns_name", "dns_domain", "qos_policy_id")
_READ_ONLY = ("status", "tags", "router_id")


async def list_ips(req: Request) -> Reply:
    return listing(req, "floatingips", await _views(req, await visible(req, FloatingIP.KIND)), ATTRIBUTES)


async def show_ip(req: Request, id: str) -> Reply:
    floating = await see(req, FloatingIP.KIND, id)
    return Reply({"floatingip": only_fields(req, (await _views(req, [floating]))[0])})


async def create_ip(req: Request) -> Reply:
    wanted, bulk = await bodies(req, "floatingip", "floatingips")
    shown = await _views(req, await create_all(req, wanted, _create))
    return created({"floatingips": shown} if bulk else {"floatingip": shown[0]})


async def update_ip(req: Request, id: str) -> Reply:
    attributes = await one_body(req, "floatingip")
    spec = to_spec(attributes, FloatingIP.Spec, apart=_APART, read_only=(*_READ_ONLY, "floating_ip_address"))
    floating = await see(req, FloatingIP.KIND, id)
    if "port_id" in attributes:
        spec |= await _port(req, attributes, namespace_of(floating))
    changed = await objects.change(req, FloatingIP.KIND, floating, lambda held: {**held, **spec})
    return Reply({"floatingip": (await _views(req, [changed]))[0]})


async def delete_ip(req: Request, id: str) -> Reply:
    return await remove(req, await see(req, FloatingIP.KIND, id))


async def _create(req: Request, attributes: Object) -> Object:
    namespace = await namespace_for(req, attributes)
    network_id = attributes.get("floating_network_id")
    if not isinstance(network_id, str):
        raise typed(
            BadRequest("Failed to parse request. Required attribute 'floating_network_id' not specified"),
            "HTTPBadRequest",
        )
    network = await see(req, Network.KIND, network_id)
    if not network["spec"].get("external"):
        raise typed(
            BadRequest(f"Bad floatingip request: Network {network_id} is not a valid external network."), "BadRequest"
        )
    for name in ("dns_name", "dns_domain", "qos_policy_id"):
        if attributes.get(name):
            raise invalid(f"{name} is not supported")
    given = {name: value for name, value in attributes.items() if value is not None}
    spec = to_spec(given, FloatingIP.Spec, apart=_APART, read_only=_READ_ONLY)
    spec["network"] = reference(network, namespace)
    if attributes.get("subnet_id"):
        spec["subnet"] = await _subnet(req, str(attributes["subnet_id"]), network_id)
    spec |= await _port(req, attributes, namespace)
    return await objects.create(req, FloatingIP.KIND, with_suffix("floating"), spec, namespace=namespace)


async def _subnet(req: Request, id: str, network_id: str) -> str:
    found = (await req.state.list(Subnet.KIND, None, fields=f"spec.networkId={network_id}")).items
    names = [name_of(subnet) for subnet in found if subnet["spec"]["id"] == id]
    if not names:
        raise invalid(f"subnet {id} is not on network {network_id}")
    return names[0]


async def _port(req: Request, attributes: Object, namespace: str) -> Object:
    """What the spec says of the port that it leads to."""
    id = attributes.get("port_id")
    if not id:
        return {"port": "", "portId": "", "fixedIp": "", "routerId": ""}
    port = await see(req, Port.KIND, str(id))
    if namespace_of(port) != namespace:
        raise typed(BadRequest(f"Port {id} is of another project than the floating IP."), "BadRequest")
    return {"port": name_of(port), "portId": port["spec"]["id"], "fixedIp": attributes.get("fixed_ip_address") or ""}


async def _views(req: Request, floating: list[Object]) -> list[Json]:
    projects = await project_ids(req, floating)
    return [floating_ip_view(f, projects[namespace_of(f)]) for f in floating]
