# SPDX-License-Identifier: Apache-2.0
"""`os-volume_attachments`: volumes given to a server and taken back, while it runs or is off."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from lichen.apis.openstack import objects
from lichen.apis.openstack.compute.server_state import server_state
from lichen.apis.openstack.compute.server_views import Json
from lichen.apis.openstack.compute.servers import find, patch_spec
from lichen.apis.openstack.paging import page
from lichen.apis.openstack.reply import Reply, accepted
from lichen.apis.openstack.request import Request
from lichen.kinds.volume.attachment import VolumeAttachment
from lichen.kinds.volume.volume import Volume
from lichen.model.data import Object
from lichen.model.errors import AlreadyExists, BadRequest, Conflict, NotFound
from lichen.model.kind import new_object
from lichen.model.meta import is_deleting, name_of, namespace_of

STATES = {"active", "stopped", "paused", "suspended"}


class Wanted(Struct, forbid_unknown_fields=True):
    """Nova's body."""

    volumeId: str
    device: str | None = None
    tag: str | None = None
    delete_on_termination: bool = False


async def list_attachments(req: Request, id: str) -> Reply:
    views = [_view(req, a) for a in await attachments_of(req, await find(req, id))]
    shown, _ = page(req, views[req.number("offset") :], lambda v: str(v["volumeId"]))
    return Reply({"volumeAttachments": shown})


async def show_attachment(req: Request, id: str, volume_id: str) -> Reply:
    return Reply({"volumeAttachment": _view(req, await _find(req, await find(req, id), volume_id))})


async def attach(req: Request, id: str) -> Reply:
    wanted = await req.json("volumeAttachment", Wanted)
    server = await find(req, id)
    state = server_state(server)
    if state.vm_state not in STATES:
        raise Conflict(f"Cannot 'attach_volume' instance {id} while it is in vm_state {state.vm_state}")
    volume = await find_volume(req, wanted.volumeId)
    if namespace_of(volume) != namespace_of(server):
        raise NotFound(f"Volume {wanted.volumeId} could not be found.")
    check_available(volume)
    spec: Object = {
        "volume": name_of(volume),
        "server": name_of(server),
        "device": wanted.device or "",
        "tag": wanted.tag or "",
        "deleteOnTermination": wanted.delete_on_termination,
        "readOnly": bool(volume["spec"].get("readOnly")),
    }
    obj = new_object(VolumeAttachment.KIND, name_of(volume), namespace_of(volume), spec)
    try:
        made = await req.state.create(VolumeAttachment.KIND, obj)
    except AlreadyExists:
        raise BadRequest(
            f"Invalid volume: volume {wanted.volumeId} status must be available, but it is attached already."
        ) from None
    return Reply({"volumeAttachment": _view(req, made)})


async def update_attachment(req: Request, id: str, volume_id: str) -> Reply:
    """Only what happens to the volume at the server's end can change (since 2.85); volumes are not swapped."""
    body = await req.json("volumeAttachment", dict[str, Any])
    attachment = await _find(req, await find(req, id), volume_id)
    if body.get("volumeId", volume_id) != volume_id:
        raise BadRequest("Volumes cannot be swapped on this cloud: attach the other one and detach this one.")
    keep = body.get("delete_on_termination")
    if not req.since(2, 85) or not isinstance(keep, bool):
        raise BadRequest("Invalid input for field/attribute volumeAttachment: delete_on_termination is required.")
    patch = {"spec": {"deleteOnTermination": keep}}
    await req.state.patch(VolumeAttachment.KIND, name_of(attachment), namespace_of(attachment), patch)
    return accepted()


async def detach(req: Request, id: str, volume_id: str) -> Reply:
    server = await find(req, id)
    state = server_state(server)
    if state.vm_state not in STATES:
        raise Conflict(f"Cannot 'detach_volume' instance {id} while it is in vm_state {state.vm_state}")
    attachment = await _find(req, server, volume_id)
    if attachment["spec"].get("boot"):
        raise BadRequest("Can't detach root device volume: the server boots from it.")
    named = server["spec"].get("volumes") or []
    kept = [entry for entry in named if entry["volume"] != attachment["spec"]["volume"]]
    if len(kept) < len(named):
        await patch_spec(req, server, {"volumes": kept})
    await req.state.delete(VolumeAttachment.KIND, name_of(attachment), namespace_of(attachment))
    return accepted()


async def attachments_of(req: Request, server: Object) -> list[Object]:
    """Those of one server, in the order of its disks."""
    fields = f"spec.serverId={server['spec']['id']}"
    found = (await req.state.list(VolumeAttachment.KIND, namespace_of(server), fields=fields)).items
    return sorted(found, key=lambda a: a["spec"].get("device") or "")


async def find_volume(req: Request, id: str) -> Object:
    try:
        return await objects.find(req, Volume.KIND, id)
    except NotFound:
        raise NotFound(f"Volume {id} could not be found.") from None


def check_available(volume: Object) -> None:
    """BadRequest: it is not there to be used."""
    phase = (volume.get("status") or {}).get("phase") or "Creating"
    if phase != "Available" or is_deleting(volume):
        now = "deleting" if is_deleting(volume) else phase.lower()
        raise BadRequest(f"Invalid volume: volume {volume['spec']['id']} status must be available, but it is {now}.")


async def _find(req: Request, server: Object, volume_id: str) -> Object:
    for attachment in await attachments_of(req, server):
        if attachment["spec"].get("volumeId") == volume_id:
            return attachment
    raise NotFound(f"volume_id not found: {volume_id}")


def _view(req: Request, attachment: Object) -> Json:
    spec = attachment["spec"]
    view: Json = {"volumeId": spec["volumeId"], "serverId": spec["serverId"], "device": spec.get("device") or None}
    if req.since(2, 89):
        view |= {"attachment_id": spec["id"], "bdm_uuid": spec["id"]}
    else:
        view["id"] = spec["volumeId"]
    if req.since(2, 70):
        view["tag"] = spec.get("tag") or None
    if req.since(2, 79):
        view["delete_on_termination"] = bool(spec.get("deleteOnTermination"))
    return view
