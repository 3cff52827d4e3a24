# SPDX-License-Identifier: Apache-2.0
"""createImage and createBackup: a server's root disk as an image, which its node makes."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from lichen.apis.openstack import objects
from lichen.apis.openstack.body import shaped
from lichen.apis.openstack.compute.readiness import require
from lichen.apis.openstack.compute.server_parts import checked_metadata
from lichen.apis.openstack.compute.servers import checked_name
from lichen.apis.openstack.image.attributes import checked_property
from lichen.apis.openstack.reply import Reply, accepted
from lichen.apis.openstack.request import Request
from lichen.kinds.image.image import Image
from lichen.model.data import Object
from lichen.model.errors import BadRequest, Invalid
from lichen.model.meta import name_of, namespace_of

STATES = {"active", "stopped", "paused", "suspended"}
MOST_BACKUPS = 100


class CreateImage(Struct, forbid_unknown_fields=True):
    name: Any
    metadata: Any = None


class CreateBackup(Struct, forbid_unknown_fields=True):
    name: Any
    backup_type: str
    rotation: int
    metadata: Any = None


async def create_image(req: Request, server: Object, argument: Any) -> Reply:
    wanted = shaped(argument, CreateImage, where="createImage")
    name, metadata = checked_name(wanted.name), checked_metadata(wanted.metadata or {})
    require(server, "createImage", STATES)
    image = await make(req, server, name, metadata)
    return _made(req, image)


async def create_backup(req: Request, server: Object, argument: Any) -> Reply:
    """An image of the given type; of the server's images of that type only the newest `rotation` stay."""
    wanted = shaped(argument, CreateBackup, where="createBackup")
    name, metadata = checked_name(wanted.name), checked_metadata(wanted.metadata or {})
    if not 0 <= wanted.rotation <= MOST_BACKUPS or not 0 < len(wanted.backup_type) <= 255:
        raise BadRequest(f"Invalid input for field/attribute rotation: it is from 0 to {MOST_BACKUPS}.")
    require(server, "createBackup", STATES)
    image = await make(req, server, name, {**metadata, "backup_type": wanted.backup_type}, kind="backup")
    found = (await req.state.list(Image.KIND, namespace_of(server))).items
    held = [i for i in found if _is_backup(i, server, wanted.backup_type)]
    held.sort(key=lambda i: (i["metadata"]["creationTimestamp"], int(i["metadata"]["resourceVersion"])), reverse=True)
    for old in held[wanted.rotation :]:
        await req.state.delete(Image.KIND, name_of(old), namespace_of(old))
    return _made(req, image)


async def make(req: Request, server: Object, name: str, metadata: dict[str, str], kind: str = "snapshot") -> Object:
    """The image's record; its bytes follow. BadRequest: it cannot be made of this server."""
    spec, namespace = server["spec"], namespace_of(server)
    known = {
        "image_type": kind,
        "instance_uuid": spec["id"],
        "base_image_ref": spec.get("imageId", ""),
        "user_id": req.caller.user_id,
        "owner_id": req.caller.project_id,
        "image_location": "snapshot",
        "image_state": "available",
    }
    inherited = await _inherited(req, spec.get("imageId", ""))
    pairs = {**inherited, **known, **metadata}
    image: Object = {
        "displayName": name,
        "server": name_of(server),
        "visibility": "private",
        "ownerId": req.caller.project_id,
        "minDisk": (spec.get("resources") or {}).get("disk", 0),
        "properties": {key: checked_property(key, value) for key, value in pairs.items() if value},
    }
    try:
        return await objects.create(req, Image.KIND, name, image, namespace=namespace)
    except Invalid as error:
        raise BadRequest("; ".join(cause.message for cause in error.causes) or error.message) from error


async def _inherited(req: Request, image_id: str) -> dict[str, str]:
    """What the server's image says of itself is true of its copy, too."""
    images = await objects.listed(req, Image.KIND, everywhere=req.caller.is_admin)
    found = next((i["spec"].get("properties") or {} for i in images if i["spec"]["id"] == image_id), {})
    return {key: value for key, value in found.items() if key.startswith(("hw_", "os_", "img_"))}


def _is_backup(image: Object, server: Object, kind: str) -> bool:
    pairs = image["spec"].get("properties") or {}
    return pairs.get("instance_uuid") == server["spec"]["id"] and pairs.get("backup_type") == kind


def _made(req: Request, image: Object) -> Reply:
    id = image["spec"]["id"]
    body = {"image_id": id} if req.since(2, 45) else None
    return accepted(body, Location=req.absolute(f"/image/v2/images/{id}"))
