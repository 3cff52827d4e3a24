# SPDX-License-Identifier: Apache-2.0
"""rescue and unrescue: a server boots from another image for a while, with its own disk as the second one."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from lichen.apis.openstack.body import shaped
from lichen.apis.openstack.compute import server_secrets
from lichen.apis.openstack.compute.readiness import now, require
from lichen.apis.openstack.compute.server_create import reference, usable_image
from lichen.apis.openstack.compute.servers import patch_spec
from lichen.apis.openstack.reply import Reply, accepted
from lichen.apis.openstack.request import Request
from lichen.model.data import Object
from lichen.model.errors import BadRequest


class Rescue(Struct, forbid_unknown_fields=True):
    adminPass: str | None = None
    rescue_image_ref: str | None = None


async def rescue(req: Request, server: Object, argument: Any) -> Reply:
    """Without an image: from the server's own, made afresh."""
    wanted = shaped({} if argument is None else argument, Rescue, where="rescue")
    require(server, "rescue", {"active", "stopped", "error"})
    if not server["spec"].get("imageId"):
        why = "Cannot rescue a volume-backed instance: boot another server and attach its volume there."
        raise BadRequest(f"Instance {server['spec']['id']} cannot be rescued: {why}")
    spec: Object = {"rescue": {"image": "", "at": now()}, "power": "On"}
    if wanted.rescue_image_ref:
        image = await usable_image(req, wanted.rescue_image_ref.rstrip("/").rpartition("/")[2])
        spec["rescue"]["image"] = reference(req, image)
    if wanted.adminPass:
        spec |= await server_secrets.change(req, server, {server_secrets.PASSWORD: wanted.adminPass.encode()})
    await patch_spec(req, server, spec)
    return Reply({"adminPass": wanted.adminPass} if wanted.adminPass else {})


async def unrescue(req: Request, server: Object, _: Any) -> Reply:
    require(server, "unrescue", {"rescued"})
    await patch_spec(req, server, {"rescue": None, "power": "On"})
    return accepted()
