# SPDX-License-Identifier: Apache-2.0
"""/v3/projects: a project is a Namespace, with its OpenStack attributes in labels and annotations."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from lichen.apis.openstack.body import shaped
from lichen.apis.openstack.identity import bodies
from lichen.apis.openstack.identity.common import changes, create_unique, links, listed
from lichen.apis.openstack.reply import Reply, created, no_content
from lichen.apis.openstack.request import Request
from lichen.kinds.builtin import NAMESPACE
from lichen.kinds.identity.domain import Domain
from lichen.model.data import Object
from lichen.model.errors import BadRequest, NotFound
from lichen.model.meta import annotations_of, is_deleting, labels_of, name_of
from lichen.model.names import DESCRIPTION, DISPLAY_NAME, DOMAIN_ID, ENABLED, PARENT_ID, PROJECT_ID, TAGS


def view(req: Request, project: Object) -> Object:
    """A Namespace as keystone shows it."""
    notes, id = annotations_of(project), labels_of(project).get(PROJECT_ID, "")
    domain = labels_of(project).get(DOMAIN_ID) or "default"
    return {
        "id": id,
        "name": notes.get(DISPLAY_NAME) or name_of(project),
        "description": notes.get(DESCRIPTION, ""),
        "domain_id": domain,
        "parent_id": labels_of(project).get(PARENT_ID) or domain,
        "is_domain": False,
        "enabled": notes.get(ENABLED) != "false",
        "tags": tags_of(project),
        "options": {},
        **_leaving(project),
        "links": links(req, "projects", id),
    }


def _leaving(project: Object) -> Object:
    """What is told of a project that was deleted and is being emptied: what it still waits for."""
    if not is_deleting(project):
        return {}
    said = [
        c.get("message", "") for c in (project.get("status") or {}).get("conditions") or [] if c["status"] == "True"
    ]
    return {"status": "DELETING", "status_reason": "; ".join(said)}


def tags_of(project: Object) -> list[str]:
    try:
        tags = json.loads(annotations_of(project).get(TAGS) or "[]")
    except ValueError:
        return []
    return [str(tag) for tag in tags] if isinstance(tags, list) else []


async def find(req: Request, project_id: str) -> Object:
    """The Namespace of a project's id: the caller's own, or for admin any. NotFound."""
    if project_id and project_id == req.caller.project_id:
        return await req.state.get(NAMESPACE, req.caller.namespace)
    if project_id.replace("-", "").isalnum() and len(project_id) <= 63:
        found = (await req.state.list(NAMESPACE, None, labels=f"{PROJECT_ID}={project_id}", limit=1)).items
        if found:
            return found[0]
    raise NotFound(f"Could not find project: {project_id}.")


async def list_all(req: Request) -> Reply:
    page = await req.state.list(NAMESPACE, None, labels=PROJECT_ID)
    views = [view(req, p) for p in page.items if not p["metadata"].get("deletionTimestamp")]
    if "parent_id" in req.query:
        views = [v for v in views if v["parent_id"] == req.arg("parent_id")]
    if req.flag("is_domain"):
        views = [_domain_view(req, d) for d in (await req.state.list(Domain.KIND, None)).items]
    return listed(req, "projects", [v for v in views if _has_tags(req, v["tags"])])


def _has_tags(req: Request, tags: list[str]) -> bool:
    def asked(name: str) -> set[str]:
        return {tag for tag in req.arg(name).split(",") if tag}

    held = set(tags)
    return (
        asked("tags") <= held
        and ("tags-any" not in req.query or bool(asked("tags-any") & held))
        and ("not-tags" not in req.query or not asked("not-tags") <= held)
        and not asked("not-tags-any") & held
    )


async def show(req: Request, project_id: str) -> Reply:
    domain = await _domain(req, project_id)
    return Reply({"project": _domain_view(req, domain) if domain else view(req, await find(req, project_id))})


async def create(req: Request) -> Reply:
    body = await req.json("project", bodies.ProjectBody)
    if not body.name:
        raise BadRequest("Invalid input: 'name' is a required property.")
    if body.is_domain is True:
        return await _create_domain(req, body)
    labels = await _place(req, body)
    notes = _annotations(body)
    project = await create_unique(
        req, NAMESPACE, labels[DOMAIN_ID], body.name, None, labels=labels, annotations=notes
    )  # fmt: skip
    return created({"project": view(req, project)})


async def _place(req: Request, body: bodies.ProjectBody) -> dict[str, str]:
    """Labels that say where a new project lies: in a domain, or below another project of it."""
    default = req.caller.scope_domain_id or req.caller.domain_id or "default"
    if not body.parent_id or body.parent_id == body.domain_id:
        domain = body.domain_id or default
        await check_domain(req, domain)
        return {DOMAIN_ID: domain}
    parents = [o for o in await req_namespaces(req) if labels_of(o)[PROJECT_ID] == body.parent_id]
    if not parents:
        await check_domain(req, body.parent_id)
        return {DOMAIN_ID: body.parent_id}
    domain = labels_of(parents[0]).get(DOMAIN_ID) or "default"
    if body.domain_id and body.domain_id != domain:
        raise BadRequest("A project lies in the domain of its parent.")
    return {DOMAIN_ID: domain, PARENT_ID: body.parent_id}


async def req_namespaces(req: Request) -> list[Object]:
    """All projects, as Namespaces."""
    return (await req.state.list(NAMESPACE, None, labels=PROJECT_ID)).items


async def _create_domain(req: Request, body: bodies.ProjectBody) -> Reply:
    """A project that acts as a domain is a domain."""
    if body.domain_id or body.parent_id:
        raise BadRequest("A project that acts as a domain lies in no other.")
    enabled = body.enabled is not False
    spec = {"displayName": body.name, "description": body.description or "", "enabled": enabled}
    domain = await create_unique(req, Domain.KIND, "default", str(body.name), spec)
    return created({"project": _domain_view(req, domain)})


def _domain_view(req: Request, domain: Object) -> Object:
    spec = domain["spec"]
    about = {"name": spec.get("displayName") or name_of(domain), "description": spec.get("description", "")}
    place = {"domain_id": None, "parent_id": None, "is_domain": True, "enabled": spec.get("enabled", True)}
    more = {"tags": spec.get("tags") or [], "options": {}, "links": links(req, "projects", spec["id"])}
    return {"id": spec["id"], **about, **place, **more}


async def _domain(req: Request, id: str) -> Object | None:
    """The domain that is asked for as a project, None if there is none."""
    if not req.caller.is_admin or not id.replace("-", "").isalnum():
        return None
    found = (await req.state.list(Domain.KIND, None, fields=f"spec.id={id}", limit=1)).items
    return found[0] if found else None


async def check_domain(req: Request, domain_id: str) -> None:
    """BadRequest-like NotFound, if no domain has that id."""
    if domain_id == "default":
        return
    if not (await req.state.list(Domain.KIND, None, fields=f"spec.id={domain_id}", limit=1)).items:
        raise NotFound(f"Could not find domain: {domain_id}.")


async def update(req: Request, project_id: str) -> Reply:
    body = await req.json("project", bodies.ProjectBody)
    domain = await _domain(req, project_id)
    if domain:
        names = {"name": "displayName", "description": "description", "enabled": "enabled"}
        patch = changes(msgspec.to_builtins(body), names)
        return Reply({"project": _domain_view(req, await req.state.patch(Domain.KIND, name_of(domain), "", patch))})
    project = await find(req, project_id)
    if body.domain_id and body.domain_id != (labels_of(project).get(DOMAIN_ID) or "default"):
        raise BadRequest("A project's domain cannot be changed.")
    patch = {"metadata": {"annotations": _annotations(body)}}
    return Reply({"project": view(req, await req.state.patch(NAMESPACE, name_of(project), "", patch))})


async def delete(req: Request, project_id: str) -> Reply:
    domain = await _domain(req, project_id)
    if domain:
        await req.state.delete(Domain.KIND, name_of(domain))
        return no_content()
    await req.state.delete(NAMESPACE, name_of(await find(req, project_id)))
    return no_content()


def _annotations(body: bodies.ProjectBody) -> dict[str, Any]:
    """A merge patch of annotations: what the body says, null for what it clears."""
    notes: dict[str, Any] = {}
    if body.name is not msgspec.UNSET:
        notes[DISPLAY_NAME] = body.name
    if body.description is not msgspec.UNSET:
        notes[DESCRIPTION] = body.description or ""
    if body.enabled is not msgspec.UNSET:
        notes[ENABLED] = "true" if body.enabled else "false"
    if body.tags is not msgspec.UNSET:
        notes[TAGS] = json.dumps(sorted(set(body.tags)))
    return notes


# --- tags ---


async def list_tags(req: Request, project_id: str) -> Reply:
    return Reply({"tags": tags_of(await find(req, project_id)), "links": {"self": req.this_url()}})


async def replace_tags(req: Request, project_id: str) -> Reply:
    tags = await req.json("tags", bodies.Tags)
    return Reply({"tags": await _set_tags(req, project_id, tags), "links": {"self": req.this_url()}})


async def delete_tags(req: Request, project_id: str) -> Reply:
    await _set_tags(req, project_id, [])
    return no_content()


async def show_tag(req: Request, project_id: str, tag: str) -> Reply:
    if tag not in tags_of(await find(req, project_id)):
        raise NotFound(f"Could not find project tag: {tag}.")
    return no_content()


async def add_tag(req: Request, project_id: str, tag: str) -> Reply:
    from_url = shaped([tag], bodies.Tags, where="tag")
    await _set_tags(req, project_id, [*tags_of(await find(req, project_id)), *from_url])
    return created(None)


async def delete_tag(req: Request, project_id: str, tag: str) -> Reply:
    tags = tags_of(await find(req, project_id))
    if tag not in tags:
        raise NotFound(f"Could not find project tag: {tag}.")
    await _set_tags(req, project_id, [t for t in tags if t != tag])
    return no_content()


async def _set_tags(req: Request, project_id: str, tags: list[str]) -> list[str]:
    project = await find(req, project_id)
    kept = sorted(set(tags))
    await req.state.patch(NAMESPACE, name_of(project), "", {"metadata": {"annotations": {TAGS: json.dumps(kept)}}})
    return kept
