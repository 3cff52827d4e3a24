# SPDX-License-Identifier: Apache-2.0
"""Calls on ports. MAC and addresses are given out, and taken from others if asked for, by admission."""

from __future__ import annotations

from lichen.apis.openstack import objects
from lichen.apis.openstack.network.attributes import bodies, invalid, one_body, to_spec, typed
from lichen.apis.openstack.network.common import create_all, reference, remove, see, visible
from lichen.apis.openstack.network.common import target_namespace as namespace_for
from lichen.apis.openstack.network.filters import Json, listing, only_fields
from lichen.apis.openstack.network.securitygroups import names_of
from lichen.apis.openstack.network.views import port_view
from lichen.apis.openstack.projects import project_ids
from lichen.apis.openstack.reply import Reply, created
from lichen.apis.openstack.request import Request
from lichen.kinds.network.network import Network
from lichen.kinds.network.port import Port
from lichen.kinds.network.subnet import Subnet
from lichen.model.data import Object
from lichen.model.errors import BadRequest, Conflict, NotFound
from lichen.model.meta import name_of, namespace_of

ATTRIBUTES = frozenset(
    {
        "id", "name", "network_id", "mac_address", "admin_state_up", "status", "device_id", "device_owner",
        "fixed_ips", "tenant_id", "project_id", "description", "revision_number", "created_at", "updated_at",
        "binding:host_id", "binding:vnic_type", "binding:vif_type", "security_groups",
        "dns_name", "port_security_enabled",
    }
)  # fmt: skip
_APART = (
    "fixed_ips", "network_id", "security_groups", "binding:vnic_type", "binding:profile", "allowed_address_pairs",
)  # fmt: skip
_READ_ONLY = ("status", "tags")


async def list_ports(req: Request) -> Reply:
    ports = [port for port in await visible(req, Port.KIND) if req.caller.is_admin or not _is_the_clouds(port)]
    return listing(req, "ports", await views(req, ports), ATTRIBUTES)


async def show_port(req: Request, id: str) -> Reply:
    port = await see(req, Port.KIND, id)
    return Reply({"port": only_fields(req, (await views(req, [port]))[0])})


async def create_port(req: Request) -> Reply:
    wanted, bulk = await bodies(req, "port", "ports")
    shown = await views(req, await create_all(req, wanted, _create))
    return created({"ports": shown} if bulk else {"port": shown[0]})


async def update_port(req: Request, id: str) -> Reply:
    attributes = await one_body(req, "port")
    _check_unsupported(attributes)
    spec = to_spec(attributes, Port.Spec, apart=_APART, read_only=(*_READ_ONLY, "network_id"))
    port = await see(req, Port.KIND, id)
    if "fixed_ips" in attributes:
        network = await see(req, Network.KIND, port["spec"]["networkId"])
        spec["fixedIps"] = await _fixed_ips(req, attributes["fixed_ips"], network)
    if "security_groups" in attributes:
        spec["securityGroups"] = await names_of(req, attributes["security_groups"], namespace_of(port))
    if "allowed_address_pairs" in attributes:
        spec["allowedAddressPairs"] = _pairs(attributes["allowed_address_pairs"])
    changed = await req.state.patch(Port.KIND, name_of(port), namespace_of(port), {"spec": spec})
    return Reply({"port": (await views(req, [changed]))[0]})


async def delete_port(req: Request, id: str) -> Reply:
    port = await see(req, Port.KIND, id)
    owner = port["spec"].get("deviceOwner", "")
    if owner.startswith("network:") and port["spec"].get("deviceId"):
        why = f"Port {id} cannot be deleted directly via the port API: has device owner {owner}."
        raise typed(Conflict(why), "ServicePortInUse")
    return await remove(req, port)


def _is_the_clouds(port: Object) -> bool:
    """A port on an external network that holds a router's or a floating address."""
    return port["spec"].get("deviceOwner") in ("network:router_gateway", "network:floatingip")


async def views(req: Request, ports: list[Object]) -> list[Json]:
    projects = await project_ids(req, ports)
    networks = await _networks_of(req, ports)
    return [
        port_view(p, projects[namespace_of(p)], networks.get(p["spec"].get("networkId")), admin=req.caller.is_admin)
        for p in ports
    ]


