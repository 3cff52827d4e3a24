# SPDX-License-Identifier: Apache-2.0
"""Version discovery documents, and which microversion a request is answered in."""

from __future__ import annotations

import re

from lichen.apis.openstack.reply import Reply
from lichen.apis.openstack.request import Request
from lichen.apis.openstack.routing import Route, Service, Version
from lichen.model.data import Object
from lichen.model.errors import BadRequest, NotAcceptable

_FORM = re.compile(r"([1-9]\d{0,3})\.(0|[1-9]\d{0,3})")


def negotiate(service: Service, headers: dict[str, str]) -> Version:
    """The microversion asked for, the lowest if none is. BadRequest: unreadable. NotAcceptable: out of range."""
    if not service.has_microversions:
        return (0, 0)
    wanted = _asked_for(service, headers)
    if not wanted:
        return service.lowest
    if wanted == "latest":
        return service.highest
    match = _FORM.fullmatch(wanted)
    if match is None:
        raise BadRequest(f"API Version String {wanted} is of invalid format. Must be of format MajorNum.MinorNum.")
    version = (int(match[1]), int(match[2]))
    if not service.lowest <= version <= service.highest:
        raise NotAcceptable(
            f"Version {wanted} is not supported by the API. "
            f"Minimum is {dotted(service.lowest)} and maximum is {dotted(service.highest)}."
        )
    return version


def _asked_for(service: Service, headers: dict[str, str]) -> str:
    for part in headers.get("openstack-api-version", "").split(","):
        name, _, version = part.strip().partition(" ")
        if name.lower() == (service.header_type or service.type):
            return version.strip()
    return headers.get(service.version_header.lower(), "").strip() if service.version_header else ""


def version_headers(service: Service, version: Version) -> dict[str, str]:
    """What an answer says of its microversion, so that caches keep versions apart."""
    if not service.has_microversions:
        return {}
    names = ["OpenStack-API-Version"]
    headers = {names[0]: f"{service.header_type or service.type} {dotted(version)}"}
    if service.version_header:
        headers[service.version_header] = dotted(version)
        names.append(service.version_header)
    return {**headers, "Vary": ", ".join(names)}


def dotted(version: Version) -> str:
    return f"{version[0]}.{version[1]}"


def discovery_routes(service: Service) -> tuple[Route, ...]:
    """The documents at a service's root and at its version, which anyone may read."""
    routes = [Route("GET", "/", _all_versions, "anyone")]
    if not any(r.method == "GET" and r.path.rstrip("/") == _version_path(service) for r in service.routes):
        routes.append(Route("GET", _version_path(service), _one_version, "anyone"))
    if service.legacy:
        routes.append(Route("GET", service.legacy, _legacy_version, "anyone"))
    if service.style == "glance":
        routes.append(Route("GET", "/versions", _list_versions, "anyone"))
    return tuple(routes)


async def _all_versions(req: Request) -> Reply:
    status = 300 if req.service.style in ("keystone", "glance", "cinder") else 200
    headers = {"Location": req.url(_version_path(req.service) + "/")} if status == 300 else {}
    return Reply(_documents(req), status, headers=headers)


async def _list_versions(req: Request) -> Reply:
    return Reply(_documents(req))


async def _one_version(req: Request) -> Reply:
    if req.service.style == "cinder":
        return Reply(_documents(req))
    return Reply({"version": _document(req, req.service.version, "CURRENT", detailed=True)})


def _documents(req: Request) -> Object:
    service = req.service
    older = [_document(req, v, "SUPPORTED") for v in service.older_versions]
    documents = [_document(req, service.version, "CURRENT"), *older]
    if service.legacy:
        documents = [_legacy(req), *documents]
    return {"versions": {"values": documents} if service.style == "keystone" else documents}


async def _legacy_version(req: Request) -> Reply:
    media = f"application/vnd.openstack.{req.service.type}+json;version=2"
    return Reply({"version": {**_legacy(req), "media-types": [{"base": "application/json", "type": media}]}})


def _legacy(req: Request) -> Object:
    """The version before there were microversions."""
    links = [{"rel": "self", "href": req.url(req.service.legacy + "/")}]
    without = {"version": "", "min_version": ""}
    return {**_document(req, req.service.legacy.strip("/") + ".0", "SUPPORTED"), **without, "links": links}


def _document(req: Request, version: str, status: str, *, detailed: bool = False) -> Object:
    service = req.service
    document: Object = {
        "id": version,
        "status": "stable" if service.style == "keystone" else status,
        "links": [{"rel": "self", "href": req.url(_version_path(service) + "/")}],
    }
    if service.style in ("nova", "cinder"):
        document |= {"version": dotted(service.highest), "min_version": dotted(service.lowest)}
    if service.style in ("keystone", "nova", "cinder"):
        document["updated"] = "2013-07-23T11:33:21Z"
    if service.style in ("keystone", "cinder") or detailed:
        short = _version_path(service).strip("/")
        media = f"application/vnd.openstack.{service.type}+json;version={short.removeprefix('v')}"
        if service.style == "keystone":
            media = "application/vnd.openstack.identity-v3+json"
        document["media-types"] = [{"base": "application/json", "type": media}]
    return document


def _version_path(service: Service) -> str:
    """`/v2.1` of `v2.1`, `/v3` of keystone's `v3.14`."""
    if service.style in ("nova", "neutron"):
        return "/" + service.version
    return "/" + service.version.partition(".")[0]
