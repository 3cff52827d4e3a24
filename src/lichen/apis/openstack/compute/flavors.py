# SPDX-License-Identifier: Apache-2.0
"""Calls on flavors, their extra specs, and who may use them."""

from __future__ import annotations

import re
from typing import Any
from uuid import uuid4

from msgspec import UNSET, Struct, UnsetType, field

from lichen.apis.openstack import objects
from lichen.apis.openstack.compute.server_views import Json, links
from lichen.apis.openstack.paging import nova_links, page
from lichen.apis.openstack.reply import Reply, accepted
from lichen.apis.openstack.request import Request
from lichen.kinds.compute.flavor import Flavor
from lichen.model.data import Object
from lichen.model.errors import AlreadyExists, BadRequest, Conflict, NotFound
from lichen.model.kind import new_object
from lichen.model.meta import name_of
from lichen.model.names import is_dns_subdomain, unique_handle

MOST_NUMBER = 2**31 - 1
_NAME = re.compile(r"(?=\S).*\S|\S")
_SPEC_KEY = re.compile(r"[a-zA-Z0-9_:. -]{1,255}")
_SORT = {"flavorid": "id", "id": "id", "name": "name", "memory_mb": "ram", "vcpus": "vcpus", "root_gb": "disk"}


class FlavorCreate(Struct, forbid_unknown_fields=True):
    name: str
    ram: int
    vcpus: int
    disk: int
    id: str | int | None = None
    flavorid: str | None = None
    swap: int = 0
    rxtx_factor: float = 1.0
    ephemeral: int = field(default=0, name="OS-FLV-EXT-DATA:ephemeral")
    is_public: bool = field(default=True, name="os-flavor-access:is_public")
    description: str | UnsetType | None = UNSET


async def list_flavors(req: Request) -> Reply:
    shown, following = await _page(req)
    return Reply({"flavors": [summary(req, f) for f in shown], **following})


async def list_flavors_detail(req: Request) -> Reply:
    shown, following = await _page(req)
    return Reply({"flavors": [view(req, f) for f in shown], **following})


async def show_flavor(req: Request, id: str) -> Reply:
    return Reply({"flavor": view(req, await find(req, id))})


async def create_flavor(req: Request) -> Reply:
    wanted = await req.json("flavor", FlavorCreate)
    if wanted.description is not UNSET and not req.since(2, 55):
        raise BadRequest("Additional properties are not allowed ('description' was unexpected)")
    flavor = _new(wanted)
    if await _named(req, flavor["spec"]["id"]):
        raise Conflict(f"Flavor with ID {flavor['spec']['id']} already exists.")
    try:
        return Reply({"flavor": view(req, await req.state.create(Flavor.KIND, flavor))})
    except AlreadyExists:
        raise Conflict(f"Flavor with name {wanted.name} already exists.") from None


async def update_flavor(req: Request, id: str) -> Reply:
    wanted = await req.json("flavor", dict[str, str | None])
    if set(wanted) != {"description"}:
        raise BadRequest("Only the description of a flavor can be changed.")
    return Reply({"flavor": view(req, await _patch(req, await find(req, id), {"description": wanted["description"]}))})


async def delete_flavor(req: Request, id: str) -> Reply:
    flavor = await find(req, id)
    await req.state.delete(Flavor.KIND, name_of(flavor))
    return accepted()


async def list_extra_specs(req: Request, id: str) -> Reply:
    return Reply({"extra_specs": _extra(await find(req, id))})


async def create_extra_specs(req: Request, id: str) -> Reply:
    wanted = _checked_extra(await req.json("extra_specs", dict[str, Any]))
    await _patch(req, await find(req, id), {"extraSpecs": wanted})
    return Reply({"extra_specs": wanted})


async def show_extra_spec(req: Request, id: str, key: str) -> Reply:
    return Reply({key: _present(await find(req, id), key)})


