# SPDX-License-Identifier: Apache-2.0
"""Calls on volumes: list, show, create, update, delete, metadata."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from lichen.apis.openstack import objects
from lichen.apis.openstack.image.images import find as find_image
from lichen.apis.openstack.nodes import DEFAULT_ZONE
from lichen.apis.openstack.paging import nova_links
from lichen.apis.openstack.reply import Reply, accepted
from lichen.apis.openstack.request import Request
from lichen.apis.openstack.volume import common
from lichen.apis.openstack.volume.common import find_snapshot, find_type, find_volume, full_view
from lichen.apis.openstack.volume.views import Json, links, snapshot_status, volume_status, written_view
from lichen.apis.openstack.zones import usable_zones
from lichen.kinds.volume.snapshot import VolumeSnapshot
from lichen.kinds.volume.volume import Volume
from lichen.model.data import Object
from lichen.model.errors import BadRequest, Conflict, Forbidden, NotFound
from lichen.model.meta import name_of, namespace_of


class VolumeCreate(Struct):
    """Cinder's body. What this cloud cannot honour is read, so that it can be refused in words."""

    size: Any = None
    name: Any = None
    display_name: Any = None
    description: Any = None
    display_description: Any = None
    snapshot_id: str | None = None
    source_volid: str | None = None
    imageRef: str | None = None
    image_id: str | None = None
    volume_type: str | None = None
    availability_zone: str | None = None
    metadata: Any = None
    multiattach: Any = False
    consistencygroup_id: str | None = None
    group_id: str | None = None
    backup_id: str | None = None


async def list_volumes(req: Request) -> Reply:
    return await _list(req, detailed=False)


async def list_volumes_detail(req: Request) -> Reply:
    return await _list(req, detailed=True)


async def show_volume(req: Request, id: str) -> Reply:
    return Reply({"volume": await full_view(req, await find_volume(req, id))})


async def create_volume(req: Request) -> Reply:
    wanted = await req.json("volume", VolumeCreate)
    spec = await _spec(req, wanted)
    try:
        volume = await objects.create(req, Volume.KIND, spec.get("displayName") or "", spec)
    except Forbidden as error:
        raise common.over_quota(error) from error
    return accepted({"volume": written_view(await full_view(req, volume))})


async def update_volume(req: Request, id: str) -> Reply:
    wanted = await req.json("volume", dict[str, Any])
    volume = await find_volume(req, id)
    spec: Object = {}
    for key, value in wanted.items():
        if key in ("name", "display_name"):
            spec["displayName"] = common.checked_name(value) or ""
        elif key in ("description", "display_description"):
            spec["description"] = common.checked_name(value, "description")
        elif key == "metadata":
            spec["metadata"] = _replaced(volume, common.checked_metadata(value))
        else:
            raise BadRequest(f"Additional properties are not allowed ('{key}' was unexpected)")
    view = await full_view(req, await common.patch_spec(req, Volume.KIND, volume, spec))
    return Reply({"volume": written_view(view)})


async def delete_volume(req: Request, id: str) -> Reply:
    volume = await find_volume(req, id)
    if req.flag("cascade", False):
        found = await req.state.list(VolumeSnapshot.KIND, namespace_of(volume), fields=f"spec.volumeId={id}")
        for snapshot in found.items:
            await req.state.delete(VolumeSnapshot.KIND, name_of(snapshot), namespace_of(snapshot))
    await remove(req, volume)
    return accepted()


async def remove(req: Request, volume: Object) -> None:
    """BadRequest: it is in use."""
    try:
        await req.state.delete(Volume.KIND, name_of(volume), namespace_of(volume))
    except Conflict as error:
        raise BadRequest(
            "Invalid volume: Volume status must be available or error and must not be migrating, attached, belong to "
            f"a group, have snapshots or be disassociated from snapshots after volume transfer. ({error.message})"
        ) from error


async def summary(req: Request) -> Reply:
    everywhere = common.all_tenants(req)
    volumes = await objects.listed(req, Volume.KIND, everywhere=everywhere)
    total = sum(volume["spec"].get("size", 0) for volume in volumes)
    metadata: dict[str, set[str]] = {}
    for volume in volumes:
        for key, value in (volume["spec"].get("metadata") or {}).items():
            metadata.setdefault(key, set()).add(value)
    more = {"metadata": {key: sorted(values) for key, values in metadata.items()}} if req.since(3, 36) else {}
    return Reply({"volume-summary": {"total_count": len(volumes), "total_size": total, **more}})


# --- metadata ---


async def show_metadata(req: Request, id: str) -> Reply:
    return Reply({"metadata": _metadata(await find_volume(req, id))})


async def add_metadata(req: Request, id: str) -> Reply:
    wanted = common.checked_metadata(await req.json("metadata", dict[str, Any]))
    volume = await common.patch_spec(req, Volume.KIND, await find_volume(req, id), {"metadata": wanted})
    return Reply({"metadata": _metadata(volume)})


async def replace_metadata(req: Request, id: str) -> Reply:
    wanted = common.checked_metadata(await req.json("metadata", dict[str, Any]))
    volume = await find_volume(req, id)
    volume = await common.patch_spec(req, Volume.KIND, volume, {"metadata": _replaced(volume, wanted)})
    return Reply({"metadata": _metadata(volume)})


async def show_item(req: Request, id: str, key: str) -> Reply:
    return Reply({"meta": {key: _item(await find_volume(req, id), key)}})


