# SPDX-License-Identifier: Apache-2.0
"""/v3/registered_limits and /v3/limits: unified limits, for services that run beside this cloud and ask for them.
What Lichen itself serves is limited by ResourceQuota (`openstack quota set`), which is told to who tries it here."""

from __future__ import annotations

from typing import Any

import msgspec

from lichen.apis.openstack import objects
from lichen.apis.openstack.body import shaped
from lichen.apis.openstack.identity import bodies, catalog, projects
from lichen.apis.openstack.identity.common import changes, everything, links, listed
from lichen.apis.openstack.reply import Reply, created, no_content
from lichen.apis.openstack.request import Request
from lichen.kinds.identity.limit import Limit, RegisteredLimit
from lichen.model.data import Object
from lichen.model.errors import BadRequest, Conflict, Forbidden, NotFound
from lichen.model.kind import Kind
from lichen.model.meta import name_of

REGISTERED = {
    "service_id": "serviceId", "region_id": "regionId", "resource_name": "resourceName",
    "default_limit": "defaultLimit", "description": "description",
}  # fmt: skip
OWN = {
    "service_id": "serviceId", "region_id": "regionId", "resource_name": "resourceName", "project_id": "projectId",
    "domain_id": "domainId", "resource_limit": "resourceLimit", "description": "description",
}  # fmt: skip
NAMES = {"registered_limits": "registered limit", "limits": "limit"}


async def show_model(req: Request) -> Reply:
    """Flat: each project has its limit, whatever lies above or below it."""
    return Reply({"model": {"name": "flat", "description": "Limits of projects are independent of each other."}})


# --- registered limits ---


async def list_registered(req: Request) -> Reply:
    return _listed(req, "registered_limits", await everything(req, RegisteredLimit.KIND), REGISTERED)


async def create_registered(req: Request) -> Reply:
    return await _create(req, "registered_limits", list[bodies.RegisteredLimitBody], REGISTERED, RegisteredLimit.KIND)


async def show_registered(req: Request, id: str) -> Reply:
    found = await _one(req, RegisteredLimit.KIND, id)
    return Reply({"registered_limit": _view(req, "registered_limits", found, REGISTERED)})


async def update_registered(req: Request, id: str) -> Reply:
    found = await _one(req, RegisteredLimit.KIND, id)
    spec = _spec(await req.json("registered_limit", bodies.RegisteredLimitBody, lax=False), REGISTERED)
    await _check_service(req, {**found["spec"], **spec})
    _check_unique(await everything(req, RegisteredLimit.KIND), {**found["spec"], **spec})
    made = await req.state.patch(RegisteredLimit.KIND, name_of(found), "", {"spec": spec})
    return Reply({"registered_limit": _view(req, "registered_limits", made, REGISTERED)})


async def delete_registered(req: Request, id: str) -> Reply:
    found = await _one(req, RegisteredLimit.KIND, id)
    if any(_place(o["spec"]) == _place(found["spec"]) for o in await everything(req, Limit.KIND)):
        raise Forbidden(f"Unable to delete registered limit {id}: there are limits of projects in its place.")
    await req.state.delete(RegisteredLimit.KIND, name_of(found))
    return no_content()


# --- limits ---


async def list_all(req: Request) -> Reply:
    return _listed(req, "limits", await _visible(req), OWN)


async def create(req: Request) -> Reply:
    return await _create(req, "limits", list[bodies.LimitBody], OWN, Limit.KIND)


async def show(req: Request, id: str) -> Reply:
    found = next((o for o in await _visible(req) if o["spec"]["id"] == id), None)
    if found is None:
        raise NotFound(f"Could not find limit: {id}.")
    return Reply({"limit": _view(req, "limits", found, OWN)})


async def update(req: Request, id: str) -> Reply:
    found = await _one(req, Limit.KIND, id)
    spec = _spec(await req.json("limit", bodies.LimitBody, lax=False), OWN)
    if set(spec) - {"resourceLimit", "description"}:
        raise BadRequest("Only resource_limit and description of a limit can be changed.")
    made = await req.state.patch(Limit.KIND, name_of(found), "", {"spec": spec})
    return Reply({"limit": _view(req, "limits", made, OWN)})


async def delete(req: Request, id: str) -> Reply:
    await req.state.delete(Limit.KIND, name_of(await _one(req, Limit.KIND, id)))
    return no_content()


# --- parts ---


