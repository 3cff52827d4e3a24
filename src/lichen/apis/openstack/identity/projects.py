# SPDX-License-Identifier: Apache-2.0
"""/v3/projects: a project is a Namespace, with its OpenStack attributes in labels and annotations."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from lichen.apis.openstack.body import shaped
from lichen.apis.openstack.identity import bodies
from lichen.apis.openstack.identity.common import create_unique, links, listed
from lichen.apis.openstack.reply import Reply, created, no_content
from lichen.apis.openstack.request import Request
from lichen.kinds.builtin import NAMESPACE
from lichen.kinds.identity.domain import Domain
from lichen.model.data import Object
from lichen.model.errors import BadRequest, Forbidden, NotFound
from lichen.model.meta import annotations_of, labels_of, name_of
from lichen.model.names import DESCRIPTION, DISPLAY_NAME, DOMAIN_ID, ENABLED, PROJECT_ID, TAGS


def view(req: Request, project: Object) -> Object:
    """A Namespace as keystone shows it."""
    notes, id = annotations_of(project), labels_of(project).get(PROJECT_ID, "")
    domain = labels_of(project).get(DOMAIN_ID) or "default"
    return {
        "id": id,
        "name": notes.get(DISPLAY_NAME) or name_of(project),
        "description": notes.get(DESCRIPTION, ""),
        "domain_id": domain,
        "parent_id": domain,
        "is_domain": False,
        "enabled": notes.get(ENABLED) != "false",
        "tags": tags_of(project),
        "options": {},
        "links": links(req, "projects", id),
    }


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
        views = []
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
    return Reply({"project": view(req, await find(req, project_id))})


async def create(req: Request) -> Reply:
    body = await req.json("project", bodies.ProjectBody)
    if not body.name:
        raise BadRequest("Invalid input: 'name' is a required property.")
    if body.is_domain is True:
        raise BadRequest("A project cannot act as a domain here; create a domain.")
    domain = body.domain_id or body.parent_id or req.caller.scope_domain_id or req.caller.domain_id or "default"
    await check_domain(req, domain)
    if body.parent_id and body.parent_id != domain:
        raise Forbidden("Projects are not nested here: a project's parent is its domain.")
    notes = _annotations(body)
    project = await create_unique(
        req, NAMESPACE, domain, body.name, None, labels={DOMAIN_ID: domain}, annotations=notes
    )  # fmt: skip
    return created({"project": view(req, project)})


async def check_domain(req: Request, domain_id: str) -> None:
    """BadRequest-like NotFound, if no domain has that id."""
    if domain_id == "default":
        return
    if not (await req.state.list(Domain.KIND, None, fields=f"spec.id={domain_id}", limit=1)).items:
        raise NotFound(f"Could not find domain: {domain_id}.")


async def update(req: Request, project_id: str) -> Reply:
    body = await req.json("project", bodies.ProjectBody)
    project = await find(req, project_id)
    if body.domain_id and body.domain_id != (labels_of(project).get(DOMAIN_ID) or "default"):
        raise BadRequest("A project's domain cannot be changed.")
    patch = {"metadata": {"annotations": _annotations(body)}}
    return Reply({"project": view(req, await req.state.patch(NAMESPACE, name_of(project), "", patch))})


async def delete(req: Request, project_id: str) -> Reply:
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
