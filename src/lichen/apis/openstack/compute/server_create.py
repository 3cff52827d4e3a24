# SPDX-License-Identifier: Apache-2.0
"""Making servers: what Nova's body says, checked, as Server objects."""

from __future__ import annotations

from typing import Any

from msgspec import Struct, field

from lichen.apis.openstack import body, objects
from lichen.apis.openstack.compute import flavors, keypairs, server_secrets
from lichen.apis.openstack.compute.block_devices import Devices, devices_of, discard, make_volumes
from lichen.apis.openstack.compute.security_groups import wanted_groups
from lichen.apis.openstack.compute.server_networks import networks_of
from lichen.apis.openstack.compute.server_parts import checked_metadata, checked_tags
from lichen.apis.openstack.compute.server_secrets import checked_user_data
from lichen.apis.openstack.compute.server_views import links
from lichen.apis.openstack.compute.servers import ACCESS, checked_access, checked_description, checked_name
from lichen.apis.openstack.image.images import find as find_image
from lichen.apis.openstack.nodes import DEFAULT_ZONE
from lichen.apis.openstack.reply import Reply, accepted
from lichen.apis.openstack.request import Request
from lichen.apis.openstack.zones import usable_zones
from lichen.kinds.builtin import NODE, SECRET
from lichen.kinds.compute.server import Server
from lichen.kinds.compute.servergroup import ServerGroup
from lichen.model.data import Object
from lichen.model.errors import ApiError, BadRequest, Forbidden, NotFound
from lichen.model.meta import name_of, namespace_of
from lichen.model.names import MADE_BY, handle

MOST_AT_ONCE = 1000
BOOTABLE = ("raw", "qcow2")
_GIB = 1 << 30


class ServerCreate(Struct, forbid_unknown_fields=True):
    """Nova's body. Fields that this cloud cannot honour are read, so that they can be refused in words."""

    name: Any
    flavorRef: str | int
    imageRef: str | None = None
    networks: Any = None
    key_name: str | None = None
    user_data: str | None = None
    metadata: Any = None
    min_count: int = 1
    max_count: int | None = None
    availability_zone: str | None = None
    config_drive: bool | str | None = None
    security_groups: list[dict[str, Any]] | None = None
    description: Any = None
    tags: list[Any] | None = None
    block_device_mapping_v2: list[dict[str, Any]] | None = None
    disk_config: str = field(default="MANUAL", name="OS-DCF:diskConfig")
    return_reservation_id: bool = False
    adminPass: str | None = None
    accessIPv4: str | None = None
    accessIPv6: str | None = None
    hostname: str | None = None
    host: str | None = None
    hypervisor_hostname: str | None = None
    personality: list[Any] | None = None
    block_device_mapping: list[Any] | None = None
    trusted_image_certificates: list[str] | None = None


_REFUSED = (
    "hostname", "personality", "block_device_mapping",
    "trusted_image_certificates", "return_reservation_id",
)  # fmt: skip
_SINCE = {"description": (2, 19), "tags": (2, 52), "host": (2, 74), "hypervisor_hostname": (2, 74)}


async def create_server(req: Request) -> Reply:
    document = await req.document()
    wanted = await _read(req, document)
    devices = await devices_of(req, _last(wanted.imageRef), wanted.block_device_mapping_v2 or [])
    spec, user_data = await _spec(req, wanted, devices)
    spec |= await _server_group(req, document)
    secrets = {"userdata": user_data, "adminpass": wanted.adminPass.encode() if wanted.adminPass else None}
    first = None
    made: list[Object] = []
    try:
        for name in _display_names(wanted):
            server = await _make_with_volumes(req, {**spec, "displayName": name}, secrets, devices)
            made.append(server)
            first = first or server
    except ApiError:
        if len(made) < wanted.min_count:
            for server in made:
                await req.state.delete(Server.KIND, name_of(server), namespace_of(server))
            raise
    assert first is not None
    id = first["spec"]["id"]
    shown: Object = {"id": id, "links": links(req.url("/v2.1"), "servers", id), "OS-DCF:diskConfig": wanted.disk_config}
    return accepted(
        {"server": shown},
        Location=req.url(f"/v2.1/servers/{id}"),
    )


