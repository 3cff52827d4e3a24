# SPDX-License-Identifier: Apache-2.0
"""Volumes pin what they are copied from and know their size; a snapshot pins its volume. Nothing is deleted that
something else stands on."""

from __future__ import annotations

from lichen.kernel.admission import Request, faulty, missing
from lichen.kernel.admission.refs import canonical, resolve
from lichen.kinds.builtin import NAMESPACE
from lichen.kinds.compute.server import Server
from lichen.kinds.faults import show
from lichen.kinds.image.image import Image
from lichen.kinds.volume.attachment import VolumeAttachment
from lichen.kinds.volume.snapshot import VolumeSnapshot
from lichen.kinds.volume.volume import Volume
from lichen.kinds.volume.volume_type import VolumeType
from lichen.model.data import Object
from lichen.model.errors import Cause, Conflict, NotFound
from lichen.model.kind import Kind
from lichen.model.meta import is_deleting, name_of
from lichen.model.names import SYSTEM_NAMESPACE

GIB = 1 << 30


class Volumes:
    """Fills and checks volumes; refuses to delete one that is in use or has snapshots."""

    kinds: tuple[Kind, ...] | None = (Volume.KIND,)
    verbs: tuple[str, ...] = ("create", "update", "delete")

    async def admit(self, request: Request) -> None:
        if request.verb == "delete":
            await self._check_unused(request)
            return
        if request.subresource:
            return
        spec = request.object["spec"]
        if not request.caller.is_cloud:
            _keep(spec, request.old["spec"] if request.old else {}, "claim")
        if request.old is not None:
            _check_update(request, spec, request.old["spec"])
        asked = spec.get("type")
        if request.verb == "create":
            least = await self._pin_source(request, spec)
            if not spec.get("size"):
                spec["size"] = least
            if spec["size"] < max(1, least):
                why = f"Invalid value: {spec['size']}: it needs at least {max(1, least)} GiB"
                raise faulty(request, Cause("spec.size", why))
        await self._pin_type(request, spec, request.old["spec"] if request.old else {}, asked)

    async def _pin_source(self, request: Request, spec: Object) -> int:
        """The size in GiB of what it is copied from, 0 if that is nothing."""
        named = [field for field in ("image", "snapshot", "source") if spec.get(field)]
        for field in ("imageId", "snapshotId", "sourceId"):
            spec.pop(field, None)
        if len(named) > 1:
            raise faulty(request, Cause(f"spec.{named[1]}", "Forbidden: a volume is a copy of one thing at most"))
        if spec.get("image"):
            return await _pin_image(request, spec)
        if spec.get("snapshot"):
            snapshot = await resolve(request, VolumeSnapshot.KIND, spec["snapshot"], "spec.snapshot")
            _check_whole(request, snapshot)
            spec["snapshotId"] = snapshot["spec"]["id"]
            volume = await _volume_or_none(request, snapshot["spec"]["volume"])
            _inherit(spec, volume or {"spec": {}}, snapshot)
            return int(snapshot["spec"].get("size") or 0)
        if spec.get("source"):
            source = await resolve(request, Volume.KIND, spec["source"], "spec.source")
            _check_whole(request, source)
            spec["sourceId"] = source["spec"]["id"]
            _inherit(spec, source, source)
            return int(source["spec"].get("size") or 0)
        return 0

    async def _pin_type(self, request: Request, spec: Object, old: Object, asked: str | None) -> None:
        """asked: the type that the request names; a copy has the type of what it is copied from, whichever that is."""
        if spec.get("type"):
            if spec["type"] == old.get("type"):
                spec["typeId"] = old.get("typeId", "")
                return
            found = await resolve(request, VolumeType.KIND, spec["type"], "spec.type")
            if asked and not found["spec"].get("public", True) and not request.caller.is_cloud:
                raise faulty(request, missing("spec.type", asked, "no VolumeType of that name can be used here"))
            spec["typeId"] = found["spec"]["id"]
            return
        usual = (await request.state.list(VolumeType.KIND, fields="spec.isDefault=true", limit=1)).items
        if usual:
            spec["type"], spec["typeId"] = name_of(usual[0]), usual[0]["spec"]["id"]

    async def _check_unused(self, request: Request) -> None:
        if await namespace_goes(request):
            return
        id = request.object["spec"].get("id", "")
        user = await _user_of(request)
        if user:
            raise conflict(request, f"volume {id} is in use by {user}: detach it first")
        snapshots = await request.state.list(
            VolumeSnapshot.KIND, request.namespace, fields=f"spec.volumeId={id}", limit=1
        )
        if snapshots.items:
            raise conflict(request, f"volume {id} still has snapshots, such as {name_of(snapshots.items[0])}")


