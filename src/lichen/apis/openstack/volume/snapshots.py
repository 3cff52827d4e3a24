# SPDX-License-Identifier: Apache-2.0
"""Calls on snapshots."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from lichen.apis.openstack import objects
from lichen.apis.openstack.paging import nova_links
from lichen.apis.openstack.projects import project_ids
from lichen.apis.openstack.reply import Reply, accepted
from lichen.apis.openstack.request import Request
from lichen.apis.openstack.volume import common
from lichen.apis.openstack.volume.common import find_snapshot, find_volume
from lichen.apis.openstack.volume.views import Json, snapshot_view, volume_status
from lichen.kinds.volume.snapshot import VolumeSnapshot
from lichen.model.data import Object
from lichen.model.errors import BadRequest, Forbidden, NotFound
from lichen.model.meta import name_of, namespace_of

SHORT = ("id", "name", "description", "volume_id", "status", "size", "created_at", "updated_at", "metadata")


class SnapshotCreate(Struct):
    """Cinder's body."""

    volume_id: str | None
    name: Any = None
    display_name: Any = None
    description: Any = None
    display_description: Any = None
    metadata: Any = None
    force: Any = None


async def list_snapshots(req: Request) -> Reply:
    return await _list(req, detailed=False)


async def list_snapshots_detail(req: Request) -> Reply:
    return await _list(req, detailed=True)


async def show_snapshot(req: Request, id: str) -> Reply:
    return Reply({"snapshot": await _view(req, await find_snapshot(req, id))})


async def create_snapshot(req: Request) -> Reply:
    wanted = await req.json("snapshot", SnapshotCreate)
    volume = await find_volume(req, wanted.volume_id or "")
    status = volume_status(volume, await common.attachment_of(req, volume))
    # The openstack command knows that force is no more since 3.66, leaves it out, and asks with 3.65: whoever says
    # nothing means what is so since 3.66.
    forced = req.since(3, 66) or wanted.force is None or str(wanted.force).lower() in ("true", "1")
    if status not in (("available", "in-use") if forced else ("available",)):
        raise BadRequest(f"Invalid volume: it is {status}, and must be available (or in-use, with force).")
    spec: Object = {
        "displayName": common.checked_name(wanted.name if wanted.name is not None else wanted.display_name) or "",
        "volume": name_of(volume),
        "metadata": common.checked_metadata({} if wanted.metadata is None else wanted.metadata),
        "userId": req.caller.user_id,
    }
    description = wanted.description if wanted.description is not None else wanted.display_description
    if description is not None:
        spec["description"] = common.checked_name(description, "description")
    try:
        snapshot = await objects.create(
            req, VolumeSnapshot.KIND, spec["displayName"], spec, namespace=namespace_of(volume)
        )
    except Forbidden as error:
        raise common.over_quota(error) from error
    return accepted({"snapshot": await _view(req, snapshot, detailed=False)})


async def update_snapshot(req: Request, id: str) -> Reply:
    spec: Object = {}
    for key, value in (await req.json("snapshot", dict[str, Any])).items():
        if key in ("name", "display_name"):
            spec["displayName"] = common.checked_name(value) or ""
        elif key in ("description", "display_description"):
            spec["description"] = common.checked_name(value, "description")
        else:
            raise BadRequest(f"Additional properties are not allowed ('{key}' was unexpected)")
    snapshot = await common.patch_spec(req, VolumeSnapshot.KIND, await find_snapshot(req, id), spec)
    return Reply({"snapshot": await _view(req, snapshot, detailed=False)})


async def delete_snapshot(req: Request, id: str) -> Reply:
    snapshot = await find_snapshot(req, id)
    await req.state.delete(VolumeSnapshot.KIND, name_of(snapshot), namespace_of(snapshot))
    return accepted()


async def act(req: Request, id: str) -> Reply:
    body = await req.document()
    if list(body) == ["os-force_delete"]:
        await find_snapshot(req, id)
        common.check_admin(req, "volume_extension:snapshot_admin_actions:force_delete")
        return await delete_snapshot(req, id)
    raise BadRequest(f"There is no such action on snapshots of this cloud: {', '.join(map(str, body))}")


# --- metadata ---


async def show_metadata(req: Request, id: str) -> Reply:
    return Reply({"metadata": (await find_snapshot(req, id))["spec"].get("metadata") or {}})


async def add_metadata(req: Request, id: str) -> Reply:
    return await _write(req, await find_snapshot(req, id), {})


async def replace_metadata(req: Request, id: str) -> Reply:
    snapshot = await find_snapshot(req, id)
    return await _write(req, snapshot, dict.fromkeys(snapshot["spec"].get("metadata") or {}))


async def show_item(req: Request, id: str, key: str) -> Reply:
    return Reply({"meta": {key: _item(await find_snapshot(req, id), key)}})


async def set_item(req: Request, id: str, key: str) -> Reply:
    wanted = common.checked_metadata(await req.json("meta", dict[str, Any]))
    if list(wanted) != [key]:
        raise BadRequest("Request body and URI mismatch")
    await common.patch_spec(req, VolumeSnapshot.KIND, await find_snapshot(req, id), {"metadata": wanted})
    return Reply({"meta": wanted})


async def delete_item(req: Request, id: str, key: str) -> Reply:
    snapshot = await find_snapshot(req, id)
    _item(snapshot, key)
    await common.patch_spec(req, VolumeSnapshot.KIND, snapshot, {"metadata": {key: None}})
    return Reply()


# --- parts ---


def _item(snapshot: Object, key: str) -> str:
    metadata = snapshot["spec"].get("metadata") or {}
    if key not in metadata:
        raise NotFound(f"Snapshot {snapshot['spec']['id']} has no metadata with key {key}.")
    return str(metadata[key])


async def _write(req: Request, snapshot: Object, before: dict[str, Any]) -> Reply:
    wanted = common.checked_metadata(await req.json("metadata", dict[str, Any]))
    patched = await common.patch_spec(req, VolumeSnapshot.KIND, snapshot, {"metadata": {**before, **wanted}})
    return Reply({"metadata": patched["spec"].get("metadata") or {}})


async def _view(req: Request, snapshot: Object, *, detailed: bool = True) -> Json:
    projects = await project_ids(req, [snapshot])
    return snapshot_view(req, snapshot, projects.get(namespace_of(snapshot), ""), detailed=detailed)


async def _list(req: Request, *, detailed: bool) -> Reply:
    snapshots = await objects.listed(req, VolumeSnapshot.KIND, everywhere=common.all_tenants(req))
    projects = await project_ids(req, snapshots)
    views = common.selected(req, [snapshot_view(req, s, projects.get(namespace_of(s), "")) for s in snapshots])
    shown, marker = common.paged(req, views)
    body: Json = {"snapshots": shown if detailed else [{key: view[key] for key in SHORT} for view in shown]}
    if req.flag("with_count", False) and req.since(3, 45):
        body["count"] = len(views)
    return Reply(body | nova_links(req, "snapshots", marker))
