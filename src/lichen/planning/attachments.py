# SPDX-License-Identifier: Apache-2.0
"""The attachments of one server: made for the volumes that it names, bound to its node, let go of without one. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from lichen.kinds.volume.attachment import VolumeAttachment
from lichen.kinds.volume.volume import Volume
from lichen.model.data import Object
from lichen.model.kind import new_object
from lichen.model.meta import is_deleting, name_of, namespace_of, owner_reference, owners_of, uid_of
from lichen.model.names import NODE_FINALIZER
from lichen.planning.steps import Create, Delete, Patch, Step

ATTACHMENT = VolumeAttachment.KIND


def plan_attachments(server: Object | None, held: Mapping[str, Object], volumes: Mapping[str, Object]) -> list[Step]:
    """held: the server's attachments, volumes: those it names or has, both by the volume's name. None: it is gone."""
    steps: list[Step] = []
    for attachment in held.values():
        steps += _follow(server, attachment)
        if server is not None and not is_deleting(server):
            steps += _own(server, attachment, volumes.get(name_of(attachment)))
    if server is None or is_deleting(server):
        return steps
    wanted = {entry["volume"]: entry for entry in server["spec"].get("volumes") or []}
    steps += [
        Create(ATTACHMENT, declared_attachment(server, entry))
        for name, entry in wanted.items()
        if name not in held and name in volumes and not is_deleting(volumes[name])
    ]
    steps += [
        Delete(ATTACHMENT, name, namespace_of(attachment), uid_of(attachment))
        for name, attachment in held.items()
        if attachment["spec"].get("declared") and name not in wanted and not is_deleting(attachment)
    ]
    return steps


def _follow(server: Object | None, attachment: Object) -> list[Step]:
    """Bound to the server's node; without one there is nobody who could let go of it."""
    name, namespace = name_of(attachment), namespace_of(attachment)
    node = attachment["spec"].get("node") or ""
    if is_deleting(attachment) and not node:
        rest = [f for f in attachment["metadata"].get("finalizers") or [] if f != NODE_FINALIZER]
        return [Patch(ATTACHMENT, name, namespace, {"metadata": {"finalizers": rest or None}})]
    placed = (server or {"spec": {}})["spec"].get("node") or ""
    if placed and node != placed:
        return [Patch(ATTACHMENT, name, namespace, {"spec": {"node": placed}})]
    return []


def _own(server: Object, attachment: Object, volume: Object | None) -> list[Step]:
    """A volume that is to go with its server belongs to it."""
    if volume is None or is_deleting(attachment) or not attachment["spec"].get("deleteOnTermination"):
        return []
    if any(owner["uid"] == uid_of(server) for owner in owners_of(volume)):
        return []
    owners = [*owners_of(volume), owner_reference(server, controller=False)]
    return [Patch(Volume.KIND, name_of(volume), namespace_of(volume), {"metadata": {"ownerReferences": owners}})]


def declared_attachment(server: Object, entry: Object) -> Object:
    spec: Object = {
        key: entry[key] for key in ("volume", "device", "boot", "deleteOnTermination", "tag") if key in entry
    }
    made = {**spec, "server": name_of(server), "declared": True}
    return new_object(ATTACHMENT, entry["volume"], namespace_of(server), made)
