# SPDX-License-Identifier: Apache-2.0
"""What a project may not write though the object is its own: where things run, how large they are, which image's bytes
they start from; and what its owner asked to have protected."""

from __future__ import annotations

from lichen.kernel.admission import Request, refused
from lichen.kinds.compute.server import Server
from lichen.kinds.image.image import Image
from lichen.kinds.network.port import Port
from lichen.kinds.volume.attachment import VolumeAttachment
from lichen.kinds.volume.snapshot import VolumeSnapshot
from lichen.kinds.volume.volume import Volume
from lichen.model.data import Object
from lichen.model.kind import Kind


class Placement:
    """Nodes are chosen by the scheduler. A server's figures are its flavor's, and its image is the one it names: other
    plugins pin both, and a project cannot write past them."""

    kinds: tuple[Kind, ...] | None = (
        Server.KIND, Port.KIND, Volume.KIND, VolumeSnapshot.KIND, VolumeAttachment.KIND,
    )  # fmt: skip
    verbs: tuple[str, ...] = ("create", "update")

    async def admit(self, request: Request) -> None:
        if request.subresource or request.caller.is_cloud:
            return
        new: Object = request.object["spec"]
        old: Object = request.old["spec"] if request.old else {}
        if new.get("node", "") not in ("", old.get("node", "")):
            raise refused(request, "only the admin of the cloud may choose spec.node")
        if "node" in old:
            new["node"] = old["node"]
        if request.kind == Server.KIND:
            _pin(new, old)


class Protected:
    """A protected image stays until its protection is taken off."""

    kinds: tuple[Kind, ...] | None = (Image.KIND,)
    verbs: tuple[str, ...] = ("delete",)

    async def admit(self, request: Request) -> None:
        if (request.object.get("spec") or {}).get("protected"):
            raise refused(request, "it is protected; set spec.protected to false first")


def _pin(new: Object, old: Object) -> None:
    if not new.get("image"):
        new.pop("imageId", None)
    if new.get("flavor") == old.get("flavor") and "resources" in old:
        new["resources"] = old["resources"]
