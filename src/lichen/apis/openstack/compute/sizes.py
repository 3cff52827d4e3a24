# SPDX-License-Identifier: Apache-2.0
"""Actions that make a server anew: rebuild from an image; resize to another flavor, confirm it, revert it."""

from __future__ import annotations

from typing import Any

from msgspec import UNSET, Struct, UnsetType, field

from lichen.apis.openstack.body import shaped
from lichen.apis.openstack.compute import flavors, server_secrets
from lichen.apis.openstack.compute.readiness import now, require
from lichen.apis.openstack.compute.server_create import check_fit, keypair_reference, reference, usable_image
from lichen.apis.openstack.compute.server_parts import checked_metadata
from lichen.apis.openstack.compute.server_state import server_state
from lichen.apis.openstack.compute.server_views import written_view
from lichen.apis.openstack.compute.servers import (
    ACCESS,
    checked_access,
    checked_description,
    checked_name,
    full_view,
    patch_spec,
)
from lichen.apis.openstack.reply import Reply, accepted, no_content
from lichen.apis.openstack.request import Request
from lichen.kinds.compute.flavor import Flavor
from lichen.model.data import Object
from lichen.model.errors import BadRequest, Conflict, NotFound
from lichen.model.meta import name_of


class Rebuild(Struct):
    imageRef: str
    name: Any = UNSET
    metadata: Any = UNSET
    description: str | UnsetType | None = UNSET
    adminPass: str | None = None
    key_name: str | UnsetType | None = UNSET
    user_data: str | UnsetType | None = UNSET
    personality: list[Any] | None = None
    preserve_ephemeral: bool = False
    accessIPv4: Any = UNSET
    accessIPv6: Any = UNSET
    disk_config: Any = field(default=UNSET, name="OS-DCF:diskConfig")


class Resize(Struct):
    flavorRef: str | int


async def rebuild(req: Request, server: Object, argument: Any) -> Reply:
    wanted = shaped(argument, Rebuild, where="rebuild")
    for name in ("personality", "preserve_ephemeral"):
        if getattr(wanted, name):
            raise BadRequest(f"{name} is not supported by this cloud.")
    for name, (least, value) in {
        "key_name": ((2, 54), wanted.key_name),
        "user_data": ((2, 57), wanted.user_data),
    }.items():
        if value is not UNSET and req.version < least:
            raise BadRequest(f"Additional properties are not allowed ('{name}' was unexpected)")
    require(server, "rebuild", {"active", "stopped", "error"})
    image = await usable_image(req, wanted.imageRef.rstrip("/").rpartition("/")[2])
    check_fit(_figures(server), image)
    spec: Object = {"image": reference(req, image), "rebuiltAt": now()}
    if server_state(server).vm_state != "stopped":
        spec["power"] = "On"
    if wanted.name is not UNSET:
        spec["displayName"] = checked_name(wanted.name)
    if wanted.description is not UNSET:
        spec["description"] = checked_description(wanted.description)
    if wanted.metadata is not UNSET:
        fresh = checked_metadata(wanted.metadata)
        old = server["spec"].get("metadata") or {}
        spec["metadata"] = {**dict.fromkeys(old), **fresh}
    spec |= await _reached_by(req, server, wanted)
    view = written_view(await full_view(req, await patch_spec(req, server, spec)), req.version)
    return accepted({"server": view})


async def _reached_by(req: Request, server: Object, wanted: Rebuild) -> Object:
    """What a rebuild may change of how the guest is reached: addresses that its owner gives out, key, secrets."""
    spec: Object = {n: checked_access(n, getattr(wanted, n)) for n in ACCESS if getattr(wanted, n) is not UNSET}
    if wanted.disk_config is not UNSET:
        if wanted.disk_config not in ("AUTO", "MANUAL"):
            raise BadRequest("Invalid input for field/attribute OS-DCF:diskConfig: it is AUTO or MANUAL.")
        spec["diskConfig"] = wanted.disk_config
    if wanted.key_name is not UNSET:
        spec["keypair"] = await keypair_reference(req, wanted.key_name) if wanted.key_name else ""
    values: server_secrets.Values = {}
    if wanted.adminPass:
        values[server_secrets.PASSWORD] = wanted.adminPass.encode()
    if wanted.user_data is not UNSET:
        values[server_secrets.USER_DATA] = server_secrets.checked_user_data(wanted.user_data)
    return spec | (await server_secrets.change(req, server, values) if values else {})


async def resize(req: Request, server: Object, argument: Any) -> Reply:
    wanted = shaped(argument, Resize, where="resize")
    require(server, "resize", {"active", "stopped"})
    try:
        flavor = await flavors.find(req, str(wanted.flavorRef).rstrip("/").rpartition("/")[2])
    except NotFound:
        raise BadRequest("Unable to locate requested flavor.") from None
    if name_of(flavor) == server["spec"].get("flavor"):
        raise BadRequest("When resizing, instances must change flavor!")
    if flavor["spec"].get("disk", 0) < (server["spec"].get("resources") or {}).get("disk", 0):
        raise BadRequest("Resize to a flavor with a smaller disk is not possible: disks do not shrink.")
    await patch_spec(req, server, {"flavor": name_of(flavor)})
    return accepted()


async def confirm_resize(req: Request, server: Object, _: Any) -> Reply:
    _require_resized(server, "confirmResize")
    await patch_spec(req, server, {"formerSize": None})
    return no_content()


async def revert_resize(req: Request, server: Object, _: Any) -> Reply:
    _require_resized(server, "revertResize")
    await patch_spec(req, server, {"flavor": server["spec"]["formerSize"]["flavor"]})
    return accepted()


def _require_resized(server: Object, verb: str) -> None:
    if server_state(server).status != "VERIFY_RESIZE":
        state = server_state(server)
        raise Conflict(f"Cannot '{verb}' instance {server['spec']['id']} while it is in vm_state {state.vm_state}")


def _figures(server: Object) -> Object:
    """The server's own size, as a flavor has it."""
    figures = server["spec"].get("resources") or {}
    return {"apiVersion": Flavor.KIND.api_version, "spec": {"memory": figures.get("memory", 0), **figures}}
