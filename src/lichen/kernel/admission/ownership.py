# SPDX-License-Identifier: Apache-2.0
"""What a project may not write though the object is its own: where things run, how large they are, which image's bytes
they start from; and what its owner asked to have protected."""

from __future__ import annotations

from lichen.kernel.admission import Request, refused
from lichen.kernel.admission.imageshares import project_of_namespace
from lichen.kinds.compute.keypair import Keypair
from lichen.kinds.compute.server import Server
from lichen.kinds.image.image import Image
from lichen.kinds.network.floatingip import FloatingIP
from lichen.kinds.network.network import Network
from lichen.kinds.network.port import Port
from lichen.kinds.network.router import Router
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


class Chosen:
    """What the cloud gives out: a project asks for one, and does not choose which."""

    kinds: tuple[Kind, ...] | None = (Network.KIND, FloatingIP.KIND, Router.KIND)
    verbs: tuple[str, ...] = ("create", "update")

    async def admit(self, request: Request) -> None:
        if request.subresource or request.caller.is_cloud:
            return
        new: Object = request.object["spec"]
        old: Object = (request.old or {}).get("spec") or {}
        for field in ("segment", "address"):
            if new.get(field) and new[field] != old.get(field):
                raise refused(request, f"only the admin of the cloud may choose spec.{field}")
        if request.kind == Router.KIND and new.get("externalGateway"):
            _check_gateway(request, new["externalGateway"], old.get("externalGateway") or {})


class Whose:
    """A thing says of whom it is: of who makes it, and of no other."""

    kinds: tuple[Kind, ...] | None = (Image.KIND, Server.KIND, Keypair.KIND)
    verbs: tuple[str, ...] = ("create", "update")

    async def admit(self, request: Request) -> None:
        if request.subresource or request.caller.is_cloud:
            return
        field = "ownerId" if request.kind == Image.KIND else "userId"
        said, before = request.object["spec"].get(field), ((request.old or {}).get("spec") or {}).get(field)
        if said and said != before and said != await self._own(request):
            raise refused(request, f"only the admin of the cloud may say that spec.{field} is another's")

    async def _own(self, request: Request) -> str:
        if request.kind == Image.KIND:
            return await project_of_namespace(request.state, request.namespace)
        return request.caller.user_id


class Protected:
    """A protected image stays until its protection is taken off."""

    kinds: tuple[Kind, ...] | None = (Image.KIND,)
    verbs: tuple[str, ...] = ("delete",)

    async def admit(self, request: Request) -> None:
        if (request.object.get("spec") or {}).get("protected"):
            raise refused(request, "it is protected; set spec.protected to false first")


def _check_gateway(request: Request, new: Object, old: Object) -> None:
    held = old.get("fixedIps") or ()
    if any(not any(_agrees(wanted, one) for one in held) for wanted in new.get("fixedIps") or ()):
        raise refused(request, "only the admin of the cloud may choose spec.externalGateway.fixedIps")
    if new.get("enableSnat") is False and old.get("enableSnat", True):
        raise refused(request, "only the admin of the cloud may set spec.externalGateway.enableSnat to false")


def _agrees(wanted: Object, held: Object) -> bool:
    return all(value in ("", held.get(key)) for key, value in wanted.items())


def _pin(new: Object, old: Object) -> None:
    if not new.get("image"):
        new.pop("imageId", None)
    if new.get("flavor") == old.get("flavor") and "resources" in old:
        new["resources"] = old["resources"]
