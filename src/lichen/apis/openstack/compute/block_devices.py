# SPDX-License-Identifier: Apache-2.0
"""`block_device_mapping_v2`: which image and which volumes a new server has; volumes made for it on the way."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from msgspec import Struct

from lichen.apis.openstack import body, objects
from lichen.apis.openstack.compute.volume_attachments import check_available, find_volume
from lichen.apis.openstack.image.images import find as find_image
from lichen.apis.openstack.request import Request
from lichen.kinds.volume.snapshot import VolumeSnapshot
from lichen.kinds.volume.volume import Volume
from lichen.model.data import Object
from lichen.model.errors import BadRequest, NotFound
from lichen.model.meta import name_of, namespace_of

INVALID = "Block Device Mapping is Invalid"


class Mapping(Struct):
    """One entry of Nova's list."""

    source_type: str = "blank"
    destination_type: str | None = None
    uuid: str | None = None
    boot_index: int | str | None = None
    volume_size: int | str | None = None
    volume_type: str | None = None
    delete_on_termination: bool = False
    device_name: str | None = None
    tag: str | None = None
    guest_format: str | None = None


@dataclass
class Devices:
    """image_id: what the root disk is made from, "" if the server boots from a volume. entries: for spec.volumes, each
    with the volume's name or, for one that is still to be made, its spec."""

    image_id: str = ""
    entries: list[tuple[Object, Object | None]] = field(default_factory=list)

    @property
    def boots_from_volume(self) -> bool:
        return any(entry.get("boot") for entry, _ in self.entries)


async def devices_of(req: Request, image_ref: str, mappings: list[dict[str, Any]]) -> Devices:
    """What the body asks for, checked; nothing is made yet. BadRequest."""
    devices = Devices(image_ref)
    boots = 0
    for raw in mappings:
        mapping = body.shaped(raw, Mapping, where="block_device_mapping_v2")
        boot = str(mapping.boot_index) == "0"
        boots += boot
        target = mapping.destination_type or ("local" if mapping.source_type in ("image", "blank") else "volume")
        if mapping.source_type == "image" and target == "local":
            if not boot or (image_ref and mapping.uuid != image_ref):
                raise BadRequest(f"{INVALID}: an image on a local disk is the boot disk, and is the one of imageRef.")
            devices.image_id = mapping.uuid or ""
        elif target == "volume":
            devices.entries.append(await _entry(req, mapping, boot))
        else:
            raise BadRequest(f"{INVALID}: {mapping.source_type} to {target} is not supported by this cloud.")
    if boots > 1:
        raise BadRequest(f"{INVALID}: Boot sequence for the instance and image/block device mapping is not valid.")
    if devices.boots_from_volume:
        devices.image_id = ""
    elif not devices.image_id:
        raise BadRequest("Invalid imageRef provided: the server needs an image or a volume to boot from.")
    return devices


async def make_volumes(req: Request, devices: Devices, server: str, made: list[Object]) -> list[Object]:
    """The entries of spec.volumes; volumes that are still to be made are, and are added to `made`."""
    entries = []
    for number, (entry, spec) in enumerate(devices.entries):
        if spec is not None:
            name = f"{server}-boot" if entry.get("boot") else f"{server}-disk-{number}"
            volume = await objects.create(req, Volume.KIND, name, {**spec, "displayName": ""})
            made.append(volume)
            entry = {**entry, "volume": name_of(volume)}
        entries.append(entry)
    return entries


async def discard(req: Request, made: list[Object]) -> None:
    """Take back the volumes of a server that was not made."""
    for volume in made:
        await req.state.delete(Volume.KIND, name_of(volume), namespace_of(volume))


async def _entry(req: Request, mapping: Mapping, boot: bool) -> tuple[Object, Object | None]:
    entry: Object = {"deleteOnTermination": mapping.delete_on_termination}
    if boot:
        entry["boot"] = True
    if mapping.device_name:
        entry["device"] = mapping.device_name
    if mapping.tag:
        entry["tag"] = mapping.tag
    if mapping.source_type == "volume":
        volume = await _volume(req, mapping.uuid or "")
        return {**entry, "volume": name_of(volume)}, None
    spec: Object = {"userId": req.caller.user_id}
    if mapping.volume_size not in (None, ""):
        spec["size"] = _size(mapping.volume_size)
    if mapping.source_type == "image":
        spec["image"] = await _image(req, mapping.uuid or "")
    elif mapping.source_type == "snapshot":
        spec["snapshot"] = await _snapshot(req, mapping.uuid or "")
    elif mapping.source_type != "blank":
        raise BadRequest(f"{INVALID}: source_type {mapping.source_type} is not known.")
    if mapping.source_type in ("image", "blank") and "size" not in spec:
        raise BadRequest(f"{INVALID}: volume_size is required for source_type {mapping.source_type}.")
    return entry, spec


async def _volume(req: Request, id: str) -> Object:
    try:
        volume = await find_volume(req, id)
    except NotFound:
        raise BadRequest(f"{INVALID}: failed to get volume {id}.") from None
    if namespace_of(volume) != req.namespace:
        raise BadRequest(f"{INVALID}: failed to get volume {id}.")
    check_available(volume)
    return volume


async def _image(req: Request, id: str) -> str:
    try:
        image = await find_image(req, id)
    except NotFound:
        raise BadRequest(f"{INVALID}: failed to get image {id}.") from None
    if (image.get("status") or {}).get("phase") != "active":
        raise BadRequest(f"Image {id} is not active.")
    return name_of(image) if namespace_of(image) == req.namespace else f"{namespace_of(image)}/{name_of(image)}"


async def _snapshot(req: Request, id: str) -> str:
    try:
        return name_of(await objects.find(req, VolumeSnapshot.KIND, id))
    except NotFound:
        raise BadRequest(f"{INVALID}: failed to get snapshot {id}.") from None


def _size(value: int | str | None) -> int:
    text = str(value)
    if not text.isdigit() or not 0 < int(text[:10]) <= 65536:
        raise BadRequest(f"{INVALID}: volume_size {text[:40]} is not a number of GiB from 1.")
    return int(text)
