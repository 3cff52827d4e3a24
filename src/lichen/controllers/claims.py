# SPDX-License-Identifier: Apache-2.0
"""PersistentVolumeClaims are bound, and attached where pods mount them; PersistentVolumes without a claim go."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from lichen.controllers.base import Key, Mapper, World
from lichen.kinds.builtin import PERSISTENT_VOLUME, PERSISTENT_VOLUME_CLAIM, POD, STORAGE_CLASS
from lichen.kinds.volume.attachment import VolumeAttachment
from lichen.kinds.volume.volume import Volume
from lichen.model.data import Object
from lichen.model.kind import Kind
from lichen.model.meta import name_of, namespace_of
from lichen.planning.claims import (
    ClaimWorld,
    claims_of,
    handle_of,
    plan_claim,
    plan_mounts,
    plan_persistent,
    volume_name,
)
from lichen.planning.times import seconds_of

ENDED = ("Succeeded", "Failed")
MOUNTS, HANDLE, ID, CLAIM = "mounts", "handle", "id", "claim"


class _Volumes:
    """The informers that both controllers look at."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.claims = world.informer(PERSISTENT_VOLUME_CLAIM)
        self.persistent = world.informer(PERSISTENT_VOLUME)
        self.volumes = world.informer(Volume.KIND)
        self.attachments = world.informer(VolumeAttachment.KIND)
        self.persistent.add_index(HANDLE, lambda pv: [handle_of(pv)] if handle_of(pv) else [])
        self.persistent.add_index(CLAIM, _claim_of)
        self.volumes.add_index(ID, lambda volume: [volume["spec"].get("id") or ""])

    def by_id(self, volume_id: str) -> Object | None:
        return next(iter(self.volumes.by_index(ID, volume_id)), None) if volume_id else None


class ClaimController(_Volumes):
    name: ClassVar[str] = "claim"
    kind: ClassVar[Kind] = PERSISTENT_VOLUME_CLAIM

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.pods = world.informer(POD)
        self.classes = world.informer(STORAGE_CLASS)
        self.pods.add_index(MOUNTS, lambda pod: [f"{namespace_of(pod)}/{name}" for name in claims_of(pod)])
        self.watches: Mapping[Kind, Mapper] = {
            POD: lambda pod: [(namespace_of(pod), name) for name in claims_of(pod)],
            PERSISTENT_VOLUME: self._of_persistent,
            Volume.KIND: self._of_volume,
            VolumeAttachment.KIND: self._of_attachment,
            STORAGE_CLASS: lambda _: self._waiting(),
        }

    async def reconcile(self, key: Key) -> float | None:
        claim = self.claims.get(key[1], key[0])
        if claim is None:
            return None
        persistent = self.persistent.get(claim["spec"].get("volumeName") or "")
        pods = self._pods(key)
        volume = self.by_id(handle_of(persistent)) or self.volumes.get(volume_name(claim), key[0])
        world = ClaimWorld(
            storage_class=self.classes.get(claim["spec"].get("storageClassName") or ""),
            volume=volume,
            persistent=persistent,
            free=[*self.persistent.by_index(CLAIM, f"{key[0]}/{key[1]}"), *self.persistent.by_index(CLAIM, "")],
            pods=pods,
        )
        steps = plan_claim(claim, world)
        if handle_of(persistent) and volume is not None:
            attachment = self.attachments.get(name_of(volume), namespace_of(volume))
            steps += plan_mounts(persistent, volume, pods, attachment)
        await self.world.apply_told(steps, claim, "ProvisioningFailed")
        return None

    def _pods(self, key: Key) -> list[Object]:
        """Those that mount the claim and have not ended, the oldest first."""
        mounting = self.pods.by_index(MOUNTS, f"{key[0]}/{key[1]}")
        alive = [pod for pod in mounting if (pod.get("status") or {}).get("phase") not in ENDED]
        return sorted(alive, key=lambda p: (seconds_of(p["metadata"].get("creationTimestamp")), name_of(p)))

    def _of_persistent(self, persistent: Object) -> list[Key]:
        reference = persistent["spec"].get("claimRef")
        return [(reference["namespace"], reference["name"])] if reference else self._waiting()

    def _of_volume(self, volume: Object) -> list[Key]:
        keys = [key for pv in self.persistent.by_index(HANDLE, volume["spec"].get("id") or "")
                for key in self._of_persistent(pv)]  # fmt: skip
        if volume["spec"].get("claim"):
            keys.append((namespace_of(volume), volume["spec"]["claim"]))
        return keys or [key for key in self._waiting() if key[0] == namespace_of(volume)]

    def _of_attachment(self, attachment: Object) -> list[Key]:
        volume = self.volumes.get(name_of(attachment), namespace_of(attachment))
        return self._of_volume(volume) if volume is not None else []

    def _waiting(self) -> list[Key]:
        claims = self.claims.items.values()
        return [(namespace_of(c), name_of(c)) for c in claims if not c["spec"].get("volumeName")]


class PersistentVolumeController(_Volumes):
    name: ClassVar[str] = "persistent-volume"
    kind: ClassVar[Kind] = PERSISTENT_VOLUME

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.watches: Mapping[Kind, Mapper] = {
            PERSISTENT_VOLUME_CLAIM: self._of_claim,
            Volume.KIND: lambda volume: self._of_id(volume["spec"].get("id") or ""),
            VolumeAttachment.KIND: lambda attachment: self._of_id(attachment["spec"].get("volumeId") or ""),
        }

    async def reconcile(self, key: Key) -> float | None:
        persistent = self.persistent.get(key[1])
        if persistent is None:
            return None
        reference = persistent["spec"].get("claimRef") or {}
        claim = self.claims.get(reference.get("name") or "", reference.get("namespace") or "")
        volume = self.by_id(handle_of(persistent))
        attachment = self.attachments.get(name_of(volume), namespace_of(volume)) if volume is not None else None
        await self.world.apply(plan_persistent(persistent, claim, volume, attachment))
        return None

    def _of_id(self, volume_id: str) -> list[Key]:
        return [("", name_of(pv)) for pv in self.persistent.by_index(HANDLE, volume_id)]

    def _of_claim(self, claim: Object) -> list[Key]:
        mine = self.persistent.by_index(CLAIM, f"{namespace_of(claim)}/{name_of(claim)}")
        return [("", name_of(persistent)) for persistent in mine]


def _claim_of(persistent: Object) -> list[str]:
    """The claim that a PersistentVolume is meant for, "" for any."""
    reference = persistent["spec"].get("claimRef")
    return [f"{reference.get('namespace')}/{reference.get('name')}" if reference else ""]
