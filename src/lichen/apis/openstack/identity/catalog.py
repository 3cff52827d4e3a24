# SPDX-License-Identifier: Apache-2.0
"""The catalog: what this cloud serves, which is derived and cannot be written; and what operators put beside it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import cache

import msgspec

from lichen.apis.openstack import objects
from lichen.apis.openstack.identity import bodies
from lichen.apis.openstack.identity.common import changes, everything, links, listed, named
from lichen.apis.openstack.identity.filtering import filtered
from lichen.apis.openstack.reply import Reply, created, no_content
from lichen.apis.openstack.request import Request
from lichen.apis.openstack.routing import Service
from lichen.kinds.identity.catalog import CatalogEndpoint, CatalogService, Region
from lichen.kinds.identity.token import TokenInspection
from lichen.model.data import Object
from lichen.model.errors import BadRequest, Conflict, Forbidden, NotFound
from lichen.model.kind import Kind
from lichen.model.meta import name_of

INTERFACES = ("public", "internal", "admin")
SERVICE_FIELDS = {"name": "displayName", "type": "type", "description": "description", "enabled": "enabled"}
ENDPOINT_FIELDS = {
    "service_id": "serviceId", "region_id": "regionId", "interface": "interface", "url": "url", "enabled": "enabled",
}  # fmt: skip
REGION_FIELDS = {"description": "description", "parent_region_id": "parentId"}
NOUNS = {CatalogService.KIND: "service", CatalogEndpoint.KIND: "endpoint", Region.KIND: "region"}


def catalog(req: Request, status: Object) -> list[Object]:
    """What a token's document carries. status: the token's, with the services that were put in by hand, and what of
    all of them its project is shown."""
    return filtered(_whole(req, status.get("services") or ()), status.get("shown"))


def _whole(req: Request, added: Iterable[Object]) -> list[Object]:
    own = [
        {
            "id": id_of(service.type),
            "type": service.type,
            "name": service.name,
            "endpoints": [_endpoint(req, service, interface) for interface in INTERFACES],
        }
        for service in req.dialect.services
    ]
    return own + [
        {"id": s["id"], "type": s["type"], "name": s.get("name", ""), "endpoints": [_listed(e) for e in s["endpoints"]]}
        for s in added
        if s.get("endpoints")
    ]


def _listed(endpoint: Object) -> Object:
    region = endpoint.get("regionId", "")
    return {
        "id": endpoint["id"],
        "interface": endpoint["interface"],
        "region": region,
        "region_id": region,
        "url": endpoint["url"],
    }


async def show_catalog(req: Request) -> Reply:
    spec = {"token": req.caller.token}
    kind = TokenInspection.KIND
    bare = {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": {}, "spec": spec}
    status = (await req.state.create(kind, bare))["status"]
    return Reply({"catalog": catalog(req, status), "links": {"self": req.this_url()}})


async def list_services(req: Request) -> Reply:
    own = [_service(req, s) for s in req.dialect.services]
    found = [*own, *(_added_service(req, o) for o in await everything(req, CatalogService.KIND))]
    return listed(req, "services", [s for s in found if req.arg("type", s["type"]) == s["type"]])


async def show_service(req: Request, service_id: str) -> Reply:
    for service in req.dialect.services:
        if id_of(service.type) == service_id:
            return Reply({"service": _service(req, service)})
    return Reply({"service": _added_service(req, await _find(req, CatalogService.KIND, service_id))})


async def create_service(req: Request) -> Reply:
    body = await req.json("service", bodies.ServiceBody)
    if not body.type:
        raise BadRequest("Invalid input: 'type' is a required property.")
    made = await objects.create(req, CatalogService.KIND, body.name or body.type, _spec(body, SERVICE_FIELDS))
    return created({"service": _added_service(req, made)})


async def update_service(req: Request, service_id: str) -> Reply:
    _refuse_own(id_of(s.type) == service_id for s in req.dialect.services)
    spec = _spec(await req.json("service", bodies.ServiceBody), SERVICE_FIELDS)
    return Reply({"service": _added_service(req, await _patch(req, CatalogService.KIND, service_id, spec))})


async def delete_service(req: Request, service_id: str) -> Reply:
    """Its endpoints go with it."""
    _refuse_own(id_of(s.type) == service_id for s in req.dialect.services)
    service = await _find(req, CatalogService.KIND, service_id)
    for endpoint in await everything(req, CatalogEndpoint.KIND):
        if endpoint["spec"]["serviceId"] == service_id:
            await req.state.delete(CatalogEndpoint.KIND, name_of(endpoint))
    await req.state.delete(CatalogService.KIND, name_of(service))
    return no_content()


async def all_endpoints(req: Request) -> list[Object]:
    """This cloud's own, and those that were put beside them."""
    return [*_endpoints(req), *(_added_endpoint(req, o) for o in await everything(req, CatalogEndpoint.KIND))]


