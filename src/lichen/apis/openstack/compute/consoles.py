# SPDX-License-Identifier: Apache-2.0
"""remote-consoles: none has a URL of its own, which is said in words."""

from __future__ import annotations

from msgspec import Struct

from lichen.apis.openstack.compute.servers import find
from lichen.apis.openstack.reply import Reply
from lichen.apis.openstack.request import Request
from lichen.model.errors import BadRequest

KINDS = {"vnc": ("novnc", "xvpvnc"), "spice": ("spice-html5", "spice-direct"), "rdp": ("rdp-html5",),
         "serial": ("serial",), "mks": ("webmks",)}  # fmt: skip


class Console(Struct, forbid_unknown_fields=True):
    protocol: str
    type: str


async def create_console(req: Request, id: str) -> Reply:
    wanted = await req.json("remote_console", Console)
    if wanted.type not in KINDS.get(wanted.protocol, ()):
        raise BadRequest(f"Invalid input for field/attribute type: {wanted.type[:40]} of {wanted.protocol[:40]}.")
    await find(req, id)
    raise BadRequest(
        f"Unavailable console type {wanted.type}: a server has a serial console, which `openstack console log show` "
        "shows; the dashboard and `lichen console` talk to it."
    )


async def list_migrations(req: Request) -> Reply:
    """Servers do not move: there never was one."""
    return Reply({"migrations": []})