async def update_extra_spec(req: Request, id: str, key: str) -> Reply:
    wanted = _checked_extra(await req.document())
    if set(wanted) != {key}:
        raise BadRequest("Request body and URI mismatch")
    await _patch(req, await find(req, id), {"extraSpecs": wanted})
    return Reply(wanted)


async def delete_extra_spec(req: Request, id: str, key: str) -> Reply:
    flavor = await find(req, id)
    _present(flavor, key)
    await _patch(req, flavor, {"extraSpecs": {key: None}})
    return Reply()


async def list_access(req: Request, id: str) -> Reply:
    flavor = await find(req, id)
    if flavor["spec"].get("public", True):
        raise NotFound("Access list not available for public flavors.")
    return Reply(_access(flavor))


async def change_access(req: Request, id: str) -> Reply:
    """`{"addTenantAccess": {"tenant": …}}` or `{"removeTenantAccess": {"tenant": …}}`."""
    body = await req.document()
    action = next((a for a in ("addTenantAccess", "removeTenantAccess") if a in body), "")
    tenant = (body.get(action) or {}).get("tenant") if isinstance(body.get(action), dict) else None
    if not isinstance(tenant, str) or not 0 < len(tenant) <= 255:
        raise BadRequest("addTenantAccess or removeTenantAccess with a tenant is required.")
    flavor = await find(req, id)
    projects = list(flavor["spec"].get("projects") or [])
    return Reply(_access(await _patch(req, flavor, {"projects": _changed_access(flavor, projects, action, tenant)})))


async def find(req: Request, id: str) -> Object:
    """The flavor of that id, if the caller may use it. NotFound."""
    return await objects.find(req, Flavor.KIND, id)


def summary(req: Request, flavor: Object) -> Json:
    spec = flavor["spec"]
    shown = {
        "id": spec["id"],
        "name": spec.get("displayName") or name_of(flavor),
        "links": links(req.url("/v2.1"), "flavors", spec["id"]),
    }
    return {**shown, "description": spec.get("description")} if req.since(2, 55) else shown


def view(req: Request, flavor: Object) -> Json:
    spec = flavor["spec"]
    swap = spec.get("swap", 0)
    shown = {
        **summary(req, flavor),
        "ram": spec["memory"],
        "vcpus": spec["vcpus"],
        "disk": spec.get("disk", 0),
        "swap": swap if swap or req.since(2, 75) else "",
        "OS-FLV-EXT-DATA:ephemeral": spec.get("ephemeral", 0),
        "OS-FLV-DISABLED:disabled": False,
        "os-flavor-access:is_public": spec.get("public", True),
        "rxtx_factor": spec.get("rxtxFactor", 1.0),
    }
    return {**shown, "extra_specs": _extra(flavor)} if req.since(2, 61) else shown


async def _page(req: Request) -> tuple[list[Object], Json]:
    flavors = [f for f in await objects.listed(req, Flavor.KIND) if _passes(req, f)]
    key, reverse = _order(req)
    flavors.sort(key=lambda f: _sort_value(req, f, key), reverse=reverse)
    shown, marker = page(req, flavors, lambda f: str(f["spec"]["id"]))
    return shown, nova_links(req, "flavors", marker)


def _passes(req: Request, flavor: Object) -> bool:
    spec = flavor["spec"]
    all_wanted = not req.caller.is_admin or req.arg("is_public", "True").lower() in ("none", "")
    if not all_wanted and spec.get("public", True) != req.flag("is_public", True):
        return False
    return bool(spec["memory"] >= req.number("minRam") and spec.get("disk", 0) >= req.number("minDisk"))


def _order(req: Request) -> tuple[str, bool]:
    key, direction = req.arg("sort_key", "flavorid"), req.arg("sort_dir", "asc")
    if key not in _SORT or direction not in ("asc", "desc"):
        raise BadRequest(f"Invalid sort key or direction: {key} {direction}")
    return _SORT[key], direction == "desc"


def _sort_value(req: Request, flavor: Object, key: str) -> Any:
    return (view(req, flavor)[key], flavor["spec"]["id"])


