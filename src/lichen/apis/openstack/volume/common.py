# SPDX-License-Identifier: Apache-2.0
"""What several calls need: finding by id, what volumes refer to, filters, metadata, and Cinder's way to refuse."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from lichen.apis.openstack import objects
from lichen.apis.openstack.paging import page
from lichen.apis.openstack.projects import project_ids
from lichen.apis.openstack.request import Request
from lichen.apis.openstack.volume.views import Json, key_of, volume_view
from lichen.kinds.volume.attachment import VolumeAttachment
from lichen.kinds.volume.snapshot import VolumeSnapshot
from lichen.kinds.volume.volume import Volume
from lichen.kinds.volume.volume_type import VolumeType
from lichen.model.data import Object
from lichen.model.errors import BadRequest, Forbidden, NotFound, TooLarge
from lichen.model.kind import Kind
from lichen.model.meta import name_of, namespace_of

MOST = 1000
_CONTROLS = frozenset(
    {"limit", "marker", "offset", "sort", "sort_key", "sort_dir", "all_tenants", "with_count", "project_id"}
)
_SORT_KEYS = frozenset({"id", "name", "size", "status", "created_at", "updated_at", "availability_zone", "bootable"})


async def find_volume(req: Request, id: str) -> Object:
    return await _find(req, Volume.KIND, id, "Volume")


async def find_snapshot(req: Request, id: str) -> Object:
    return await _find(req, VolumeSnapshot.KIND, id, "Snapshot")


async def find_type(req: Request, id: str) -> Object:
    """By id, else by name."""
    types = await visible_types(req)
    named = [t for t in types if t["spec"]["id"] == id] or [t for t in types if type_name(t) == id]
    if not named:
        raise NotFound(f"Volume type {id} could not be found.")
    return named[0]


async def visible_types(req: Request) -> list[Object]:
    return (await req.state.list(VolumeType.KIND)).items


def type_name(type_: Object) -> str:
    name: str = type_["spec"].get("displayName") or name_of(type_)
    return name


async def attachment_of(req: Request, volume: Object) -> Object | None:
    """Who has the volume."""
    try:
        return await req.state.get(VolumeAttachment.KIND, name_of(volume), namespace_of(volume))
    except NotFound:
        return None


async def attachments(req: Request, *, everywhere: bool) -> list[Object]:
    return await objects.listed(req, VolumeAttachment.KIND, everywhere=everywhere)


async def full_view(req: Request, volume: Object) -> Json:
    attachment = await attachment_of(req, volume)
    types = {name_of(t): type_name(t) for t in await visible_types(req)}
    projects = await project_ids(req, [volume])
    return volume_view(req, volume, attachment, projects.get(namespace_of(volume), ""), types)


async def full_views(req: Request, volumes: list[Object], *, everywhere: bool) -> list[Json]:
    if not volumes:
        return []
    held = {key_of(a): a for a in await attachments(req, everywhere=everywhere)}
    types = {name_of(t): type_name(t) for t in await visible_types(req)}
    projects = await project_ids(req, volumes)
    return [
        volume_view(req, v, held.get((namespace_of(v), name_of(v))), projects.get(namespace_of(v), ""), types)
        for v in volumes
    ]


def check_admin(req: Request, rule: str) -> None:
    """For an action that only the cloud's admin has. Forbidden: names upstream's rule."""
    if not req.caller.is_admin:
        raise Forbidden(f"Policy doesn't allow {rule} to be performed.")


def paged(req: Request, views: list[Json]) -> tuple[list[Json], str]:
    """One page, and the marker of the next: Cinder promises one after every full page, though it may be empty."""
    shown, marker = page(req, views[req.number("offset") :], lambda v: str(v["id"]), most=MOST)
    full = "limit" in req.query and shown and len(shown) == req.number("limit")
    return shown, marker or (str(shown[-1]["id"]) if full else "")


def all_tenants(req: Request) -> bool:
    """Only the cloud's admin sees others' volumes; for anyone else the wish is ignored, as in Cinder."""
    return bool(req.flag("all_tenants", False)) and req.caller.is_admin


def selected(req: Request, views: Iterable[Json]) -> list[Json]:
    """Views that pass every filter of the query, sorted, newest first by default. BadRequest."""
    kept = list(views)
    for name, values in req.query.items():
        if name not in _CONTROLS:
            kept = [view for view in kept if _passes(view, name, values[-1])]
    kept.sort(key=lambda view: str(view["id"]))
    for key, descending in reversed(_order(req)):
        kept.sort(key=lambda view, k=key: _sortable(view.get(k)), reverse=descending)  # type: ignore[misc]
    return kept


def _passes(view: Json, name: str, value: str) -> bool:
    if name.endswith("~"):
        return value in str(view.get(name[:-1]) or "")
    if name == "metadata":
        wanted = value.strip("{}").replace("'", "").replace('"', "")
        pairs = {tuple(p.strip() for p in pair.partition(":")[::2]) for pair in wanted.split(",") if pair.strip()}
        return pairs <= set((view.get("metadata") or {}).items())
    actual = view.get(name)
    return str(actual).lower() == value.lower() if isinstance(actual, bool) else str(actual or "") == value


def _order(req: Request) -> list[tuple[str, bool]]:
    text = req.arg("sort") or ",".join(f"{k}:{req.arg('sort_dir', 'desc')}" for k in req.query.get("sort_key", []))
    order = []
    for part in (text or "created_at:desc").split(","):
        key, _, direction = part.partition(":")
        if key not in _SORT_KEYS or direction not in ("", "asc", "desc"):
            raise BadRequest(f"Invalid input received: sort key {key!r} or direction {direction!r} is not known.")
        order.append((key, direction != "asc"))
    return order


def _sortable(value: Any) -> tuple[int, Any]:
    return (0, value) if isinstance(value, int) else (1, "" if value is None else str(value))


def checked_name(value: object, field: str = "name") -> str | None:
    """Cinder's names may be empty. BadRequest."""
    if value is not None and (not isinstance(value, str) or len(value) > 255):
        raise BadRequest(f"Invalid input for field/attribute {field}: it is a text of up to 255 characters.")
    return value.strip() if isinstance(value, str) else None