async def _create(req: Request, plural: str, shape: type[list[Any]], names: dict[str, str], kind: Kind) -> Reply:
    """Several at once: all are looked at before the first is made."""
    bodies_of = shaped((await req.document()).get(plural), shape, where=plural, lax=False)
    wanted = [_spec(body, names) for body in bodies_of]
    registered = [o["spec"] for o in await everything(req, RegisteredLimit.KIND)]
    held = await everything(req, kind)
    for spec in wanted:
        missing = {"serviceId", "resourceName", "defaultLimit" if kind == RegisteredLimit.KIND else "resourceLimit"}
        if missing - set(spec):
            raise BadRequest(f"Invalid input: {', '.join(sorted(missing - set(spec)))} is required.")
        await _check_service(req, spec)
        _check_unique(held, spec)
        if kind == Limit.KIND:
            await _check_limit(req, spec, registered)
        held = [*held, {"spec": spec}]
    made = [await objects.create(req, kind, spec["resourceName"], spec) for spec in wanted]
    return created({plural: [_view(req, plural, o, names) for o in made]})


async def _check_service(req: Request, spec: Object) -> None:
    """Forbidden: it is one of this cloud's own. NotFound (as 400): there is none."""
    if any(catalog.id_of(service.type) == spec["serviceId"] for service in req.dialect.services):
        raise Forbidden(
            "What this cloud itself serves is limited by quota: openstack quota set, or a ResourceQuota there."
        )
    try:
        await catalog.show_service(req, spec["serviceId"])
        if spec.get("regionId"):
            await catalog.show_region(req, spec["regionId"])
    except NotFound as error:
        raise BadRequest(error.message) from None


async def _check_limit(req: Request, spec: Object, registered: list[Object]) -> None:
    if bool(spec.get("projectId")) == bool(spec.get("domainId")):
        raise BadRequest("Invalid input: a limit is of a project or of a domain.")
    if spec.get("projectId"):
        await projects.find(req, spec["projectId"])
    else:
        await projects.check_domain(req, spec["domainId"])
    if not any(_place(r) == _place(spec) for r in registered):
        raise Forbidden(f"There is no registered limit of {spec['resourceName']} for that service and region.")


def _check_unique(held: list[Object], spec: Object) -> None:
    key = (*_place(spec), spec.get("projectId", ""), spec.get("domainId", ""))
    for other in (o["spec"] for o in held):
        theirs = (*_place(other), other.get("projectId", ""), other.get("domainId", ""))
        if theirs == key and other.get("id") != spec.get("id"):
            raise Conflict(f"Duplicate entry: there is a limit of {spec['resourceName']} there already.")


def _place(spec: Object) -> tuple[str, str, str]:
    return spec["serviceId"], spec.get("regionId") or "", spec["resourceName"]


async def _visible(req: Request) -> list[Object]:
    """All for the cloud's admin; else those of the token's project and domain."""
    if req.caller.is_admin or req.caller.scope == "system":
        return await everything(req, Limit.KIND)
    field, id = (
        ("projectId", req.caller.project_id) if req.caller.project_id else ("domainId", req.caller.scope_domain_id)
    )
    return (await req.state.list(Limit.KIND, None, fields=f"spec.{field}={id}")).items if id else []


async def _one(req: Request, kind: Kind, id: str) -> Object:
    try:
        return await objects.find(req, kind, id)
    except NotFound:
        name = NAMES["limits" if kind == Limit.KIND else "registered_limits"]
        raise NotFound(f"Could not find {name}: {id}.") from None


def _listed(req: Request, plural: str, found: list[Object], names: dict[str, str]) -> Reply:
    views = [_view(req, plural, o, names) for o in found]
    for key in ("service_id", "region_id", "resource_name", "project_id", "domain_id"):
        if key in names:
            views = [v for v in views if key not in req.query or (v[key] or "") == req.arg(key)]
    return listed(req, plural, views)


def _spec(body: Any, names: dict[str, str]) -> Object:
    spec: Object = changes(msgspec.to_builtins(body), names)["spec"]
    return {key: "" if value is None else value for key, value in spec.items()}


def _view(req: Request, plural: str, obj: Object, names: dict[str, str]) -> Object:
    spec = obj["spec"]
    about = {theirs: spec.get(ours) if spec.get(ours) != "" else None for theirs, ours in names.items()}
    return {"id": spec["id"], **about, "links": links(req, plural, spec["id"])}