def _new(wanted: FlavorCreate) -> Object:
    if not 0 < len(wanted.name) <= 255 or not _NAME.fullmatch(wanted.name):
        raise BadRequest("Invalid input for field/attribute name: 1 to 255 characters without space at the ends.")
    for name, value, least in (
        ("ram", wanted.ram, 1),
        ("vcpus", wanted.vcpus, 1),
        ("disk", wanted.disk, 0),
        ("swap", wanted.swap, 0),
        ("OS-FLV-EXT-DATA:ephemeral", wanted.ephemeral, 0),
    ):
        if not least <= value <= MOST_NUMBER:
            raise BadRequest(f"Invalid input for field/attribute {name}. Value: {value}. It must be at least {least}.")
    spec: Object = {
        "displayName": wanted.name,
        "vcpus": wanted.vcpus,
        "memory": wanted.ram,
        "disk": wanted.disk,
        "ephemeral": wanted.ephemeral,
        "swap": wanted.swap,
        "rxtxFactor": wanted.rxtx_factor,
        "public": wanted.is_public,
        "id": _chosen_id(wanted),
    }
    if isinstance(wanted.description, str):
        spec["description"] = wanted.description
    return new_object(Flavor.KIND, _handle(wanted.name), "", spec)


def _chosen_id(wanted: FlavorCreate) -> str:
    chosen = wanted.id if wanted.id is not None else wanted.flavorid
    if chosen is None or chosen == "auto":
        return str(uuid4())
    if not re.fullmatch(r"[A-Za-z0-9_. -]{1,255}", str(chosen)) or str(chosen) != str(chosen).strip():
        raise BadRequest(f"Invalid input for field/attribute id. Value: {str(chosen)[:60]}.")
    return str(chosen)


def _handle(name: str) -> str:
    """Flavors' names are unique: the handle follows from the name, so that `create` is the lock on it."""
    return name if is_dns_subdomain(name) else unique_handle("default", name)


async def _named(req: Request, id: str) -> bool:
    try:
        await objects.find(req, Flavor.KIND, id)
    except NotFound:
        return False
    return True


async def _patch(req: Request, flavor: Object, spec: Object) -> Object:
    return await req.state.patch(Flavor.KIND, name_of(flavor), "", {"spec": spec})


def _extra(flavor: Object) -> dict[str, str]:
    return dict(flavor["spec"].get("extraSpecs") or {})


def _present(flavor: Object, key: str) -> str:
    extra = _extra(flavor)
    if key not in extra:
        raise NotFound(f"Flavor {flavor['spec']['id']} has no extra specs with key {key}.")
    return extra[key]


def _checked_extra(wanted: Object) -> dict[str, str]:
    for key, value in wanted.items():
        if not _SPEC_KEY.fullmatch(key):
            raise BadRequest(f"Invalid input for field/attribute extra_specs: {key[:60]!r} is not a key.")
        if isinstance(value, bool) or not isinstance(value, str | int | float) or len(str(value)) > 255:
            raise BadRequest(f"Invalid input for field/attribute {key}: it must be a text of up to 255 characters.")
    return {key: str(value) for key, value in wanted.items()}


def _access(flavor: Object) -> Json:
    flavor_id = flavor["spec"]["id"]
    projects = flavor["spec"].get("projects") or []
    return {"flavor_access": [{"flavor_id": flavor_id, "tenant_id": project} for project in projects]}


def _changed_access(flavor: Object, projects: list[str], action: str, tenant: str) -> list[str]:
    flavor_id = flavor["spec"]["id"]
    if flavor["spec"].get("public", True):
        raise Conflict("Can not add or remove access of a public flavor.")
    if action == "addTenantAccess":
        if tenant in projects:
            raise Conflict(f"Flavor access already exists for flavor {flavor_id} and project {tenant} combination.")
        return [*projects, tenant]
    if tenant not in projects:
        raise NotFound(f"Flavor access not found for {flavor_id} / {tenant} combination.")
    return [project for project in projects if project != tenant]
