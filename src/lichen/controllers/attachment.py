# SPDX-License-Identifier: Apache-2.0
"""Servers get the volumes that they name; an attachment follows its server to its node, and a volume that is to go
with its server belongs to it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from lichen.controllers.base import Key, Mapper, World
from lichen.kinds.compute.server import Server
from lichen.kinds.volume.attachment import VolumeAttachment
from lichen.kinds.volume.volume import Volume
from lichen.model.data import Object
from lichen.model.kind import Kind
from lichen.model.meta import name_of, namespace_of
from lichen.planning.attachments import plan_attachments

SERVER = "server"


class AttachmentController:
    name: ClassVar[str] = "attachment"
    kind: ClassVar[Kind] = Server.KIND

    def __init__(self, world: World) -> None:
        self.world = world
        self.servers = world.informer(Server.KIND)
        self.volumes = world.informer(Volume.KIND)
        self.attachments = world.informer(VolumeAttachment.KIND)
        self.attachments.add_index(SERVER, lambda a: [f"{namespace_of(a)}/{a['spec'].get('server') or ''}"])
        self.watches: Mapping[Kind, Mapper] = {VolumeAttachment.KIND: _server_of, Volume.KIND: self._servers_of}

    async def reconcile(self, key: Key) -> float | None:
        held = {name_of(a): a for a in self.attachments.by_index(SERVER, f"{key[0]}/{key[1]}")}
        server = self.servers.get(key[1], key[0])
        volumes = {name: v for name in held if (v := self.volumes.get(name, key[0])) is not None}
        wanted = (server or {"spec": {}})["spec"].get("volumes") or []
        volumes |= {w["volume"]: v for w in wanted if (v := self.volumes.get(w["volume"], key[0])) is not None}
        await self.world.apply(plan_attachments(server, held, volumes))
        return None

    def _servers_of(self, volume: Object) -> list[Key]:
        """Those that wait for the volume to be made, or have it."""
        namespace, name = namespace_of(volume), name_of(volume)
        attachment = self.attachments.get(name, namespace)
        if attachment is not None:
            return _server_of(attachment)
        return [
            (namespace, name_of(s))
            for s in self.servers.items.values()
            if s["spec"].get("volumes") and namespace_of(s) == namespace
            if any(wanted["volume"] == name for wanted in s["spec"]["volumes"])
        ]


def _server_of(attachment: Object) -> list[Key]:
    server = attachment["spec"].get("server")
    return [(namespace_of(attachment), server)] if server else []
