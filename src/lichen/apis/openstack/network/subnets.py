# SPDX-License-Identifier: Apache-2.0
"""Calls on subnets. Pools, gateways and overlaps are settled by admission."""

from __future__ import annotations

from lichen.apis.openstack import objects
from lichen.apis.openstack.network.attributes import bodies, invalid, one_body, to_spec, typed
from lichen.apis.openstack.network.common import create_all, reference, remove, see, visible_subnets
from lichen.apis.openstack.network.common import target_namespace as namespace_for
from lichen.apis.openstack.network.filters import Json, listing, only_fields
from lichen.apis.openstack.network.subnetpools import pool_of
from lichen.apis.openstack.network.views import ip_version, subnet_view
from lichen.apis.openstack.projects import project_ids
from lichen.apis.openstack.reply import Reply, created
from lichen.apis.openstack.request import Request
from lichen.kinds.network.network import Network
from lichen.kinds.network.subnet import Subnet
from lichen.model.data import Object
from lichen.model.errors import BadRequest, Forbidden
from lichen.model.meta import name_of, namespace_of

ATTRIBUTES = frozenset(
    {
        "id", "name", "network_id", "ip_version", "cidr", "gateway_ip", "enable_dhcp", "tenant_id", "project_id",
        "description", "revision_number", "created_at", "updated_at", "ipv6_address_mode", "ipv6_ra_mode",
        "subnetpool_id", "allocation_pools", "dns_nameservers",
    }
)  # fmt: skip
_UNSUPPORTED = ("ipv6_address_mode", "ipv6_ra_mode")
_POOL = ("subnetpool_id", "prefixlen", "use_default_subnetpool")
_APART = (*_UNSUPPORTED, *_POOL, "ip_version", "network_id", "gateway_ip", "service_types")


async def list_subnets(req: Request) -> Reply:
    return listing(req, "subnets", await views(req, await visible_subnets(req)), ATTRIBUTES)


async def show_subnet(req: Request, id: str) -> Reply:
    subnet = await see(req, Subnet.KIND, id)
    return Reply({"subnet": only_fields(req, (await views(req, [subnet]))[0])})


async def create_subnet(req: Request) -> Reply:
    wanted, bulk = await bodies(req, "subnet", "subnets")
    shown = await views(req, await create_all(req, wanted, _create))
    return created({"subnets": shown} if bulk else {"subnet": shown[0]})


async def update_subnet(req: Request, id: str) -> Reply:
    attributes = await one_body(req, "subnet")
    spec = to_spec(attributes, Subnet.Spec, apart=("gateway_ip",), read_only=("network_id", "cidr", "tags"))
    if "gateway_ip" in attributes:
        spec["gatewayIp"] = _gateway(attributes["gateway_ip"])
    subnet = await see(req, Subnet.KIND, id)
    # A merge patch cannot set a null, which here means "no gateway": the whole object is written.
    changed = await objects.change(req, Subnet.KIND, subnet, lambda held: {**held, **spec})
    return Reply({"subnet": (await views(req, [changed]))[0]})


async def delete_subnet(req: Request, id: str) -> Reply:
    return await remove(req, await see(req, Subnet.KIND, id))


async def views(req: Request, subnets: list[Object]) -> list[Json]:
    projects = await project_ids(req, subnets)
    return [subnet_view(s, projects[namespace_of(s)]) for s in subnets]


async def _create(req: Request, attributes: Object) -> Object:
    await namespace_for(req, attributes)
    for name in _UNSUPPORTED:
        if attributes.get(name):
            raise invalid(f"{name} is not supported")
    if attributes.get("service_types"):
        raise invalid("service_types are not supported")
    network = await _network(req, attributes.get("network_id"))
    spec = to_spec(attributes, Subnet.Spec, apart=_APART, read_only=("tags",))
    pool = await pool_of(req, attributes)
    if pool is not None:
        spec |= _cut(req, attributes, pool, namespace_of(network))
    _check_version(attributes, spec)
    if "gateway_ip" in attributes:
        spec["gatewayIp"] = _gateway(attributes["gateway_ip"])
    spec |= {"network": name_of(network), "displayName": spec.get("displayName", "")}
    return await objects.create(req, Subnet.KIND, spec["displayName"], spec, namespace=namespace_of(network))


async def _network(req: Request, id: object) -> Object:
    if not isinstance(id, str) or not id:
        raise typed(
            BadRequest("Failed to parse request. Required attribute 'network_id' not specified"), "HTTPBadRequest"
        )
    network = await see(req, Network.KIND, id)
    if namespace_of(network) != req.caller.namespace and not req.caller.is_admin:
        raise Forbidden("A subnet can be made only on a network of the same project.")
    return network


def _cut(req: Request, attributes: Object, pool: Object, namespace: str) -> Object:
    """How a subnet is cut from a pool."""
    spec: Object = {"subnetPool": reference(pool, namespace)}
    length = attributes.get("prefixlen")
    if length is not None:
        if attributes.get("cidr"):
            raise invalid("cidr and prefixlen must not be supplied together")
        if not str(length).isascii() or not str(length).isdigit():
            raise invalid(f"'{length}' is not an integer for prefixlen")
        spec["prefixLength"] = int(length)
    return spec


def _check_version(attributes: Object, spec: Object) -> None:
    if "subnetPool" in spec and "cidr" not in spec:
        return
    if "cidr" not in spec:
        raise typed(BadRequest("Failed to parse request. Required attribute 'cidr' not specified"), "HTTPBadRequest")
    version = attributes.get("ip_version", 4)
    if str(version) not in ("4", "6"):
        raise invalid(f"'{version}' is not in [4, 6] for ip_version")
    if ip_version(spec["cidr"]) != int(version):
        raise invalid(f"The requested cidr '{spec['cidr']}' does not match the ip_version '{version}'")


def _gateway(value: object) -> str | None:
    if value is not None and not isinstance(value, str):
        raise invalid(f"'{value}' is not a valid IP address for gateway_ip")
    return value