async def list_endpoints(req: Request) -> Reply:
    found = [
        e
        for e in await all_endpoints(req)
        if req.arg("interface", e["interface"]) == e["interface"]
        and req.arg("service_id", e["service_id"]) == e["service_id"]
        and (req.arg("region_id") or req.arg("region") or e["region_id"]) == e["region_id"]
    ]
    return listed(req, "endpoints", found)


async def show_endpoint(req: Request, endpoint_id: str) -> Reply:
    for endpoint in _endpoints(req):
        if endpoint["id"] == endpoint_id:
            return Reply({"endpoint": endpoint})
    return Reply({"endpoint": _added_endpoint(req, await _find(req, CatalogEndpoint.KIND, endpoint_id))})


async def create_endpoint(req: Request) -> Reply:
    body = await req.json("endpoint", bodies.EndpointBody, lax=False)
    if not (body.service_id and body.url and body.interface):
        raise BadRequest("Invalid input: 'service_id', 'interface' and 'url' are required properties.")
    await _check_region(req, body)
    if all(id_of(s.type) != body.service_id for s in req.dialect.services):
        await _find(req, CatalogService.KIND, body.service_id)
    made = await objects.create(req, CatalogEndpoint.KIND, "endpoint", _spec(body, ENDPOINT_FIELDS))
    return created({"endpoint": _added_endpoint(req, made)})


async def update_endpoint(req: Request, endpoint_id: str) -> Reply:
    _refuse_own(e["id"] == endpoint_id for e in _endpoints(req))
    body = await req.json("endpoint", bodies.EndpointBody, lax=False)
    await _check_region(req, body)
    made = await _patch(req, CatalogEndpoint.KIND, endpoint_id, _spec(body, ENDPOINT_FIELDS))
    return Reply({"endpoint": _added_endpoint(req, made)})


async def delete_endpoint(req: Request, endpoint_id: str) -> Reply:
    _refuse_own(e["id"] == endpoint_id for e in _endpoints(req))
    await req.state.delete(CatalogEndpoint.KIND, name_of(await _find(req, CatalogEndpoint.KIND, endpoint_id)))
    return no_content()


async def list_regions(req: Request) -> Reply:
    found = [_region(req), *(_added_region(req, o) for o in await everything(req, Region.KIND))]
    parent = req.arg("parent_region_id")
    return listed(req, "regions", [r for r in found if not parent or r["parent_region_id"] == parent])


async def show_region(req: Request, region_id: str) -> Reply:
    if region_id == req.dialect.region:
        return Reply({"region": _region(req)})
    return Reply({"region": _added_region(req, await _find(req, Region.KIND, region_id))})


async def create_region(req: Request, region_id: str = "") -> Reply:
    """POST, or PUT with the id in the path."""
    body = await req.json("region", bodies.RegionBody)
    id = region_id or (body.id or "" if body.id is not msgspec.UNSET else "")
    if id == req.dialect.region:
        raise Conflict(f"Duplicate entry found with ID {id}.")
    if body.parent_region_id:
        await show_region(req, body.parent_region_id)
    spec = {**_spec(body, REGION_FIELDS), **({"id": id} if id else {})}
    return created({"region": _added_region(req, await objects.create(req, Region.KIND, id or "region", spec))})


