# SPDX-License-Identifier: Apache-2.0
"""Who has a volume: an attachment is the lock, and settles before the answer whether the volume goes with its
server."""

from __future__ import annotations

import contextlib
import uuid

from lichen.kernel.admission import Request, faulty
from lichen.kernel.admission.refs import resolve
from lichen.kernel.admission.volumes import conflict, namespace_goes
from lichen.kinds.builtin import NODE
from lichen.kinds.compute.server import Server
from lichen.kinds.volume.attachment import VolumeAttachment
from lichen.kinds.volume.volume import Volume
from lichen.model.data import Object
from lichen.model.errors import ApiError, Cause, Conflict, NotFound
from lichen.model.kind import Kind
from lichen.model.meta import is_deleting, labels_of, name_of, namespace_of, owner_reference, owners_of
from lichen.model.names import NODE_FINALIZER, POOL
from lichen.model.state import State
from lichen.planning.attachments import declared_attachment

_LETTERS = "abcdefghijklmnopqrstuvwxyz"


class Attachments:
    """A volume is given to one server, or to the pods of one node; its name is the lock."""

    kinds: tuple[Kind, ...] | None = (VolumeAttachment.KIND,)
    verbs: tuple[str, ...] = ("create", "update", "delete")

    async def admit(self, request: Request) -> None:
        spec = request.object["spec"]
        if request.verb == "delete":
            await self._check_boot(request, spec)
            return
        if request.verb == "update":
            if request.old and bool(spec.get("deleteOnTermination")) != _goes_along(request.old):
                request.done.append(lambda: settle_owner(request.state, request.object))
            return
        volume = await resolve(request, Volume.KIND, spec.get("volume", ""), "spec.volume")
        metadata = request.object["metadata"]
        if NODE_FINALIZER not in (metadata.get("finalizers") or []):  # whoever uses the volume must let go of it first
            metadata["finalizers"] = [*(metadata.get("finalizers") or []), NODE_FINALIZER]
        if request.name != name_of(volume):
            raise faulty(request, Cause("metadata.name", "Invalid value: an attachment is named as its volume"))
        if bool(spec.get("server")) == bool(spec.get("pods")):
            raise faulty(request, Cause("spec.server", "Required value: either server or pods", "FieldValueRequired"))
        if is_deleting(volume):
            raise conflict(request, f"volume {name_of(volume)} is being deleted")
        spec["volumeId"] = volume["spec"]["id"]
        spec.pop("serverId", None)
        if spec.get("server"):
            server = await resolve(request, Server.KIND, spec["server"], "spec.server")
            spec["serverId"] = server["spec"]["id"]
            spec["node"] = server["spec"].get("node") or ""
            await self._check_reach(request, volume["spec"].get("node") or "", spec["node"])
            spec["device"] = await _device(request, server, spec)
            metadata["ownerReferences"] = [owner_reference(server, controller=False)]
            if _goes_along(request.object):
                request.done.append(lambda: settle_owner(request.state, request.object))

    async def _check_reach(self, request: Request, has: str, user: str) -> None:
        """A disk of one node is no disk of another, unless both reach the same pool."""
        if has and user and has != user and await _pool(request.state, has) != await _pool(request.state, user):
            why = f"it is on the disks of node {has}, and the server is on node {user}, which does not reach them"
            raise conflict(request, why)

    async def _check_boot(self, request: Request, spec: Object) -> None:
        """The disk that a server boots from is its own as long as it lives."""
        if not spec.get("boot") or await namespace_goes(request):
            return
        try:
            server = await request.state.get(Server.KIND, spec["server"], request.namespace)
        except NotFound:
            return
        if not is_deleting(server):
            raise conflict(request, f"server {spec['server']} boots from it")

    async def removed(self, kind: Kind, obj: Object, state: State) -> None:
        """A volume that was to go with its server, and was taken from it, stays."""
        if _goes_along(obj):
            await settle_owner(state, {**obj, "spec": {**obj["spec"], "deleteOnTermination": False}})


class ServerVolumes:
    """A server has the volumes that it names from the answer on: what is deleted a moment later takes along what was to
    go with it. Volumes that are still to come are given to it by a controller, which also repairs what a crash left."""

    kinds: tuple[Kind, ...] | None = (Server.KIND,)
    verbs: tuple[str, ...] = ("create", "update")

    def __init__(self) -> None:
        self._attachments = Attachments()

    async def admit(self, request: Request) -> None:
        entries = request.object["spec"].get("volumes") or []
        if request.subresource or is_deleting(request.object):
            return
        known = (request.old or {"spec": {}})["spec"].get("volumes") or []
        new = [entry for entry in entries if entry not in known]
        for entry in new:
            await self._check_free(request, entry["volume"])
        if new:
            request.done.append(lambda: self._attach(request, new))

    async def _check_free(self, request: Request, volume: str) -> None:
        try:
            held = (await request.state.get(VolumeAttachment.KIND, volume, request.namespace))["spec"]
        except NotFound:
            return
        if held.get("serverId") != request.object["spec"].get("id"):
            user = f"server {held['server']}" if held.get("server") else "pods"
            raise conflict(request, f"volume {volume} is in use by {user}")

    async def _attach(self, request: Request, entries: list[Object]) -> None:
        for entry in entries:
            made = declared_attachment(request.object, entry)
            part = Request(
                verb="create", kind=VolumeAttachment.KIND, name=entry["volume"], namespace=request.namespace,
                object=made, old=None, caller=request.caller, state=request.state,
            )  # fmt: skip
            made["spec"]["id"] = str(uuid.uuid4())
            with contextlib.suppress(ApiError):  # it is not there yet, or another has it: the controller goes on
                await self._attachments.admit(part)
                await request.state.create(VolumeAttachment.KIND, made)
                await settle_owner(request.state, made)


async def _pool(state: State, node: str) -> str:
    try:
        return labels_of(await state.get(NODE, node)).get(POOL) or node
    except NotFound:
        return node


async def settle_owner(state: State, attachment: Object) -> None:
    """The volume belongs to its server if it is to go with it, else to no server; a server that goes keeps its own."""
    spec, namespace = attachment["spec"], namespace_of(attachment)
    if not spec.get("server"):
        return
    try:
        server = await state.get(Server.KIND, spec["server"], namespace)
        volume = await state.get(Volume.KIND, spec["volume"], namespace)
        if is_deleting(server) or server["spec"]["id"] != spec.get("serverId"):
            return
        owners = [owner for owner in owners_of(volume) if owner["kind"] != Server.KIND.kind]
        if _goes_along(attachment):
            owners.append(owner_reference(server, controller=False))
        if owners != owners_of(volume):
            patch = {"metadata": {"ownerReferences": owners or None}}
            await state.patch(Volume.KIND, spec["volume"], namespace, patch)
    except (NotFound, Conflict):
        return


def _goes_along(attachment: Object) -> bool:
    return bool(attachment["spec"].get("deleteOnTermination"))


async def _device(request: Request, server: Object, spec: Object) -> str:
    """The next free name as guests count: the root disk, the config drive, volumes in the order they come. What a
    client wishes is no more than a wish: the guest names its disks itself."""
    if spec.get("boot"):
        return "/dev/vda"
    others = await request.state.list(
        VolumeAttachment.KIND, request.namespace, fields=f"spec.serverId={server['spec']['id']}"
    )
    taken = {other["spec"].get("device") for other in others.items} | {"/dev/vda"}
    if server["spec"].get("configDrive", True):
        taken.add("/dev/vdb")
    return next(f"/dev/vd{letter}" for letter in _LETTERS if f"/dev/vd{letter}" not in taken)
