# SPDX-License-Identifier: Apache-2.0
"""`POST /volumes/{id}/action` and `/snapshots/{id}/action`: verbs become intent on the object."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from lichen.apis.openstack import objects
from lichen.apis.openstack.image.attributes import VISIBILITIES
from lichen.apis.openstack.reply import Reply, accepted
from lichen.apis.openstack.request import Request
from lichen.apis.openstack.volume import common
from lichen.apis.openstack.volume.views import updated_at, volume_status
from lichen.apis.openstack.volume.volumes import remove
from lichen.kinds.compute.server import Server
from lichen.kinds.image.image import Image
from lichen.kinds.volume.attachment import VolumeAttachment
from lichen.kinds.volume.volume import Volume
from lichen.model.data import Object
from lichen.model.errors import BadRequest, Forbidden
from lichen.model.kind import new_object
from lichen.model.meta import name_of, namespace_of

Action = Callable[[Request, Object, Any], Awaitable[Reply]]


async def act(req: Request, id: str) -> Reply:
    body = await req.document()
    if len(body) != 1:
        raise BadRequest("There is one action in a request's body.")
    name, argument = next(iter(body.items()))
    action = ACTIONS.get(name)
    if action is None:
        raise BadRequest(f"There is no such action on volumes of this cloud: {name}")
    return await action(req, await common.find_volume(req, id), argument)


async def _extend(req: Request, volume: Object, argument: Any) -> Reply:
    size = common.checked_size(_of(argument, "new_size"), "new_size")
    status = volume_status(volume, await common.attachment_of(req, volume))
    allowed = ("available", "in-use") if req.since(3, 42) else ("available",)
    if status not in allowed:
        raise BadRequest(f"Invalid volume: it is {status}, and must be {' or '.join(allowed)} to be extended.")
    if size <= volume["spec"].get("size", 0):
        raise BadRequest(
            f"Invalid input received: New size for extend must be greater than current size. "
            f"(current: {volume['spec'].get('size', 0)}, extended: {size})."
        )
    try:
        await common.patch_spec(req, Volume.KIND, volume, {"size": size})
    except Forbidden as error:
        raise common.over_quota(error) from error
    return accepted()


async def _set_bootable(req: Request, volume: Object, argument: Any) -> Reply:
    await common.patch_spec(req, Volume.KIND, volume, {"bootable": _truth(_of(argument, "bootable"))})
    return Reply()


async def _set_read_only(req: Request, volume: Object, argument: Any) -> Reply:
    if await common.attachment_of(req, volume) is not None:
        raise BadRequest("Invalid volume: it must be available for its read-only flag to change.")
    await common.patch_spec(req, Volume.KIND, volume, {"readOnly": _truth(_of(argument, "readonly"))})
    return accepted()


async def _set_image_metadata(req: Request, volume: Object, argument: Any) -> Reply:
    wanted = common.checked_metadata(_of(argument, "metadata"))
    volume = await common.patch_spec(req, Volume.KIND, volume, {"imageMetadata": wanted})
    return Reply({"metadata": volume["spec"].get("imageMetadata") or {}})


async def _unset_image_metadata(req: Request, volume: Object, argument: Any) -> Reply:
    key = str(_of(argument, "key"))
    if key not in (volume["spec"].get("imageMetadata") or {}):
        raise BadRequest(f"The volume's image metadata has no key {key}.")
    await common.patch_spec(req, Volume.KIND, volume, {"imageMetadata": {key: None}})
    return Reply()


async def _show_image_metadata(req: Request, volume: Object, _: Any) -> Reply:
    return Reply({"metadata": volume["spec"].get("imageMetadata") or {}})


async def _force_delete(req: Request, volume: Object, _: Any) -> Reply:
    common.check_admin(req, "volume_extension:volume_admin_actions:force_delete")
    await remove(req, volume)
    return accepted()


async def _attach(req: Request, volume: Object, argument: Any) -> Reply:
    """Give the volume to a server of its project, which is what Nova's call does too."""
    status = volume_status(volume, await common.attachment_of(req, volume))
    if status != "available":
        raise BadRequest(f"Invalid volume: it is {status}, and must be available to be attached.")
    server = await objects.find(req, Server.KIND, str(_of(argument, "instance_uuid")), what="Instance")
    spec = {
        "volume": name_of(volume),
        "server": name_of(server),
        "device": str(argument.get("mountpoint") or ""),
        "readOnly": argument.get("mode") == "ro" or bool(volume["spec"].get("readOnly")),
    }
    obj = new_object(VolumeAttachment.KIND, name_of(volume), namespace_of(volume), spec)
    await req.state.create(VolumeAttachment.KIND, obj)
    return accepted()