async def update_region(req: Request, region_id: str) -> Reply:
    _refuse_own([region_id == req.dialect.region])
    body = await req.json("region", bodies.RegionBody)
    if body.parent_region_id:
        await show_region(req, body.parent_region_id)
    return Reply({"region": _added_region(req, await _patch(req, Region.KIND, region_id, _spec(body, REGION_FIELDS)))})


async def delete_region(req: Request, region_id: str) -> Reply:
    _refuse_own([region_id == req.dialect.region])
    await req.state.delete(Region.KIND, name_of(await _find(req, Region.KIND, region_id)))
    return no_content()


def _refuse_own(matches: Iterable[bool]) -> None:
    if any(matches):
        raise Forbidden("It is derived from what this cloud itself serves, and cannot be changed.")


async def _find(req: Request, kind: Kind, id: str) -> Object:
    try:
        return await objects.find(req, kind, id)
    except NotFound:
        raise NotFound(f"Could not find {NOUNS[kind]}: {id}.") from None


async def _patch(req: Request, kind: Kind, id: str, spec: Object) -> Object:
    return await req.state.patch(kind, name_of(await _find(req, kind, id)), "", {"spec": spec})


def _spec(body: object, fields: dict[str, str]) -> Object:
    spec: Object = changes(msgspec.to_builtins(body), fields)["spec"]
    return {key: "" if value is None else value for key, value in spec.items()}


async def _check_region(req: Request, body: bodies.EndpointBody) -> None:
    """The region by either of its names. BadRequest: there is none of that id."""
    if body.region and not body.region_id:
        body.region_id = body.region
    if body.region_id and body.region_id != req.dialect.region:
        try:
            await _find(req, Region.KIND, body.region_id)
        except NotFound:
            if body.region:
                await objects.create(req, Region.KIND, body.region, {"id": body.region})
                return
            raise BadRequest(f"Could not find region: {body.region_id}.") from None


def _added_service(req: Request, service: Object) -> Object:
    spec = service["spec"]
    about = {"type": spec["type"], "enabled": spec.get("enabled", True)}
    optional = {"description": spec["description"]} if spec.get("description") else {}
    return {**named(req, "services", service), **about, **optional}


def _added_endpoint(req: Request, endpoint: Object) -> Object:
    spec = endpoint["spec"]
    region = spec.get("regionId") or None
    about = {"service_id": spec["serviceId"], "interface": spec["interface"], "url": spec["url"]}
    where = {"region": region, "region_id": region, "enabled": spec.get("enabled", True)}
    return {"id": spec["id"], **about, **where, "links": links(req, "endpoints", spec["id"])}


def _added_region(req: Request, region: Object) -> Object:
    spec = region["spec"]
    about = {"description": spec.get("description", ""), "parent_region_id": spec.get("parentId") or None}
    return {"id": spec["id"], **about, "links": links(req, "regions", spec["id"])}


def _endpoints(req: Request) -> list[Object]:
    found = []
    for service in req.dialect.services:
        for interface in INTERFACES:
            endpoint = _endpoint(req, service, interface)
            more = {
                "service_id": id_of(service.type),
                "enabled": True,
                "links": links(req, "endpoints", endpoint["id"]),
            }
            found.append({**endpoint, **more})
    return found


def _endpoint(req: Request, service: Service, interface: str) -> Object:
    region = req.dialect.region
    return {
        "id": id_of(service.type, interface),
        "interface": interface,
        "region": region,
        "region_id": region,
        "url": req.absolute(service.endpoint),
    }


def _service(req: Request, service: Service) -> Object:
    id = id_of(service.type)
    about = {"name": service.name, "type": service.type, "description": "", "enabled": True}
    return {"id": id, **about, "links": links(req, "services", id)}


def _region(req: Request) -> Object:
    region = req.dialect.region
    return {"id": region, "description": "", "parent_region_id": None, "links": links(req, "regions", region)}


@cache
def id_of(*parts: str) -> str:
    """The id of what the cloud itself declares: services and their endpoints, a few dozen for ever."""
    return hashlib.sha256("/".join(parts).encode()).hexdigest()[:32]
