# SPDX-License-Identifier: Apache-2.0
"""os-aggregates: sets of hosts, with a zone and metadata."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from lichen.apis.openstack import objects
from lichen.apis.openstack.compute.server_parts import checked_metadata
from lichen.apis.openstack.compute.server_views import Json
from lichen.apis.openstack.reply import Reply
from lichen.apis.openstack.request import Request
from lichen.kinds.builtin import NODE
from lichen.kinds.compute.aggregate import Aggregate
from lichen.model.data import Object
from lichen.model.errors import BadRequest, Conflict, NotFound
from lichen.model.meta import name_of


async def list_aggregates(req: Request) -> Reply:
    return Reply({"aggregates": [_view(req, a) for a in await _all(req)]})


async def show_aggregate(req: Request, id: str) -> Reply:
    return Reply({"aggregate": _view(req, await _find(req, id))})


async def create_aggregate(req: Request) -> Reply:
    wanted = await req.json("aggregate", dict[str, Any])
    held = await _all(req)
    spec: Object = {"displayName": _name(wanted.get("name"), held), "zone": _zone(wanted.get("availability_zone"))}
    spec["number"] = max((a["spec"].get("number", 0) for a in held), default=0) + 1
    made = await objects.create(req, Aggregate.KIND, spec["displayName"], spec)
    view = _view(req, made)
    return Reply({"aggregate": {key: value for key, value in view.items() if key not in ("hosts", "metadata")}})


async def update_aggregate(req: Request, id: str) -> Reply:
    wanted = await req.json("aggregate", dict[str, Any])
    if not wanted or set(wanted) - {"name", "availability_zone"}:
        raise BadRequest("Invalid input for field/attribute aggregate: its name and availability_zone can be changed.")
    aggregate = await _find(req, id)
    spec: Object = {}
    if "name" in wanted:
        others = [a for a in await _all(req) if name_of(a) != name_of(aggregate)]
        spec["displayName"] = _name(wanted["name"], others)
    if "availability_zone" in wanted:
        spec["zone"] = _zone(wanted["availability_zone"])
    return Reply({"aggregate": _view(req, await _patch(req, aggregate, spec))})


async def delete_aggregate(req: Request, id: str) -> Reply:
    aggregate = await _find(req, id)
    if aggregate["spec"].get("hosts"):
        raise BadRequest(f"Aggregate {id} is not empty: remove its hosts first.")
    await req.state.delete(Aggregate.KIND, name_of(aggregate))
    return Reply()


async def act(req: Request, id: str) -> Reply:
    body = await req.document()
    name = next(iter(body), "")
    if len(body) != 1 or name not in ACTIONS or not isinstance(body[name], dict):
        raise BadRequest("There is no such action on an aggregate.")
    changed = await ACTIONS[name](req, await _find(req, id), body[name])
    return Reply({"aggregate": _view(req, changed)})


async def _add_host(req: Request, aggregate: Object, argument: Object) -> Object:
    host, hosts = str(argument.get("host", "")), list(aggregate["spec"].get("hosts") or [])
    if not any(name_of(node) == host for node in (await req.state.list(NODE)).items):
        raise NotFound(f"Compute host {host} could not be found.")
    if host in hosts:
        raise Conflict(f"Cannot add host {host} in aggregate {aggregate['spec']['number']}: it is there.")
    zone = aggregate["spec"].get("zone")
    for other in await _all(req):
        elsewhere = other["spec"].get("zone")
        if zone and elsewhere and elsewhere != zone and host in (other["spec"].get("hosts") or []):
            raise Conflict(f"Cannot add host {host}: it is in availability zone {elsewhere}.")
    return await _patch(req, aggregate, {"hosts": [*hosts, host]})


async def _remove_host(req: Request, aggregate: Object, argument: Object) -> Object:
    host, hosts = str(argument.get("host", "")), list(aggregate["spec"].get("hosts") or [])
    if host not in hosts:
        raise NotFound(f"Cannot remove host {host} in aggregate {aggregate['spec']['number']}: it is not there.")
    return await _patch(req, aggregate, {"hosts": [held for held in hosts if held != host]})


async def _set_metadata(req: Request, aggregate: Object, argument: Object) -> Object:
    wanted = argument.get("metadata")
    if not isinstance(wanted, dict) or not wanted:
        raise BadRequest("Invalid input for field/attribute metadata: it is an object.")
    pairs = {key: value for key, value in wanted.items() if key != "availability_zone"}
    checked_metadata({key: value for key, value in pairs.items() if value is not None})
    spec: Object = {"metadata": pairs}
    if "availability_zone" in wanted:
        spec["zone"] = _zone(wanted["availability_zone"])
    return await _patch(req, aggregate, spec)


ACTIONS: dict[str, Callable[[Request, Object, Object], Awaitable[Object]]] = {
    "add_host": _add_host,
    "remove_host": _remove_host,
    "set_metadata": _set_metadata,
}


async def _all(req: Request) -> list[Object]:
    return sorted((await req.state.list(Aggregate.KIND)).items, key=lambda a: int(a["spec"].get("number", 0)))


async def _find(req: Request, id: str) -> Object:
    found = next((a for a in await _all(req) if str(a["spec"].get("number")) == id), None)
    if found is None:
        raise NotFound(f"Aggregate {id} could not be found.")
    return found


async def _patch(req: Request, aggregate: Object, spec: Object) -> Object:
    return await req.state.patch(Aggregate.KIND, name_of(aggregate), "", {"spec": spec})


def _name(name: object, others: list[Object]) -> str:
    if not isinstance(name, str) or not 0 < len(name.strip()) <= 255:
        raise BadRequest("Invalid input for field/attribute name: 1 to 255 characters.")
    if any(other["spec"].get("displayName") == name for other in others):
        raise Conflict(f"Aggregate {name} already exists.")
    return name


def _zone(zone: object) -> str:
    if zone is not None and (not isinstance(zone, str) or not 0 < len(zone) <= 63 or ":" in zone):
        raise BadRequest("Invalid input for field/attribute availability_zone: 1 to 63 characters without ':'.")
    return zone or ""


def _view(req: Request, aggregate: Object) -> Json:
    spec = aggregate["spec"]
    zone = spec.get("zone") or None
    metadata = {**(spec.get("metadata") or {}), **({"availability_zone": zone} if zone else {})}
    view: Json = {
        "id": spec.get("number", 0),
        "name": spec.get("displayName") or name_of(aggregate),
        "availability_zone": zone,
        "hosts": spec.get("hosts") or [],
        "metadata": metadata,
        "created_at": f"{aggregate['metadata'].get('creationTimestamp', '')[:19]}.000000",
        "updated_at": None,
        "deleted": False,
        "deleted_at": None,
    }
    return {**view, "uuid": spec["id"]} if req.since(2, 41) else view