async def _read(req: Request, document: Object) -> ServerCreate:
    wanted = body.pick(document, "server", ServerCreate)
    raw = document["server"]
    for name, version in _SINCE.items():
        if name in raw and req.version < version:
            raise BadRequest(f"Additional properties are not allowed ('{name}' was unexpected)")
    for name in _REFUSED:
        if getattr(wanted, name):
            raise BadRequest(f"{name} is not supported by this cloud.")
    if wanted.disk_config not in ("AUTO", "MANUAL"):
        raise BadRequest("Invalid input for field/attribute OS-DCF:diskConfig: it is AUTO or MANUAL.")
    _check_count(wanted)
    if "networks" not in raw and req.since(2, 37):
        raise BadRequest("Invalid input for field/attribute server: 'networks' is a required property")
    return wanted


async def _spec(req: Request, wanted: ServerCreate, devices: Devices) -> tuple[Object, bytes | None]:
    flavor = await _flavor(req, str(wanted.flavorRef))
    image = await usable_image(req, devices.image_id) if devices.image_id else None
    if image is not None:
        check_fit(flavor, image)
    spec: Object = {
        "flavor": name_of(flavor),
        "image": reference(req, image) if image is not None else "",
        "userId": req.caller.user_id,
        "configDrive": _config_drive(wanted),
        "metadata": checked_metadata(wanted.metadata or {}),
    }
    if wanted.disk_config != "MANUAL":
        spec["diskConfig"] = wanted.disk_config
    for name in ACCESS:
        if getattr(wanted, name):
            spec[name] = checked_access(name, getattr(wanted, name))
    if wanted.description is not None:
        spec["description"] = checked_description(wanted.description)
    if wanted.tags:
        spec["tags"] = checked_tags(wanted.tags)
    if wanted.key_name is not None:
        spec["keypair"] = await keypair_reference(req, wanted.key_name)
    spec |= await _placement(req, wanted)
    spec["networks"] = await networks_of(req, wanted.networks)
    spec |= await wanted_groups(req, wanted.security_groups)
    _check_name(wanted)
    return spec, checked_user_data(wanted.user_data)


def _display_names(wanted: ServerCreate) -> list[str]:
    name, count = checked_name(wanted.name), wanted.max_count or wanted.min_count
    return [name] if count == 1 else [f"{name}-{number + 1}" for number in range(count)]


def _check_name(wanted: ServerCreate) -> None:
    _display_names(wanted)


async def _make_with_volumes(req: Request, spec: Object, secrets: dict[str, bytes | None], devices: Devices) -> Object:
    """One server, and the volumes that are made for it."""
    volumes: list[Object] = []
    try:
        entries = await make_volumes(req, devices, handle(spec["displayName"]), volumes)
        return await _make(req, {**spec, "volumes": entries} if entries else spec, secrets)
    except ApiError:
        await discard(req, volumes)
        raise


async def _make(req: Request, spec: Object, secrets: dict[str, bytes | None]) -> Object:
    """One server; its user data and password go to a Secret first, which then belongs to it."""
    kept = {key: value for key, value in secrets.items() if value is not None}
    if not kept:
        return await _create(req, spec)
    secret = await server_secrets.keep(req, spec["displayName"], req.namespace, dict(kept))
    try:
        server = await _create(req, {**spec, "userDataSecret": name_of(secret)})
    except ApiError:
        await req.state.delete(SECRET, name_of(secret), namespace_of(secret))
        raise
    await server_secrets.give(req, secret, server)
    return server


async def _create(req: Request, spec: Object) -> Object:
    made_by = {MADE_BY: req.request_id}
    return await objects.create(req, Server.KIND, spec["displayName"], spec, annotations=made_by)


async def _server_group(req: Request, document: Object) -> Object:
    """The server group that the scheduler hints name; other hints are not known."""
    hints = document.get("os:scheduler_hints") or document.get("OS-SCH-HNT:scheduler_hints") or {}
    if not isinstance(hints, dict):
        raise BadRequest("Invalid input for field/attribute os:scheduler_hints: it is not an object.")
    if set(hints) - {"group"}:
        raise BadRequest(
            f"Scheduler hints are not supported by this cloud but for group: {', '.join(map(str, hints))}."
        )
    if not hints:
        return {}
    try:
        group = await objects.find(req, ServerGroup.KIND, str(hints["group"]))
    except NotFound:
        raise BadRequest(f"Instance group {hints['group']} could not be found.") from None
    if namespace_of(group) != req.namespace:
        raise BadRequest(f"Instance group {hints['group']} could not be found.")
    return {"group": name_of(group)}


