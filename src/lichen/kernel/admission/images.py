# SPDX-License-Identifier: Apache-2.0
"""Images that are taken from a disk: which node does it, and what the image says of where it is from."""

from __future__ import annotations

from lichen.kernel.admission import Request, faulty
from lichen.kernel.admission.refs import resolve
from lichen.kinds.compute.server import Server
from lichen.kinds.image.image import Image
from lichen.kinds.volume.volume import Volume
from lichen.model.data import Object
from lichen.model.errors import Cause
from lichen.model.kind import Kind
from lichen.model.meta import is_deleting

FORMATS = {"server": "qcow2", "volume": "raw"}


class Captured:
    """A server or a volume of the image's own project; both stay as they are."""

    kinds: tuple[Kind, ...] | None = (Image.KIND,)
    verbs: tuple[str, ...] = ("create", "update")

    async def admit(self, request: Request) -> None:
        if request.subresource:
            return
        spec = request.object["spec"]
        old: Object = (request.old or {}).get("spec") or {}
        for field in ("node", "serverId", "volumeId"):
            spec.pop(field, None)
            if old.get(field):
                spec[field] = old[field]
        if request.verb == "update" or not (spec.get("server") or spec.get("volume")):
            return
        if spec.get("server") and spec.get("volume"):
            why = "Invalid value: an image is taken from a server or from a volume"
            raise faulty(request, Cause("spec.volume", why))
        what, kind = ("server", Server.KIND) if spec.get("server") else ("volume", Volume.KIND)
        source = await resolve(request, kind, spec[what], f"spec.{what}")
        self._check(request, what, source)
        spec[f"{what}Id"], spec["node"] = source["spec"]["id"], source["spec"]["node"]
        spec["diskFormat"], spec["containerFormat"] = FORMATS[what], spec.get("containerFormat") or "bare"

    def _check(self, request: Request, what: str, source: Object) -> None:
        spec = source["spec"]
        if "/" in request.object["spec"][what]:
            raise faulty(request, Cause(f"spec.{what}", "Invalid value: it is of another project"))
        if is_deleting(source):
            raise faulty(request, Cause(f"spec.{what}", f"Invalid value: the {what} is being deleted"))
        if not spec.get("node"):
            raise faulty(request, Cause(f"spec.{what}", f"Invalid value: the {what} is on no node yet"))
        if what == "server" and any(volume.get("boot") for volume in spec.get("volumes") or ()):
            why = "Invalid value: the server's root disk is a volume: make the image of that volume"
            raise faulty(request, Cause("spec.server", why))
        wanted = request.object["spec"].get("diskFormat")
        if wanted not in (None, "", FORMATS[what]):
            why = f'Unsupported value: "{wanted}": images of a {what} are {FORMATS[what]}'
            raise faulty(request, Cause("spec.diskFormat", why))
