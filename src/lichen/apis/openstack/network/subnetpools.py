# SPDX-License-Identifier: Apache-2.0
"""Calls on subnet pools. What is cut from them is settled by admission."""

from __future__ import annotations

from lichen.apis.openstack import objects
from lichen.apis.openstack.network.attributes import bodies, invalid, one_body, to_spec, typed
from lichen.apis.openstack.network.common import create_all, remove, see, visible
from lichen.apis.openstack.network.common import target_namespace as namespace_for
from lichen.apis.openstack.network.filters import Json, listing, only_fields
from lichen.apis.openstack.network.views import subnet_pool_view
from lichen.apis.openstack.projects import project_ids
from lichen.apis.openstack.reply import Reply, created
from lichen.apis.openstack.request import Request
from lichen.kinds.network.subnetpool import SubnetPool
from lichen.model.data import Object
from lichen.model.errors import BadRequest, NotFound
from lichen.model.meta import name_of, namespace_of

ATTRIBUTES = frozenset(
    {
        "id", "name", "description", "tenant_id", "project_id", "ip_version", "shared", "is_default", "revision_number",
        "created_at", "updated_at", "min_prefixlen", "max_prefixlen", "default_prefixlen", "default_quota",
        "address_scope_id",
    }
)  # fmt: skip
_APART = ("address_scope_id",)
_READ_ONLY = ("tags",)


async def list_pools(req: Request) -> Reply:
    return listing(req, "subnetpools", await _views(req, await visible(req, SubnetPool.KIND)), ATTRIBUTES)


async def show_pool(req: Request, id: str) -> Reply:
    pool = await see(req, SubnetPool.KIND, id)
    return Reply({"subnetpool": only_fields(req, (await _views(req, [pool]))[0])})


async def create_pool(req: Request) -> Reply:
    wanted, bulk = await bodies(req, "subnetpool", "subnetpools")
    shown = await _views(req, await create_all(req, wanted, _create))
    return created({"subnetpools": shown} if bulk else {"subnetpool": shown[0]})


async def update_pool(req: Request, id: str) -> Reply:
    attributes = _checked(await one_body(req, "subnetpool"))
    spec = to_spec(attributes, SubnetPool.Spec, apart=_APART, read_only=(*_READ_ONLY, "shared"))
    pool = await see(req, SubnetPool.KIND, id)
    changed = await req.state.patch(SubnetPool.KIND, name_of(pool), namespace_of(pool), {"spec": spec})
    return Reply({"subnetpool": (await _views(req, [changed]))[0]})


async def delete_pool(req: Request, id: str) -> Reply:
    return await remove(req, await see(req, SubnetPool.KIND, id))


async def pool_of(req: Request, attributes: Object) -> Object | None:
    """The pool that a new subnet is to be cut from. NotFound: there is none of that id, or no default one."""
    if attributes.get("use_default_subnetpool"):
        version = str(attributes.get("ip_version", 4))
        for pool in await visible(req, SubnetPool.KIND):
            if pool["spec"].get("isDefault") and str(_version(pool)) == version:
                return pool
        raise typed(NotFound(f"No default subnetpool found for IPv{version}"), "SubnetPoolNotFound")
    id = attributes.get("subnetpool_id")
    if not id:
        return None
    return await see(req, SubnetPool.KIND, str(id))


async def _create(req: Request, attributes: Object) -> Object:
    namespace = await namespace_for(req, attributes)
    for name in ("name", "prefixes"):
        if name not in attributes:
            why = f"Failed to parse request. Required attribute '{name}' not specified"
            raise typed(BadRequest(why), "HTTPBadRequest")
    spec = to_spec(_checked(attributes), SubnetPool.Spec, apart=_APART, read_only=_READ_ONLY)
    return await objects.create(req, SubnetPool.KIND, spec["displayName"], spec, namespace=namespace)


def _checked(attributes: Object) -> Object:
    if attributes.get("address_scope_id"):
        raise invalid("address scopes are not supported")
    prefixes = attributes.get("prefixes")
    listed = {"prefixes": [prefixes]} if isinstance(prefixes, str) else {}
    return {name: value for name, value in {**attributes, **listed}.items() if value is not None}


def _version(pool: Object) -> int:
    return 6 if ":" in pool["spec"]["prefixes"][0] else 4


async def _views(req: Request, pools: list[Object]) -> list[Json]:
    projects = await project_ids(req, pools)
    return [subnet_pool_view(pool, projects[namespace_of(pool)]) for pool in pools]
