# SPDX-License-Identifier: Apache-2.0
"""Who uses the volumes of this node: disks of running guests, file systems that pods mount. Each VolumeAttachment is
carried out, and let go of only when nothing reads or writes the volume through it any more."""

from __future__ import annotations

import logging
from collections.abc import Hashable
from pathlib import Path
from typing import cast

from lichen.agent.failures import Failures, Place, Told
from lichen.agent.pod_making import Claimed
from lichen.agent.reporting import patch_finalizers, patch_status
from lichen.agent.sources import Sources
from lichen.agent.workers import Workers
from lichen.drivers.base import BlockDriver, GuestDisk, GuestDriver, GuestPower, MountDriver
from lichen.kinds.volume.attachment import VolumeAttachment
from lichen.model.data import Object
from lichen.model.errors import Permanent, Temporary
from lichen.model.meta import is_deleting, name_of, namespace_of, revision_of
from lichen.model.names import NODE_FINALIZER
from lichen.model.state import State
from lichen.model.tracing import follow
from lichen.planning.claims import handle_of
from lichen.planning.times import rfc3339
from lichen.runtime.clock import Clock

log = logging.getLogger(__name__)

Key = tuple[str, str]
ON = (GuestPower.RUNNING, GuestPower.PAUSED)


class NodeAttachments:
    """Carries out the VolumeAttachments of a node."""

    def __init__(
        self,
        node: str,
        state: State,
        blocks: BlockDriver,
        guests: GuestDriver,
        mounts: MountDriver | None,
        sources: Sources,
        clock: Clock,
        failures: Failures,
    ) -> None:
        self.mounts = mounts
        self.workers = Workers(self._reconcile, clock, failures.teller(self._place))
        self._node = node
        self._state = state
        self._blocks = blocks
        self._guests = guests
        self._sources = sources
        self._clock = clock
        self._written: dict[Key, Object] = {}

    async def start(self) -> None:
        """Unmount what no attachment asks for, and begin with all."""
        mine = [a for a in self._sources.attachments.items.values() if self.is_mine(a)]
        wanted = {a["spec"].get("volumeId") for a in mine if a["spec"].get("pods")}
        if self.mounts is not None:
            for volume_id in await self.mounts.discover() - wanted:
                log.warning("volume %s is mounted for nobody: unmounted", volume_id)
                await self.mounts.unmount(volume_id)
        for attachment in mine:
            self.told(attachment)

    def told(self, obj: Object) -> None:
        """An attachment changed, or the volume of one."""
        name = obj["spec"]["volume"] if obj.get("kind") == VolumeAttachment.KIND.kind else name_of(obj)
        self.workers.poke((namespace_of(obj), name))

    def server_changed(self, server: Object) -> None:
        """A guest may have come or gone."""
        for attachment in self._sources.attachments_of(server["spec"].get("id") or ""):
            self.told(attachment)

    def is_mine(self, attachment: Object) -> bool:
        return bool(attachment["spec"].get("node") == self._node)

    async def disks_of(self, server: Object) -> tuple[GuestDisk, ...]:
        """The volumes that a guest is to be started with. Temporary: one of them is not there yet."""
        given = self._sources.attachments_of(server["spec"].get("id") or "")
        held = {a["spec"]["volume"]: a for a in given if self.is_mine(a)}  # only what is bound here is waited for
        for wanted in server["spec"].get("volumes") or []:
            if wanted["volume"] not in held:
                raise Temporary(f"Volume {wanted['volume']} is not attached yet.")
        there = (await self._blocks.discover()).volumes
        disks = []
        for attachment in sorted(held.values(), key=_order):
            if is_deleting(attachment):
                continue
            if attachment["spec"].get("volumeId") not in there:
                raise Temporary(f"Volume {attachment['spec']['volume']} is not made yet.")
            disks.append(self._disk(attachment))
        return tuple(disks)

    async def folders_of(self, pod: Object) -> Claimed:
        """Where the claims that a pod mounts are on this node, by their names; and what is missing."""
        folders: dict[str, Path] = {}
        mounted = await self.mounts.discover() if self.mounts is not None else frozenset()
        for volume in pod["spec"].get("volumes") or []:
            if "persistentVolumeClaim" not in volume:
                continue
            name = volume["persistentVolumeClaim"]["claimName"]
            claim = self._sources.claims.get(name, namespace_of(pod))
            if claim is None:
                return Claimed(folders, f'persistentvolumeclaim "{name}" not found')
            persistent = self._sources.persistent.get(claim["spec"].get("volumeName") or "")
            if persistent is None or (claim.get("status") or {}).get("phase") != "Bound":
                return Claimed(folders, f'persistentvolumeclaim "{name}" is not bound yet', on_its_way=True)
            volume_id = handle_of(persistent)
            if not volume_id:
                return Claimed(folders, f'persistentvolumeclaim "{name}" is of a driver that this node does not have')
            if self.mounts is None or volume_id not in mounted:
                return self._not_mounted(folders, name, volume_id)
            folders[name] = self.mounts.folder(volume_id)
        return Claimed(folders)

    def _not_mounted(self, folders: dict[str, Path], claim: str, volume_id: str) -> Claimed:
        for attachment in self._sources.attachments.items.values():
            if attachment["spec"].get("volumeId") == volume_id:
                fault = (attachment.get("status") or {}).get("fault")
                if attachment["spec"].get("server"):
                    fault = f"server {attachment['spec']['server']} has its volume"
                said = f'persistentvolumeclaim "{claim}" cannot be mounted: {fault or "it is being attached"}'
                return Claimed(folders, said, on_its_way=not fault)
        said = f'persistentvolumeclaim "{claim}" is waiting for its volume to be attached to node {self._node}'
        return Claimed(folders, said, on_its_way=True)

    async def grown(self, volume: Object) -> None:
        """Let whoever has the volume see its new size."""
        attachment = self._sources.attachments.get(name_of(volume), namespace_of(volume))
        if attachment is None or not self.is_mine(attachment) or is_deleting(attachment):
            return
        if attachment["spec"].get("serverId"):
            await self._guests.resize_disk(attachment["spec"]["serverId"], volume["spec"]["id"])
        elif self.mounts is not None and volume["spec"]["id"] in await self.mounts.discover():
            await self._mount(attachment)

    async def _reconcile(self, key: Hashable) -> float | None:
        place = cast(Key, key)
        attachment = self._current(place)
        if attachment is None:
            return None
        follow(attachment)
        try:
            if is_deleting(attachment):
                await self._let_go(place, attachment)
            else:
                await self._carry_out(place, attachment)
        except (Temporary, Permanent) as error:
            await self._report(place, self._current(place) or attachment, {"fault": error.message})
            if isinstance(error, Temporary):
                raise Told(error.message, delay=error.delay) from error
        return None

    def _current(self, key: Key) -> Object | None:
        """The newest we know: what was watched, or what the last write answered."""
        watched = self._sources.attachments.get(key[1], key[0])
        if watched is None or not self.is_mine(watched):
            self._written.pop(key, None)
            return None
        written = self._written.get(key)
        if written is None or revision_of(watched) >= revision_of(written):
            self._written.pop(key, None)
            return watched
        return written

    def _place(self, key: Hashable) -> Place:
        namespace, name = cast(Key, key)
        return Place(VolumeAttachment.KIND, namespace, name, self._current((namespace, name)))

    async def _carry_out(self, key: Key, attachment: Object) -> None:
        spec = attachment["spec"]
        if spec.get("volumeId") not in (await self._blocks.discover()).volumes:
            await self._report(key, attachment, {"fault": f"Volume {spec['volume']} is not made yet."})
            return
        if spec.get("pods"):
            await self._mount(attachment)
        else:
            state = (await self._guests.discover()).get(spec.get("serverId") or "")
            if state is not None and state.power in ON:
                await self._guests.attach_disk(spec["serverId"], self._disk(attachment))
        since = (attachment.get("status") or {}).get("attachedAt") or rfc3339(self._clock.now())
        await self._report(key, attachment, {"phase": "Attached", "attachedAt": since, "fault": ""})

    async def _let_go(self, key: Key, attachment: Object) -> None:
        finalizers = attachment["metadata"].get("finalizers") or []
        if NODE_FINALIZER not in finalizers:
            return
        spec = attachment["spec"]
        attachment = await self._report(key, attachment, {"phase": "Detaching"})
        if spec.get("pods") and self.mounts is not None:
            await self.mounts.unmount(spec["volumeId"])
        elif spec.get("serverId"):
            await self._guests.detach_disk(spec["serverId"], spec["volumeId"])
        rest = [f for f in finalizers if f != NODE_FINALIZER]
        self._written[key] = await patch_finalizers(self._state, VolumeAttachment.KIND, attachment, rest)

    async def _mount(self, attachment: Object) -> None:
        spec = VolumeAttachment.of(attachment).spec
        if self.mounts is None:
            raise Permanent("NoMounts", f"Node {self._node} mounts no volumes for pods.")
        device = self._blocks.path(spec.volume_id)
        await self.mounts.mount(
            spec.volume_id, device, file_system=spec.file_system or "ext4", read_only=spec.read_only
        )

    def _disk(self, attachment: Object) -> GuestDisk:
        spec = VolumeAttachment.of(attachment).spec
        return GuestDisk(spec.volume_id, self._blocks.path(spec.volume_id), spec.read_only, spec.boot)

    async def _report(self, key: Key, attachment: Object, wanted: Object) -> Object:
        status = attachment.get("status") or {}
        changed = {name: value for name, value in wanted.items() if (status.get(name) or "") != value}
        if changed:
            if "phase" in changed:
                log.info("attachment %s/%s: %s", *key, changed["phase"])
            attachment = await patch_status(self._state, VolumeAttachment.KIND, attachment, changed)
            self._written[key] = attachment
        return attachment


def _order(attachment: Object) -> tuple[bool, str]:
    """The disk that is booted from first, then as they are called."""
    spec = attachment["spec"]
    return not spec.get("boot"), spec.get("device") or ""


def boots_from_volume(server: Object) -> bool:
    return any(wanted.get("boot") for wanted in server["spec"].get("volumes") or [])