async def _networks_of(req: Request, ports: list[Object]) -> dict[str, Object]:
    """By id, as far as the caller may see them. One is looked up: who makes a port need not pay for all networks."""
    ids = {str(port["spec"].get("networkId", "")) for port in ports}
    if len(ids) > 1:
        return {network["spec"]["id"]: network for network in await visible(req, Network.KIND)}
    try:
        return {id: await see(req, Network.KIND, id) for id in ids}
    except NotFound:
        return {}


async def _create(req: Request, attributes: Object) -> Object:
    namespace = await namespace_for(req, attributes)
    _check_unsupported(attributes)
    network_id = attributes.get("network_id")
    if not isinstance(network_id, str) or not network_id:
        raise typed(
            BadRequest("Failed to parse request. Required attribute 'network_id' not specified"), "HTTPBadRequest"
        )
    network = await see(req, Network.KIND, network_id)
    spec = to_spec(attributes, Port.Spec, apart=_APART, read_only=_READ_ONLY)
    if "fixed_ips" in attributes:
        spec["fixedIps"] = await _fixed_ips(req, attributes["fixed_ips"], network)
    if attributes.get("security_groups") is not None:
        spec["securityGroups"] = await names_of(req, attributes["security_groups"], namespace)
    elif attributes.get("port_security_enabled") is False:
        spec["securityGroups"] = []
    if attributes.get("allowed_address_pairs"):
        spec["allowedAddressPairs"] = _pairs(attributes["allowed_address_pairs"])
    spec |= {"network": reference(network, namespace), "displayName": spec.get("displayName", "")}
    return await objects.create(req, Port.KIND, spec["displayName"], spec, namespace=namespace)


def _check_unsupported(attributes: Object) -> None:
    if attributes.get("qos_policy_id"):
        raise invalid("qos_policy_id is not supported")
    attributes.pop("qos_policy_id", None)
    if "dns_name" in attributes:  # clients write a domain's dot, and null for "none"
        attributes["dns_name"] = str(attributes["dns_name"] or "").removesuffix(".")
    if attributes.get("binding:vnic_type", "normal") != "normal":
        raise invalid("only binding:vnic_type normal is supported")
    if attributes.get("binding:profile"):
        raise invalid("binding:profile is not supported")


def _pairs(value: object) -> list[Object]:
    """`[{"ip_address", "mac_address"}]` as the port's spec has it."""
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise invalid("allowed_address_pairs is not a list of objects")
    for item in value:
        if set(item) - {"ip_address", "mac_address"} or not isinstance(item.get("ip_address"), str):
            raise invalid("each of allowed_address_pairs has an ip_address, and may have a mac_address")
    return [{"ipAddress": item["ip_address"], "macAddress": item.get("mac_address") or ""} for item in value]


async def _fixed_ips(req: Request, value: object, network: Object) -> list[Object]:
    """`[{"subnet_id", "ip_address"}]`, either of them optional, as the port's spec has it."""
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise invalid("fixed_ips is not a list of objects")
    if not value:
        raise invalid("a port without addresses is not supported")
    return [await _fixed_ip(req, item, network) for item in value]


async def _fixed_ip(req: Request, item: Object, network: Object) -> Object:
    unknown = sorted(set(item) - {"subnet_id", "ip_address"})
    if unknown:
        raise invalid(f"'{', '.join(unknown)}' is not a key of fixed_ips")
    if not all(isinstance(v, str) for v in item.values()) or not item:
        raise invalid("each of fixed_ips needs a subnet_id or an ip_address")
    spec: Object = {}
    if "ip_address" in item:
        spec["ipAddress"] = item["ip_address"]
    if "subnet_id" in item:
        subnet = await _subnet(req, item["subnet_id"])
        if subnet["spec"].get("networkId") != network["spec"]["id"]:
            raise invalid(f"subnet {item['subnet_id']} is not on network {network['spec']['id']}")
        spec |= {"subnet": name_of(subnet), "subnetId": subnet["spec"]["id"]}
    return spec


async def _subnet(req: Request, id: str) -> Object:
    try:
        return await see(req, Subnet.KIND, id)
    except NotFound as error:
        raise typed(NotFound(error.message, kind="Subnet"), "SubnetNotFound") from error