async def set_item(req: Request, id: str, key: str) -> Reply:
    wanted = common.checked_metadata(await req.json("meta", dict[str, Any]))
    if list(wanted) != [key]:
        raise BadRequest("Request body and URI mismatch")
    await common.patch_spec(req, Volume.KIND, await find_volume(req, id), {"metadata": wanted})
    return Reply({"meta": wanted})


async def delete_item(req: Request, id: str, key: str) -> Reply:
    volume = await find_volume(req, id)
    _item(volume, key)
    await common.patch_spec(req, Volume.KIND, volume, {"metadata": {key: None}})
    return Reply()


# --- parts ---


async def _list(req: Request, *, detailed: bool) -> Reply:
    everywhere = common.all_tenants(req)
    volumes = await objects.listed(req, Volume.KIND, everywhere=everywhere)
    views = common.selected(req, await common.full_views(req, volumes, everywhere=everywhere))
    shown, marker = common.paged(req, views)
    body: Json = {"volumes": shown if detailed else [_short(req, view) for view in shown]}
    if req.flag("with_count", False) and req.since(3, 45):
        body["count"] = len(views)
    return Reply(body | nova_links(req, "volumes", marker))


def _short(req: Request, view: Json) -> Json:
    return {"id": view["id"], "name": view["name"], "links": links(req, "volumes", view["id"])}


async def _spec(req: Request, wanted: VolumeCreate) -> Object:
    for field in ("multiattach", "consistencygroup_id", "group_id", "backup_id"):
        if str(getattr(wanted, field) or "").lower() not in ("", "false"):
            raise BadRequest(f"Invalid input received: {field} is not supported by this cloud.")
    sources = [f for f in ("snapshot_id", "source_volid", "imageRef", "image_id") if getattr(wanted, f)]
    if len(sources) > 1:
        raise BadRequest(f"Invalid input received: {' and '.join(sources)} cannot both be given.")
    spec: Object = {
        "displayName": common.checked_name(wanted.name if wanted.name is not None else wanted.display_name) or "",
        "userId": req.caller.user_id,
        "metadata": common.checked_metadata({} if wanted.metadata is None else wanted.metadata),
    }
    description = wanted.description if wanted.description is not None else wanted.display_description
    if description is not None:
        spec["description"] = common.checked_name(description, "description")
    if wanted.size is not None:
        spec["size"] = common.checked_size(wanted.size)
    elif not sources or sources[0] in ("imageRef", "image_id"):
        raise BadRequest("Invalid input for field/attribute size: None is not a number of GiB.")
    if wanted.volume_type:
        spec["type"] = name_of(await find_type(req, wanted.volume_type))
    if wanted.availability_zone and wanted.availability_zone != DEFAULT_ZONE:
        if wanted.availability_zone not in await usable_zones(req):
            raise BadRequest(f"Invalid input received: Availability zone '{wanted.availability_zone}' is invalid.")
        spec["availabilityZone"] = wanted.availability_zone
    return spec | await _source(req, wanted)


async def _source(req: Request, wanted: VolumeCreate) -> Object:
    if wanted.snapshot_id:
        snapshot = await find_snapshot(req, wanted.snapshot_id)
        if snapshot_status(snapshot) != "available":
            raise BadRequest(f"Invalid snapshot: it is {snapshot_status(snapshot)}, and must be available.")
        _check_least(wanted, snapshot, "snapshot")
        return {"snapshot": name_of(snapshot)}
    if wanted.source_volid:
        source = await find_volume(req, wanted.source_volid)
        status = volume_status(source, await common.attachment_of(req, source))
        if status not in ("available", "in-use"):
            raise BadRequest(f"Invalid volume: it is {status}, and must be available or in-use.")
        _check_least(wanted, source, "volume")
        return {"source": name_of(source)}
    image_id = wanted.imageRef or wanted.image_id
    return {"image": await image_reference(req, image_id, wanted.size)} if image_id else {}


async def image_reference(req: Request, id: str, size: object = None) -> str:
    """How a volume of the caller's project names an image that it can be made from. BadRequest."""
    try:
        image = await find_image(req, id)
    except NotFound:
        raise BadRequest("Invalid image identifier or unable to access requested image.") from None
    if (image.get("status") or {}).get("phase") != "active":
        raise BadRequest(f"Invalid input received: Image {id} is not active.")
    least = -(-int((image.get("status") or {}).get("virtualSize") or 0) // (1 << 30))
    least = max(least, int(image["spec"].get("minDisk") or 0))
    if size is not None and int(str(size)) < least:
        raise BadRequest(f"Invalid input received: the image needs at least {least} GiB.")
    namespace, name = namespace_of(image), name_of(image)
    return name if namespace == req.namespace else f"{namespace}/{name}"


def _check_least(wanted: VolumeCreate, source: Object, what: str) -> None:
    least = source["spec"].get("size", 0)
    if wanted.size is not None and int(str(wanted.size)) < least:
        raise BadRequest(f"Invalid input received: the volume must be at least as large as the {what}, {least} GiB.")


def _metadata(volume: Object) -> dict[str, str]:
    return volume["spec"].get("metadata") or {}


def _item(volume: Object, key: str) -> str:
    if key not in _metadata(volume):
        raise NotFound(f"Volume {volume['spec']['id']} has no metadata with key {key}.")
    return _metadata(volume)[key]


def _replaced(volume: Object, wanted: dict[str, str]) -> dict[str, str | None]:
    """The merge patch that leaves exactly `wanted`."""
    return {**dict.fromkeys(_metadata(volume)), **wanted}
