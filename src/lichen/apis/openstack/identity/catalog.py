# SPDX-License-Identifier: Apache-2.0
"""The catalog, derived from what is served: services, endpoints and regions can be read, not written."""

from __future__ import annotations

import hashlib

from lichen.apis.openstack.identity.common import links, listed
from lichen.apis.openstack.reply import Reply
from lichen.apis.openstack.request import Request
from lichen.apis.openstack.routing import Service
from lichen.model.data import Object
from lichen.model.errors import Forbidden, NotFound

INTERFACES = ("public", "internal", "admin")


def catalog(req: Request) -> list[Object]:
    """What a token's document carries."""
    return [
        {
            "id": _id(service.type),
            "type": service.type,
            "name": service.name,
            "endpoints": [_endpoint(req, service, interface) for interface in INTERFACES],
        }
        for service in req.dialect.services
    ]


async def show_catalog(req: Request) -> Reply:
    return Reply({"catalog": catalog(req), "links": {"self": req.this_url()}})


async def list_services(req: Request) -> Reply:
    found = [s for s in req.dialect.services if req.arg("type", s.type) == s.type]
    return listed(req, "services", [_service(req, s) for s in found])


async def show_service(req: Request, service_id: str) -> Reply:
    for service in req.dialect.services:
        if _id(service.type) == service_id:
            return Reply({"service": _service(req, service)})
    raise NotFound(f"Could not find service: {service_id}.")


async def list_endpoints(req: Request) -> Reply:
    found = [
        e
        for e in _endpoints(req)
        if req.arg("interface", e["interface"]) == e["interface"]
        and req.arg("service_id", e["service_id"]) == e["service_id"]
        and (req.arg("region_id") or req.arg("region") or e["region_id"]) == e["region_id"]
    ]
    return listed(req, "endpoints", found)


async def show_endpoint(req: Request, endpoint_id: str) -> Reply:
    for endpoint in _endpoints(req):
        if endpoint["id"] == endpoint_id:
            return Reply({"endpoint": endpoint})
    raise NotFound(f"Could not find endpoint: {endpoint_id}.")


async def list_regions(req: Request) -> Reply:
    return listed(req, "regions", [_region(req)])


async def show_region(req: Request, region_id: str) -> Reply:
    if region_id != req.dialect.region:
        raise NotFound(f"Could not find region: {region_id}.")
    return Reply({"region": _region(req)})


async def refuse(req: Request, **params: str) -> Reply:
    """Whatever would change the catalog."""
    raise Forbidden("The catalog is derived from the services that this cloud serves; it cannot be changed.")


def _endpoints(req: Request) -> list[Object]:
    found = []
    for service in req.dialect.services:
        for interface in INTERFACES:
            endpoint = _endpoint(req, service, interface)
            more = {"service_id": _id(service.type), "enabled": True, "links": links(req, "endpoints", endpoint["id"])}
            found.append({**endpoint, **more})
    return found


def _endpoint(req: Request, service: Service, interface: str) -> Object:
    region = req.dialect.region
    return {
        "id": _id(service.type, interface),
        "interface": interface,
        "region": region,
        "region_id": region,
        "url": req.absolute(service.endpoint),
    }


def _service(req: Request, service: Service) -> Object:
    id = _id(service.type)
    about = {"name": service.name, "type": service.type, "description": "", "enabled": True}
    return {"id": id, **about, "links": links(req, "services", id)}


def _region(req: Request) -> Object:
    region = req.dialect.region
    return {"id": region, "description": "", "parent_region_id": None, "links": links(req, "regions", region)}


def _id(*parts: str) -> str:
    return hashlib.sha256("/".join(parts).encode()).hexdigest()[:32]