async def _detach(req: Request, volume: Object, argument: Any) -> Reply:
    attachment = await common.attachment_of(req, volume)
    wanted = argument.get("attachment_id") if isinstance(argument, dict) else None
    if attachment is None or not attachment["spec"].get("server"):
        raise BadRequest("Invalid volume: it is attached to no server.")
    if wanted not in (None, attachment["spec"].get("id")):
        raise BadRequest(f"Invalid volume: attachment {wanted} is not the volume's.")
    await req.state.delete(VolumeAttachment.KIND, name_of(attachment), namespace_of(attachment))
    return accepted()


async def _retype(req: Request, volume: Object, argument: Any) -> Reply:
    """Another name for what it is: all types are kept by the same engine, so that nothing moves."""
    wanted = await common.find_type(req, str(_of(argument, "new_type")))
    status = volume_status(volume, await common.attachment_of(req, volume))
    if status not in ("available", "in-use"):
        raise BadRequest(f"Invalid volume: it is {status}, and must be available or in-use to be retyped.")
    await common.patch_spec(req, Volume.KIND, volume, {"type": name_of(wanted)})
    return accepted()


async def _reset_status(req: Request, volume: Object, argument: Any) -> Reply:
    """An admin's word that a volume in error is good, or that one is not to be used."""
    if not req.caller.is_admin:
        raise Forbidden("Policy doesn't allow volume_extension:volume_admin_actions:reset_status to be performed.")
    status = str((argument or {}).get("status", "")).lower() if isinstance(argument, dict) else ""
    phases = {"available": "Available", "error": "Error"}
    if status not in phases:
        raise BadRequest("Invalid input for field/attribute status: it is available or error; the rest is observed.")
    patch = {"status": {"phase": phases[status], "fault": "" if status == "available" else "The admin said so."}}
    await req.state.patch(Volume.KIND, name_of(volume), namespace_of(volume), patch, subresource="status")
    return accepted()


async def _upload_image(req: Request, volume: Object, argument: Any) -> Reply:
    """A copy of the volume as an image, which its node makes."""
    wanted = argument if isinstance(argument, dict) else {}
    name = common.checked_name(_of(wanted, "image_name"), "image_name")
    status = volume_status(volume, await common.attachment_of(req, volume))
    if status != "available":
        raise BadRequest(f"Invalid volume: it is {status}, and must be available to be copied into an image.")
    formats = (wanted.get("disk_format") or "raw", wanted.get("container_format") or "bare")
    if formats != ("raw", "bare"):
        raise BadRequest(f"Invalid input received: volumes become raw, bare images, not {' '.join(map(str, formats))}.")
    visibility = str(wanted.get("visibility") or "private")
    if visibility not in VISIBILITIES or (visibility == "public" and not req.caller.is_admin):
        raise BadRequest(f"Invalid input received: visibility {visibility[:40]} is not yours to give.")
    spec: Object = {
        "displayName": name or "",
        "volume": name_of(volume),
        "visibility": visibility,
        "protected": _truth(wanted.get("protected", False)),
        "ownerId": req.caller.project_id,
        "minDisk": volume["spec"].get("size", 0),
        "properties": _properties(volume),
    }
    image = await objects.create(req, Image.KIND, spec["displayName"], spec, namespace=namespace_of(volume))
    view: Object = {
        "id": volume["spec"]["id"],
        "updated_at": updated_at(volume),
        "status": "uploading",
        "display_description": volume["spec"].get("description"),
        "size": volume["spec"].get("size", 0),
        "volume_type": None,
        "image_id": image["spec"]["id"],
        "container_format": "bare",
        "disk_format": "raw",
        "image_name": name,
    }
    if req.since(3, 1):
        view |= {"visibility": visibility, "protected": spec["protected"]}
    return accepted({"os-volume_upload_image": view})


def _properties(volume: Object) -> dict[str, str]:
    """What the volume's own image said that is true of the copy."""
    said = volume["spec"].get("imageMetadata") or {}
    return {key: value for key, value in said.items() if key.startswith(("hw_", "os_", "img_"))}


ACTIONS: dict[str, Action] = {
    "os-attach": _attach,
    "os-detach": _detach,
    "os-extend": _extend,
    "os-set_bootable": _set_bootable,
    "os-update_readonly_flag": _set_read_only,
    "os-set_image_metadata": _set_image_metadata,
    "os-unset_image_metadata": _unset_image_metadata,
    "os-show_image_metadata": _show_image_metadata,
    "os-retype": _retype,
    "os-reset_status": _reset_status,
    "os-volume_upload_image": _upload_image,
    "os-force_delete": _force_delete,
}


def _of(argument: Any, key: str) -> Any:
    if not isinstance(argument, dict) or key not in argument:
        raise BadRequest(f"Invalid input: '{key}' is a required property.")
    return argument[key]


def _truth(value: Any) -> bool:
    text = str(value).lower()
    if text not in ("true", "false", "1", "0", "yes", "no", "on", "off", "t", "f", "y", "n"):
        raise BadRequest(f"Invalid input: {text[:40]!r} is not a boolean.")
    return text in ("true", "1", "yes", "on", "t", "y")
