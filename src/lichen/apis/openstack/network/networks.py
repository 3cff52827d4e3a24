# SPDX-License-Identifier: Apache-2.0
"""Calls on networks."""

from __future__ import annotations

from lichen.apis.openstack import objects
from lichen.apis.openstack.network.attributes import bodies, invalid, one_body, to_spec, typed
from lichen.apis.openstack.network.common import (
    create_all,
    remove,
    see,
    visible,
    visible_subnets,
)
from lichen.apis.openstack.network.common import target_namespace as namespace_for
from lichen.apis.openstack.network.filters import Json, listing, only_fields
from lichen.apis.openstack.network.views import network_view
from lichen.apis.openstack.projects import project_ids
from lichen.apis.openstack.reply import Reply, created
from lichen.apis.openstack.request import Request
from lichen.kinds.network.network import Network
from lichen.model.data import Object
from lichen.model.errors import Forbidden
from lichen.model.meta import name_of, namespace_of

ATTRIBUTES = frozenset(
    {
        "id", "name", "status", "admin_state_up", "shared", "router:external", "mtu", "tenant_id", "project_id",
        "description", "availability_zones", "availability_zone_hints", "provider:network_type",
        "provider:physical_network", "provider:segmentation_id", "revision_number", "created_at", "updated_at",
        "subnets", "ipv4_address_scope", "ipv6_address_scope", "dns_domain",
    }
)  # fmt: skip
_APART = ("provider:network_type", "provider:physical_network", "availability_zone_hints")
_READ_ONLY = ("status", "tags")


async def list_networks(req: Request) -> Reply:
    return listing(req, "networks", await views(req, await visible(req, Network.KIND)), ATTRIBUTES)


async def show_network(req: Request, id: str) -> Reply:
    network = await see(req, Network.KIND, id)
    return Reply({"network": only_fields(req, (await views(req, [network]))[0])})


async def create_network(req: Request) -> Reply:
    wanted, bulk = await bodies(req, "network", "networks")
    shown = await views(req, await create_all(req, wanted, _create))
    return created({"networks": shown} if bulk else {"network": shown[0]})


async def update_network(req: Request, id: str) -> Reply:
    attributes = await one_body(req, "network")
    spec = to_spec(attributes, Network.Spec, read_only=(*_READ_ONLY, "provider:segmentation_id"))
    network = await see(req, Network.KIND, id)
    changed = await req.state.patch(Network.KIND, name_of(network), namespace_of(network), {"spec": spec})
    return Reply({"network": (await views(req, [changed]))[0]})


async def delete_network(req: Request, id: str) -> Reply:
    return await remove(req, await see(req, Network.KIND, id))


async def views(req: Request, networks: list[Object]) -> list[Json]:
    """Networks as shown, each with the ids of its subnets."""
    projects = await project_ids(req, networks)
    subnets: dict[str, list[str]] = {}
    for subnet in await visible_subnets(req) if networks else []:
        subnets.setdefault(subnet["spec"].get("networkId", ""), []).append(subnet["spec"]["id"])
    return [
        network_view(n, projects[namespace_of(n)], subnets.get(n["spec"]["id"], []), admin=req.caller.is_admin)
        for n in networks
    ]


async def _create(req: Request, attributes: Object) -> Object:
    namespace = await namespace_for(req, attributes)
    _check_provider(req, attributes)
    spec = to_spec(attributes, Network.Spec, apart=_APART, read_only=_READ_ONLY)
    name = spec.get("displayName", "")
    return await objects.create(req, Network.KIND, name, {"displayName": name, **spec}, namespace=namespace)


def _check_provider(req: Request, attributes: Object) -> None:
    if not req.caller.is_admin and any(attributes.get(name) for name in _APART[:2]):
        raise Forbidden("Only the admin of the cloud may say what a network is made of.")
    wanted = "flat" if attributes.get("router:external") else "vxlan"
    kind = attributes.get("provider:network_type") or wanted
    if kind != wanted:
        why = f"network type {kind!r} is not supported: vxlan is, and flat for external networks"
        raise typed(invalid(why), "InvalidInput")
    if attributes.get("provider:physical_network"):
        raise typed(invalid("this network has no physical network"), "InvalidInput")
    if attributes.get("availability_zone_hints"):
        raise typed(invalid("availability_zone_hints are not supported"), "InvalidInput")