def reference(req: Request, obj: Object) -> str:
    """How a server of the caller's project refers to an object."""
    return name_of(obj) if namespace_of(obj) == req.namespace else f"{namespace_of(obj)}/{name_of(obj)}"


async def _flavor(req: Request, id: str) -> Object:
    id = id.rstrip("/").rpartition("/")[2]
    try:
        return await flavors.find(req, id)
    except NotFound:
        raise BadRequest("Invalid flavorRef provided.") from None


async def usable_image(req: Request, id: str) -> Object:
    """The image, if a server can boot from it. BadRequest."""
    try:
        image = await find_image(req, id)
    except NotFound:
        raise BadRequest("Can not find requested image") from None
    phase = (image.get("status") or {}).get("phase") or "queued"
    if phase != "active":
        raise BadRequest(f"Image {id} is not active.")
    disk_format = (image.get("spec") or {}).get("diskFormat", "")
    if disk_format not in BOOTABLE:
        raise BadRequest(f"Image {id} is unacceptable: servers boot from {' or '.join(BOOTABLE)}, not {disk_format}.")
    return image


def _last(ref: str | None) -> str:
    """The id at the end of a link."""
    return (ref or "").rstrip("/").rpartition("/")[2]


def check_fit(flavor: Object, image: Object) -> None:
    size, spec, status = flavor["spec"], image.get("spec") or {}, image.get("status") or {}
    if size["memory"] < spec.get("minRam", 0):
        raise BadRequest("Flavor's memory is too small for requested image.")
    disk = size.get("disk", 0)
    if not disk:
        return
    if disk < spec.get("minDisk", 0):
        raise BadRequest(
            "Flavor's disk is smaller than the minimum size specified in image metadata. "
            f"Flavor disk is {disk * _GIB} bytes, minimum size is {spec['minDisk'] * _GIB} bytes."
        )
    if disk * _GIB < (status.get("virtualSize") or 0):
        raise BadRequest(
            "Flavor's disk is too small for requested image. "
            f"Flavor disk is {disk * _GIB} bytes, image is {status['virtualSize']} bytes."
        )


async def keypair_reference(req: Request, name: str) -> str:
    """How a server's spec names a keypair of the caller's. BadRequest."""
    try:
        return name_of(await keypairs.find(req, name, req.caller.user_id))
    except NotFound:
        raise BadRequest("Invalid key_name provided.") from None


async def _placement(req: Request, wanted: ServerCreate) -> Object:
    """`zone`, or for an admin `zone:host` (and `host`) as the node itself."""
    zone, _, host = (wanted.availability_zone or "").partition(":")
    host = wanted.host or wanted.hypervisor_hostname or host.strip(":").partition(":")[0]
    spec: Object = {}
    if host:
        if not req.caller.is_admin:
            raise Forbidden("Policy doesn't allow os_compute_api:servers:create:forced_host to be performed.")
        if not any(name_of(n) == host for n in (await req.state.list(NODE)).items):
            raise BadRequest(f"No valid host was found. Host '{host}' could not be found.")
        spec["nodeSelector"] = {"kubernetes.io/hostname": host}
    if zone and zone != DEFAULT_ZONE:
        await _check_zone(req, zone)
        spec["availabilityZone"] = zone
    return spec


async def _check_zone(req: Request, zone: str) -> None:
    if zone not in await usable_zones(req):
        raise BadRequest("The requested availability zone is not available")


def _config_drive(wanted: ServerCreate) -> bool:
    value = str(True if wanted.config_drive in (None, "") else wanted.config_drive).lower()
    if value not in ("true", "false", "1", "0", "t", "f", "yes", "no", "on", "off", "y", "n"):
        raise BadRequest("Invalid config_drive provided.")
    return value in ("true", "1", "t", "yes", "on", "y")


def _check_count(wanted: ServerCreate) -> None:
    most = wanted.min_count if wanted.max_count is None else wanted.max_count
    if wanted.min_count < 1 or most < 1:
        raise BadRequest("Invalid input for field/attribute min_count, max_count: they must be at least 1.")
    if wanted.min_count > most:
        raise BadRequest("min_count must be <= max_count")
    if most > MOST_AT_ONCE:
        raise Forbidden(f"Quota exceeded for instances: at most {MOST_AT_ONCE} can be made at once.")
