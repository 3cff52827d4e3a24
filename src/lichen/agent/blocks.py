# SPDX-License-Identifier: Apache-2.0
"""The volumes and snapshots of one node: discover the bytes, plan, run the steps, report."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Hashable
from pathlib import Path
from typing import cast

from lichen.agent.counting import counted
from lichen.agent.failures import Failures, Place, Told
from lichen.agent.reporting import patch_finalizers, patch_status
from lichen.agent.sources import Sources
from lichen.agent.workers import Workers
from lichen.drivers.base import BlockDriver, Blocks, BlockSpec
from lichen.drivers.files.images import is_image_id
from lichen.kinds.image.image import Image
from lichen.kinds.volume.attachment import VolumeAttachment
from lichen.kinds.volume.snapshot import VolumeSnapshot
from lichen.kinds.volume.volume import Volume
from lichen.model.data import Object
from lichen.model.errors import Permanent, Temporary
from lichen.model.kind import Kind
from lichen.model.meta import is_deleting, name_of, namespace_of, revision_of
from lichen.model.names import NODE_FINALIZER
from lichen.model.state import State
from lichen.model.tracing import follow
from lichen.planning import volume as plan
from lichen.planning.copies import pending_copy, sources_of
from lichen.runtime.clock import Clock

log = logging.getLogger(__name__)

Key = tuple[str, str, str]
"""(plural of the kind, namespace, name)"""
KINDS: dict[str, Kind] = {kind.plural: kind for kind in (Volume.KIND, VolumeSnapshot.KIND)}
ROUNDS = 8


class NodeVolumes:
    """Brings the volumes and snapshots of a node to life."""

    def __init__(
        self,
        node: str,
        state: State,
        driver: BlockDriver,
        sources: Sources,
        images: Path,
        clock: Clock,
        failures: Failures,
    ) -> None:
        self.driver = driver
        self.grown: Callable[[Object], Awaitable[None]] | None = None
        """Told when a volume has become larger."""
        self.workers = Workers(self._reconcile, clock, failures.teller(self._place))
        self._node = node
        self._state = state
        self._sources = sources
        self._images = images
        self._clock = clock
        self._written: dict[Key, Object] = {}

    def start(self) -> None:
        """Begin with all."""
        for informer in (self._sources.volumes, self._sources.snapshots):
            for obj in list(informer.items.values()):
                if self.is_mine(obj):
                    self.told(obj)

    def told(self, obj: Object) -> None:
        """Something about a volume or a snapshot changed; or a volume is attached, or no longer."""
        if obj.get("kind") == VolumeAttachment.KIND.kind:
            self.workers.poke((Volume.KIND.plural, namespace_of(obj), obj["spec"]["volume"]))
            return
        plural = VolumeSnapshot.KIND.plural if obj.get("kind") == VolumeSnapshot.KIND.kind else Volume.KIND.plural
        self.workers.poke((plural, namespace_of(obj), name_of(obj)))
        if plural == Volume.KIND.plural:
            self.copy_changed(obj)

    def copy_changed(self, copy: Object) -> None:
        """What a volume, or an image, is made from may wait to be deleted until it is."""
        for kind, name in sources_of(copy):
            is_volume = kind == Volume.KIND.kind
            source = (self._sources.volumes if is_volume else self._sources.snapshots).get(name, namespace_of(copy))
            if source is not None and is_deleting(source):
                plural = Volume.KIND.plural if is_volume else VolumeSnapshot.KIND.plural
                self.workers.poke((plural, namespace_of(copy), name))

    def is_mine(self, obj: Object) -> bool:
        return bool(obj["spec"].get("node") == self._node)

    async def _reconcile(self, key: Hashable) -> float | None:
        place = cast(Key, key)
        for _ in range(ROUNDS):
            obj = self._current(place)
            if obj is None:
                return None
            follow(obj)
            copy = await self._copy_of(obj) if is_deleting(obj) else ""
            steps = self._plan(place, obj, await self.driver.discover(), copy)
            await self._run(place, obj, steps)
            if plan.LetGo() in steps or all(isinstance(step, plan.Report) for step in steps):
                return None
        raise Temporary(f"{place[0]} {place[2]} does not settle.", delay=5.0)

    def _current(self, key: Key) -> Object | None:
        """The newest we know: what was watched, or what the last write answered."""
        informer = self._sources.volumes if key[0] == Volume.KIND.plural else self._sources.snapshots
        watched = informer.get(key[2], key[1])
        if watched is None or not self.is_mine(watched):
            self._written.pop(key, None)
            return None
        written = self._written.get(key)
        if written is None or revision_of(watched) >= revision_of(written):
            self._written.pop(key, None)
            return watched
        return written

    def _place(self, key: Hashable) -> Place:
        plural, namespace, name = cast(Key, key)
        return Place(KINDS[plural], namespace, name, self._current((plural, namespace, name)))

    def _plan(self, key: Key, obj: Object, found: Blocks, copy: str) -> list[plan.Step]:
        now, id = self._clock.now(), obj["spec"].get("id") or ""
        if key[0] == Volume.KIND.plural:
            source, words = self._source(obj, found)
            actual = plan.VolumeActual(found.volumes.get(id, -1), source, words, self._user_of(obj), copy)
            return plan.plan_volume(Volume.of(obj), actual, now)
        there = obj["spec"].get("volumeId") in found.volumes
        actual = plan.VolumeActual(
            found.snapshots.get(id, -1),
            "ready" if there else "lost",
            f"Volume {obj['spec'].get('volume')} is gone.",
            copy=copy,
        )
        return plan.plan_snapshot(VolumeSnapshot.of(obj), actual, now)

    def _source(self, volume: Object, found: Blocks) -> tuple[str, str]:
        """(ready, waiting or lost; why) of what the volume is copied from."""
        spec = volume["spec"]
        for id, sizes, what in (
            (spec.get("snapshotId"), found.snapshots, f"Snapshot {spec.get('snapshot')}"),
            (spec.get("sourceId"), found.volumes, f"Volume {spec.get('source')}"),
        ):
            if id and id not in sizes:
                return "lost", f"{what} is not on node {self._node}."
        image_id = spec.get("imageId")
        if not image_id:
            return "ready", ""
        if not is_image_id(image_id):
            return "lost", f"{image_id!r} is not an image's id."
        if (self._images / image_id).exists():
            return "ready", ""
        image = self._sources.image(image_id)
        phase = (image.get("status") or {}).get("phase") or "queued" if image else "gone"
        if phase in ("gone", "killed", "deactivated"):
            return "lost", f"Image {spec.get('image')} is {phase}."
        return "waiting", f"Image {spec.get('image')} is {phase}; its bytes are not on node {self._node} yet."

    def _user_of(self, volume: Object) -> str:
        attachment = self._sources.attachments.get(name_of(volume), namespace_of(volume))
        if attachment is None:
            return ""
        server = attachment["spec"].get("server")
        return f"server {server}" if server else f"the pods of node {attachment['spec'].get('node')}"

    async def _copy_of(self, source: Object) -> str:
        """One of the things that are still to be made from `source`, in words, "" if there is none. Asked of the state
        itself: all that was answered before the source was told to go is there."""
        here = f"spec.node={self._node}"
        volumes, images = [(await self._state.list(kind, fields=here)).items for kind in (Volume.KIND, Image.KIND)]
        copy = pending_copy(source, [*volumes, *images])
        return f"{copy['kind'].lower()} {name_of(copy)}" if copy is not None else ""

    async def _run(self, key: Key, obj: Object, steps: list[plan.Step]) -> None:
        try:
            for step in steps:
                with counted("volume", obj, step):
                    obj = await self._step(key, obj, step)
        except (Permanent, Temporary) as error:
            typed = Volume.of(obj) if key[0] == Volume.KIND.plural else VolumeSnapshot.of(obj)
            if isinstance(error, Temporary):
                report = plan.trouble(typed, error.message, self._clock.now())
            else:
                log.warning("%s %s/%s: %s: %s", *key, error.reason, error.message)
                report = plan.fault(typed, error.reason, error.message, self._clock.now())
            for step in report:
                obj = await self._step(key, obj, step)
            if isinstance(error, Temporary):
                raise Told(error.message, delay=error.delay) from error

    async def _step(self, key: Key, obj: Object, step: plan.Step) -> Object:
        """Carry out one step; the object as it is then."""
        kind, id = KINDS[key[0]], obj["spec"]["id"]
        is_volume = kind == Volume.KIND
        match step:
            case plan.Report(status):
                return self._wrote(key, await patch_status(self._state, kind, obj, status))
            case plan.Hold():
                finalizers = [*(obj["metadata"].get("finalizers") or []), NODE_FINALIZER]
                return self._wrote(key, await patch_finalizers(self._state, kind, obj, finalizers))
            case plan.LetGo():
                rest = [f for f in obj["metadata"].get("finalizers") or [] if f != NODE_FINALIZER]
                return self._wrote(key, await patch_finalizers(self._state, kind, obj, rest))
            case plan.Make() if is_volume:
                await self.driver.create(self._spec(obj))
            case plan.Make():
                await self.driver.snapshot(id, obj["spec"]["volumeId"])
            case plan.Grow(size):
                await self.driver.grow(id, size)
            case plan.TellGrown() if self.grown is not None:
                await self.grown(obj)
            case plan.Remove() if is_volume:
                await self.driver.delete(id)
            case plan.Remove():
                await self.driver.delete_snapshot(id)
        return obj

    def _spec(self, volume: Object) -> BlockSpec:
        spec = Volume.of(volume).spec
        image = self._sources.image(spec.image_id) if spec.image_id else None
        return BlockSpec(
            id=spec.id,
            size=spec.size * plan.GIB,
            volume_id=spec.source_id,
            snapshot_id=spec.snapshot_id,
            image=self._images / spec.image_id if spec.image_id else None,
            image_format=((image or {}).get("spec") or {}).get("diskFormat") or "raw",
        )

    def _wrote(self, key: Key, obj: Object) -> Object:
        self._written[key] = obj
        return obj
