# SPDX-License-Identifier: Apache-2.0
"""What keystone's calls share: finding by id, filters of lists, views of named things, making under a unique name."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from lichen.apis.openstack import objects, paging
from lichen.apis.openstack.reply import Reply
from lichen.apis.openstack.request import Request
from lichen.model.data import Object
from lichen.model.errors import AlreadyExists, NotFound
from lichen.model.kind import Kind, new_object
from lichen.model.names import unique_handle, with_suffix

NO_LIMIT = 1 << 40
LOOKUPS: dict[str, Callable[[str, str], bool]] = {
    "name": lambda held, wanted: held == wanted,
    "name__contains": lambda held, wanted: wanted in held,
    "name__icontains": lambda held, wanted: wanted.lower() in held.lower(),
    "name__startswith": lambda held, wanted: held.startswith(wanted),
    "name__istartswith": lambda held, wanted: held.lower().startswith(wanted.lower()),
    "name__endswith": lambda held, wanted: held.endswith(wanted),
    "name__iendswith": lambda held, wanted: held.lower().endswith(wanted.lower()),
}


async def find(req: Request, kind: Kind, id: str) -> Object:
    """The thing of that id. NotFound, in keystone's words."""
    try:
        return await objects.find(req, kind, id)
    except NotFound:
        raise NotFound(f"Could not find {kind.kind.lower()}: {id}.") from None


async def everything(req: Request, kind: Kind) -> list[Object]:
    return (await req.state.list(kind, None)).items


async def create_unique(req: Request, kind: Kind, domain_id: str, name: str, spec: Any, **metadata: Any) -> Object:
    """A new thing whose name is unique in its domain. Its handle follows from the two, so that create is the lock;
    a handle that a renamed thing still holds gets random letters. Conflict: the name is taken."""
    handle = unique_handle(domain_id, name)
    try:
        return await req.state.create(kind, new_object(kind, handle, spec=spec, **metadata))
    except AlreadyExists:
        return await req.state.create(kind, new_object(kind, with_suffix(handle), spec=spec, **metadata))


async def of_user(req: Request, kind: Kind, user_id: str) -> list[Object]:
    """What is a user's of a kind. NotFound: that is no id."""
    if not user_id.replace("-", "").replace("_", "").isalnum() or len(user_id) > 64:
        raise NotFound(f"Could not find user: {user_id[:64]}.")
    return (await req.state.list(kind, None, fields=f"spec.userId={user_id}")).items


def listed(req: Request, key: str, views: Iterable[Object]) -> Reply:
    """Keystone's list: what the query's filters leave, paged, with links."""
    chosen = [view for view in views if _matches(req, view)]
    shown, marker = paging.page(req, chosen, lambda view: str(view["id"]), most=NO_LIMIT)
    return Reply({key: shown, **paging.keystone_links(req, marker)})


def _matches(req: Request, view: Object) -> bool:
    for name, holds in LOOKUPS.items():
        if name in req.query and not holds(view.get("name", ""), req.arg(name)):
            return False
    if "domain_id" in req.query and (view.get("domain_id") or "") != req.arg("domain_id"):
        return False
    enabled = req.flag("enabled")
    return enabled is None or view.get("enabled", True) is enabled


def links(req: Request, plural: str, id: str) -> Object:
    return {"self": req.url(f"/v3/{plural}/{id}")}


def named(req: Request, plural: str, obj: Object) -> Object:
    """What all views of named things begin with."""
    spec = obj.get("spec") or {}
    id = spec.get("id", "")
    return {"id": id, "name": spec.get("displayName") or obj["metadata"]["name"], "links": links(req, plural, id)}


def group_view(req: Request, group: Object) -> Object:
    """A Group as keystone shows it."""
    spec = group["spec"]
    about = {"description": spec.get("description", ""), "domain_id": spec.get("domainId") or "default"}
    return {**named(req, "groups", group), **about}


def changes(body: Any, names: dict[str, str]) -> Object:
    """A merge patch of spec: what the body has of `names` (OpenStack's name → the spec's)."""
    return {"spec": {ours: body[theirs] for theirs, ours in names.items() if theirs in body}}
