# SPDX-License-Identifier: Apache-2.0
"""/v3/OS-EP-FILTER: which endpoints a project finds in its catalog. A project with no association sees all."""

from __future__ import annotations

import contextlib

import msgspec

from lichen.apis.openstack import objects
from lichen.apis.openstack.identity import bodies, catalog, projects
from lichen.apis.openstack.identity.common import changes, everything, links, listed, named
from lichen.apis.openstack.identity.filtering import matches
from lichen.apis.openstack.reply import Reply, created, no_content
from lichen.apis.openstack.request import Request
from lichen.kinds.identity.endpoint_group import EndpointAssociation, EndpointGroup
from lichen.model.data import Object
from lichen.model.errors import AlreadyExists, BadRequest, NotFound
from lichen.model.kind import new_object
from lichen.model.meta import name_of

FIELDS = {"name": "displayName", "description": "description", "filters": "filters"}


async def list_all(req: Request) -> Reply:
    return listed(req, "endpoint_groups", [_view(req, g) for g in await everything(req, EndpointGroup.KIND)])


async def create(req: Request) -> Reply:
    body = await req.json("endpoint_group", bodies.EndpointGroupBody, lax=False)
    if not body.name or not isinstance(body.filters, bodies.EndpointFilters):
        raise BadRequest("Invalid input: 'name' and 'filters' are required properties.")
    return created(
        {"endpoint_group": _view(req, await objects.create(req, EndpointGroup.KIND, body.name, _spec(body)))}
    )


async def show(req: Request, id: str) -> Reply:
    return Reply({"endpoint_group": _view(req, await _one(req, id))})


async def update(req: Request, id: str) -> Reply:
    group = await _one(req, id)
    spec = _spec(await req.json("endpoint_group", bodies.EndpointGroupBody, lax=False))
    gone = dict.fromkeys(group["spec"]["filters"]) if "filters" in spec else {}
    spec |= {"filters": {**gone, **spec["filters"]}} if gone else {}
    made = await req.state.patch(EndpointGroup.KIND, name_of(group), "", {"spec": spec})
    return Reply({"endpoint_group": _view(req, made)})


async def delete(req: Request, id: str) -> Reply:
    await req.state.delete(EndpointGroup.KIND, name_of(await _one(req, id)))
    return no_content()


async def list_endpoints(req: Request, id: str) -> Reply:
    filters = (await _one(req, id))["spec"]["filters"]
    return listed(req, "endpoints", [e for e in await catalog.all_endpoints(req) if matches(filters, e)])


async def list_group_projects(req: Request, id: str) -> Reply:
    await _one(req, id)
    return await _projects(req, "groupId", id)


async def list_endpoint_projects(req: Request, endpoint_id: str) -> Reply:
    await catalog.show_endpoint(req, endpoint_id)
    return await _projects(req, "endpointId", endpoint_id)


async def list_project_groups(req: Request, project_id: str) -> Reply:
    held = {a["groupId"] for a in await _associations(req, project_id)}
    groups = [g for g in await everything(req, EndpointGroup.KIND) if g["spec"]["id"] in held]
    return listed(req, "endpoint_groups", [_view(req, g) for g in groups])


async def list_project_endpoints(req: Request, project_id: str) -> Reply:
    """Its own, and those of its groups."""
    held = await _associations(req, project_id)
    groups = {g["spec"]["id"]: g["spec"]["filters"] for g in await everything(req, EndpointGroup.KIND)}
    chosen = [groups[a["groupId"]] for a in held if a.get("groupId") in groups]
    ids = {a.get("endpointId") for a in held}
    found = await catalog.all_endpoints(req)
    return listed(req, "endpoints", [e for e in found if e["id"] in ids or any(matches(f, e) for f in chosen)])


async def add_group(req: Request, id: str, project_id: str) -> Reply:
    await _one(req, id)
    return await _associate(req, project_id, group_id=id)


async def check_group(req: Request, id: str, project_id: str) -> Reply:
    await _association(req, project_id, group_id=id)
    about = {"endpoint_group_id": id, "project_id": project_id}
    return Reply({"project_endpoint_group": about, "links": {"self": req.this_url()}})


async def remove_group(req: Request, id: str, project_id: str) -> Reply:
    return await _dissociate(req, project_id, group_id=id)


async def add_endpoint(req: Request, project_id: str, endpoint_id: str) -> Reply:
    await catalog.show_endpoint(req, endpoint_id)
    return await _associate(req, project_id, endpoint_id=endpoint_id)


async def check_endpoint(req: Request, project_id: str, endpoint_id: str) -> Reply:
    await _association(req, project_id, endpoint_id=endpoint_id)
    return no_content()


async def remove_endpoint(req: Request, project_id: str, endpoint_id: str) -> Reply:
    return await _dissociate(req, project_id, endpoint_id=endpoint_id)


# --- parts ---


async def _associations(req: Request, project_id: str) -> list[Object]:
    await projects.find(req, project_id)
    held = (await req.state.list(EndpointAssociation.KIND, None, fields=f"spec.projectId={project_id}")).items
    return [a["spec"] for a in held]


async def _associate(req: Request, project_id: str, **to: str) -> Reply:
    await projects.find(req, project_id)
    spec = EndpointAssociation.Spec(project_id=project_id, **to)
    with contextlib.suppress(AlreadyExists):
        await req.state.create(EndpointAssociation.KIND, new_object(EndpointAssociation.KIND, spec.handle(), spec=spec))
    return no_content()


async def _association(req: Request, project_id: str, **to: str) -> Object:
    name = EndpointAssociation.Spec(project_id=project_id, **to).handle()
    try:
        return await req.state.get(EndpointAssociation.KIND, name)
    except NotFound:
        what = next(iter(to.values()))
        raise NotFound(f"Could not find endpoint {what} associated with project {project_id}.") from None


async def _dissociate(req: Request, project_id: str, **to: str) -> Reply:
    await req.state.delete(EndpointAssociation.KIND, name_of(await _association(req, project_id, **to)))
    return no_content()


async def _projects(req: Request, field: str, id: str) -> Reply:
    held = (await req.state.list(EndpointAssociation.KIND, None, fields=f"spec.{field}={id}")).items
    ids = {a["spec"]["projectId"] for a in held}
    views = [projects.view(req, p) for p in await projects.req_namespaces(req)]
    return listed(req, "projects", [v for v in views if v["id"] in ids])


async def _one(req: Request, id: str) -> Object:
    try:
        return await objects.find(req, EndpointGroup.KIND, id)
    except NotFound:
        raise NotFound(f"Could not find endpoint group: {id}.") from None


def _spec(body: bodies.EndpointGroupBody) -> Object:
    """The client sends null for filters that stay as they are."""
    spec: Object = changes(msgspec.to_builtins(body), FIELDS)["spec"]
    if body.filters is None:
        spec.pop("filters")
    return {key: "" if value is None else value for key, value in spec.items()}


def _view(req: Request, group: Object) -> Object:
    spec = group["spec"]
    about = {"description": spec.get("description", ""), "filters": spec["filters"]}
    return {**named(req, "endpoint_groups", group), **about,
            "links": links(req, "OS-EP-FILTER/endpoint_groups", spec["id"])}  # fmt: skip
