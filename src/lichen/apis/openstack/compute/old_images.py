# SPDX-License-Identifier: Apache-2.0
"""Nova's own words for images, which ended with microversion 2.35 (their metadata with 2.38). They are Glance's."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from lichen.apis.openstack import objects
from lichen.apis.openstack.compute.server_parts import checked_metadata
from lichen.apis.openstack.compute.server_views import Json, links
from lichen.apis.openstack.image import images
from lichen.apis.openstack.image.views import updated_at
from lichen.apis.openstack.paging import nova_links, page
from lichen.apis.openstack.reply import Reply, no_content
from lichen.apis.openstack.request import Request
from lichen.kinds.image.image import Image
from lichen.model.data import Object
from lichen.model.errors import BadRequest, Forbidden, NotFound
from lichen.model.meta import name_of, namespace_of, revision_of

_STATUSES = {"active": "ACTIVE", "queued": "SAVING", "saving": "SAVING", "killed": "ERROR", "deactivated": "UNKNOWN"}
SNAPSHOT_OF = "instance_uuid"
"""The property by which an image tells of which server it is a snapshot."""


async def list_images(req: Request) -> Reply:
    return await _list(req, lambda view: {key: view[key] for key in ("id", "name", "links")})


async def list_images_detail(req: Request) -> Reply:
    return await _list(req, lambda view: view)


async def show_image(req: Request, id: str) -> Reply:
    return Reply({"image": _view(req, await _find(req, id))})


async def delete_image(req: Request, id: str) -> Reply:
    image = await _find(req, id)
    return await images.delete_image(req, image["spec"]["id"])


async def show_metadata(req: Request, id: str) -> Reply:
    return Reply({"metadata": _metadata(await _find(req, id))})


async def add_metadata(req: Request, id: str) -> Reply:
    wanted = checked_metadata(await req.json("metadata", dict[str, Any]))
    return Reply({"metadata": await _write(req, await _find(req, id), wanted)})


async def replace_metadata(req: Request, id: str) -> Reply:
    wanted = checked_metadata(await req.json("metadata", dict[str, Any]))
    image = await _find(req, id)
    return Reply({"metadata": await _write(req, image, {**dict.fromkeys(_metadata(image)), **wanted})})


async def show_item(req: Request, id: str, key: str) -> Reply:
    return Reply({"meta": {key: _item(await _find(req, id), key)}})


async def set_item(req: Request, id: str, key: str) -> Reply:
    wanted = checked_metadata(await req.json("meta", dict[str, Any]))
    if len(wanted) != 1 or key not in wanted:
        raise BadRequest("Request body and URI mismatch")
    await _write(req, await _find(req, id), wanted)
    return Reply({"meta": wanted})


async def delete_item(req: Request, id: str, key: str) -> Reply:
    image = await _find(req, id)
    _item(image, key)
    await _write(req, image, {key: None})
    return no_content()


async def _list(req: Request, shape: Callable[[Json], Json]) -> Reply:
    found = await objects.listed(req, Image.KIND, everywhere=req.caller.is_admin)
    found.sort(key=lambda image: (image["metadata"].get("creationTimestamp", ""), image["spec"]["id"]), reverse=True)
    tests = [_TESTS[name](values[-1]) for name, values in req.query.items() if name in _TESTS]
    views = [view for view in (_view(req, image) for image in found) if all(test(view) for test in tests)]
    shown, marker = page(req, views, lambda v: str(v["id"]))
    return Reply({"images": [shape(view) for view in shown], **nova_links(req, "images", marker)})


def _changed_since(text: str) -> Callable[[Json], bool]:
    try:
        moment = datetime.fromisoformat(text.replace(" ", "+"))
    except ValueError:
        raise BadRequest(f"Invalid changes-since: {text[:40]} is not ISO 8601.") from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return lambda view: datetime.fromisoformat(view["updated"]) >= moment


_TESTS: dict[str, Callable[[str], Callable[[Json], bool]]] = {
    "name": lambda text: lambda view: view["name"] == text,
    "status": lambda text: lambda view: view["status"] == text.upper(),
    "server": lambda text: lambda view: (view.get("server") or {}).get("id") == text.rstrip("/").rpartition("/")[2],
    "type": lambda text: lambda view: ("server" in view) is (text == "snapshot"),
    "minDisk": lambda text: lambda view: str(view["minDisk"]) == text,
    "minRam": lambda text: lambda view: str(view["minRam"]) == text,
    "changes-since": _changed_since,
}


def _view(req: Request, image: Object) -> Json:
    spec, status = image["spec"], image.get("status") or {}
    phase = status.get("phase") or "queued"
    base, metadata = req.url("/v2.1"), _metadata(image)
    glance = {"rel": "alternate", "type": "application/vnd.openstack.image"}
    view: Json = {
        "id": spec["id"],
        "name": spec.get("displayName") or None,
        "status": _STATUSES.get(phase, "UNKNOWN"),
        "progress": 100 if phase == "active" else 25,
        "minDisk": spec.get("minDisk", 0),
        "minRam": spec.get("minRam", 0),
        "metadata": metadata,
        "created": image["metadata"].get("creationTimestamp", ""),
        "updated": updated_at(image),
        "OS-EXT-IMG-SIZE:size": status.get("size"),
        "links": [
            *links(base, "images", spec["id"]),
            {**glance, "href": req.absolute(f"/image/v2/images/{spec['id']}")},
        ],
    }
    server = metadata.get(SNAPSHOT_OF)
    return {**view, "server": {"id": server, "links": links(base, "servers", server)}} if server else view


def _metadata(image: Object) -> dict[str, str]:
    return dict(image["spec"].get("properties") or {})


def _item(image: Object, key: str) -> str:
    metadata = _metadata(image)
    if key not in metadata:
        raise NotFound(f"Image metadata has no item {key}.")
    return metadata[key]


async def _write(req: Request, image: Object, pairs: dict[str, Any]) -> dict[str, str]:
    held = {key: value for key, value in {**_metadata(image), **pairs}.items() if value is not None}
    checked_metadata(held)
    patch = {"metadata": {"resourceVersion": str(revision_of(image))}, "spec": {"properties": pairs}}
    try:
        return _metadata(await req.state.patch(Image.KIND, name_of(image), namespace_of(image), patch))
    except Forbidden:
        raise Forbidden("You are not allowed to change this image.") from None


async def _find(req: Request, id: str) -> Object:
    try:
        return await images.find(req, id)
    except NotFound:
        raise NotFound("Image not found.") from None