class Snapshots:
    """A snapshot is of a volume that is there, as large as it, and on its node."""

    kinds: tuple[Kind, ...] | None = (VolumeSnapshot.KIND,)
    verbs: tuple[str, ...] = ("create",)

    async def admit(self, request: Request) -> None:
        spec = request.object["spec"]
        volume = await resolve(request, Volume.KIND, spec.get("volume", ""), "spec.volume")
        _check_whole(request, volume)
        spec |= {key: volume["spec"][key] for key in ("size", "node") if key in volume["spec"]}
        spec["volumeId"] = volume["spec"]["id"]


async def _pin_image(request: Request, spec: Object) -> int:
    image = await resolve(request, Image.KIND, spec["image"], "spec.image")
    wants, status = image["spec"], image.get("status") or {}
    spec["image"], spec["imageId"], spec["bootable"] = canonical(image, request.namespace), wants["id"], True
    if wants.get("diskFormat") not in ("raw", "qcow2"):
        why = f"Invalid value: {show(spec['image'])}: volumes are made from raw and qcow2 images"
        raise faulty(request, Cause("spec.image", why))
    known = {
        "image_id": wants["id"],
        "image_name": wants.get("displayName", ""),
        "disk_format": wants.get("diskFormat", ""),
        "container_format": wants.get("containerFormat", ""),
        "min_disk": str(wants.get("minDisk", 0)),
        "min_ram": str(wants.get("minRam", 0)),
        "checksum": status.get("checksum") or "",
        "size": str(status.get("size") or 0),
    }
    spec["imageMetadata"] = {**(wants.get("properties") or {}), **known}
    return max(int(wants.get("minDisk") or 0), -(-int(status.get("virtualSize") or 0) // GIB))


def _keep(spec: Object, old: Object, field: str) -> None:
    """The field stays as it was, there or not: what a node writes back must be what it read."""
    spec.pop(field, None)
    if field in old:
        spec[field] = old[field]


def _inherit(spec: Object, source: Object, place: Object) -> None:
    """What a copy has of the volume it began as. place: what it is copied from, on whose disks it is to be: its node
    knows of it before it is told that `place` is to go."""
    for key, value in (("node", place["spec"]), ("availabilityZone", source["spec"])):
        if value.get(key):
            spec[key] = value[key]
    for key in ("bootable", "imageMetadata"):
        if source["spec"].get(key) and not spec.get(key):
            spec[key] = source["spec"][key]
    if source["spec"].get("type") and not spec.get("type"):
        spec["type"] = source["spec"]["type"]


def _check_update(request: Request, spec: Object, old: Object) -> None:
    if spec.get("size", 0) < old.get("size", 0):
        why = f"Invalid value: {spec.get('size', 0)}: volumes do not shrink; it has {old['size']} GiB"
        raise faulty(request, Cause("spec.size", why))


async def _user_of(request: Request) -> str:
    """Who has the volume and means to keep it; "" if nobody does."""
    try:
        attachment = await request.state.get(VolumeAttachment.KIND, request.name, request.namespace)
    except NotFound:
        return ""
    spec = attachment["spec"]
    if not spec.get("server"):
        return "pods"
    try:
        server = await request.state.get(Server.KIND, spec["server"], request.namespace)
    except NotFound:
        return ""
    return "" if is_deleting(server) else f"server {spec['server']}"


async def _volume_or_none(request: Request, name: str) -> Object | None:
    try:
        return await request.state.get(Volume.KIND, name, request.namespace)
    except NotFound:
        return None


async def namespace_goes(request: Request) -> bool:
    """Whether all in it goes with it, in an order that finishes."""
    if request.namespace == SYSTEM_NAMESPACE:
        return False
    try:
        return is_deleting(await request.state.get(NAMESPACE, request.namespace))
    except NotFound:
        return True


def _check_whole(request: Request, source: Object) -> None:
    """Conflict: there is nothing to copy yet, or no longer. What is there stays until its copies are made."""
    phase = "Deleting" if is_deleting(source) else (source.get("status") or {}).get("phase") or "Creating"
    if phase != "Available":
        what = "volume" if source["kind"] == Volume.KIND.kind else "snapshot"
        raise conflict(request, f"{what} {name_of(source)} is {phase}, not Available")


def conflict(request: Request, why: str) -> Conflict:
    kind = request.kind
    return Conflict(
        f'{kind.resource} "{request.name}" cannot be {_DONE[request.verb]}: {why}',
        kind=kind.plural,
        group=kind.group,
        name=request.name,
    )


_DONE = {"create": "created", "update": "changed", "delete": "deleted"}