def checked_metadata(value: object) -> dict[str, str]:
    """Keys of 1 to 255 characters, values of up to 255. BadRequest."""
    if not isinstance(value, dict):
        raise BadRequest("Invalid input for field/attribute metadata: it is not an object.")
    for key, text in value.items():
        if not 0 < len(key) <= 255:
            raise BadRequest("Invalid input for field/attribute metadata: a key has 1 to 255 characters.")
        if not isinstance(text, str) or len(text) > 255:
            raise BadRequest(f"Invalid input for field/attribute {key}: it is a text of up to 255 characters.")
    return dict(value)


def checked_size(value: object, field: str = "size") -> int:
    """GiB. BadRequest."""
    text = str(value)
    if isinstance(value, bool) or not text.isascii() or not text.isdigit() or not 0 < int(text[:10]) <= 65536:
        raise BadRequest(
            f"Invalid input for field/attribute {field}. Value: {text[:40]}. It is a number of GiB from 1 to 65536."
        )
    return int(text)


def over_quota(error: Forbidden) -> Forbidden | TooLarge:
    """As Cinder says it: 413."""
    if "exceeded quota" in error.message:
        return TooLarge(f"Volume quota exceeded: {error.message}", retry_after=0)
    return error


async def patch_spec(req: Request, kind: Kind, obj: Object, spec: Object) -> Object:
    return await req.state.patch(kind, name_of(obj), namespace_of(obj), {"spec": spec})


async def _find(req: Request, kind: Kind, id: str, what: str) -> Object:
    try:
        return await objects.find(req, kind, id)
    except NotFound:
        raise NotFound(f"{what} {id} could not be found.") from None
