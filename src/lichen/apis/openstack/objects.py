# SPDX-License-Identifier: Apache-2.0
"""Finding, listing and making objects the way OpenStack speaks of them: by id, within a project or shared with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lichen.apis.openstack.request import Request
from lichen.model.data import Object
from lichen.model.errors import AlreadyExists, Conflict, NotFound
from lichen.model.kind import Kind, new_object
from lichen.model.meta import name_of, namespace_of, revision_of
from lichen.model.names import handle, with_suffix

SHARED = {
    "networks": ("spec.shared=true", "spec.external=true"),
    "subnetpools": ("spec.shared=true",),
    "images": ("spec.visibility=public",),
}
"""By plural: the field selectors of what every project may read, wherever it lives."""
ATTEMPTS = 8
WRITES = 20
"""How often a change is written again because another came first."""


async def find(req: Request, kind: Kind, id: str, *, what: str = "") -> Object:
    """The object of that id that the caller may see: the project's own, then what is shared; for the cloud's admin
    any. NotFound: `what` (by default the kind) could not be found."""
    found = await _by_id(req, kind, id) if _may_be_id(id) else None
    if found is None:
        raise NotFound(f"{what or kind.kind} {id} could not be found.", kind=kind.kind, group=kind.group, name=id)
    return found


async def _by_id(req: Request, kind: Kind, id: str) -> Object | None:
    selector = f"spec.id={id}"
    if not kind.namespaced or req.caller.is_admin:
        return await _first(req, kind, None, selector)
    own = await _first(req, kind, req.namespace, selector)
    for shared in SHARED.get(kind.plural, ()) if own is None else ():
        own = own or await _first(req, kind, None, f"{selector},{shared}")
    return own


async def _first(req: Request, kind: Kind, namespace: str | None, selector: str) -> Object | None:
    items = (await req.state.list(kind, namespace, fields=selector, limit=1)).items
    return items[0] if items else None


def _may_be_id(id: str) -> bool:
    """Whether the text can stand in a field selector and be anyone's id."""
    return 0 < len(id) <= 255 and not any(c in "=,!\\\n\0" for c in id)


async def listed(
    req: Request, kind: Kind, *, everywhere: bool = False, fields: str = "", labels: str = ""
) -> list[Object]:
    """The project's objects and what is shared with it; everywhere: those of all projects (for the cloud's admin)."""
    if not kind.namespaced or everywhere:
        return (await req.state.list(kind, None, fields=fields, labels=labels)).items
    own = (await req.state.list(kind, req.namespace, fields=fields, labels=labels)).items
    others: dict[str, Object] = {}
    for shared in SHARED.get(kind.plural, ()):
        selector = f"{fields},{shared}" if fields else shared
        found = (await req.state.list(kind, None, fields=selector, labels=labels)).items
        others |= {o["metadata"]["uid"]: o for o in found if o["metadata"]["namespace"] != req.namespace}
    return own + list(others.values())


async def create(
    req: Request, kind: Kind, display_name: str, spec: Any, *, namespace: str | None = None, **metadata: Any
) -> Object:
    """A new object whose handle comes from its display name: that name, or with random letters if it is taken.
    namespace: by default the caller's project."""
    where = (req.namespace if namespace is None else namespace) if kind.namespaced else ""
    base = handle(display_name) if display_name else kind.singular or kind.kind.lower()
    for attempt in range(ATTEMPTS):
        obj = new_object(kind, with_suffix(base) if attempt else base, where, spec, **metadata)
        try:
            return await req.state.create(kind, obj)
        except AlreadyExists as error:
            if attempt == ATTEMPTS - 1 or error.name not in ("", name_of(obj)):
                raise
    raise AssertionError("unreachable")


async def change(req: Request, kind: Kind, obj: Object, changed: Callable[[Object], Object]) -> Object:
    """Write what `changed` makes of an object's spec; again, of what is stored, if another write came first."""
    for attempt in range(WRITES):
        try:
            return await req.state.update(kind, {**obj, "spec": changed(obj["spec"])})
        except Conflict:
            fresh = await req.state.get(kind, name_of(obj), namespace_of(obj))
            if attempt == WRITES - 1 or revision_of(fresh) == revision_of(obj):
                raise
            obj = fresh
    raise AssertionError("unreachable")
