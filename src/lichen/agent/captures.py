# SPDX-License-Identifier: Apache-2.0
"""Images whose bytes are taken from a disk of this node, instead of being uploaded: a server's, or a volume."""

from __future__ import annotations

import asyncio
import logging
import shutil
import tempfile
from collections.abc import AsyncIterator, Hashable
from pathlib import Path
from typing import BinaryIO, cast

from lichen.agent.failures import Failures, Place
from lichen.agent.reporting import patch_status
from lichen.agent.sources import Sources
from lichen.agent.workers import Workers
from lichen.drivers.base import BlockDriver, GuestDriver, Readable
from lichen.drivers.files.formats import BadImage
from lichen.drivers.files.images import ImageStore, Stored, StoreFull, TooBig
from lichen.kinds.image.image import Image
from lichen.model.data import Object
from lichen.model.errors import Conflict, NotFound, Permanent, Temporary
from lichen.model.meta import name_of, namespace_of
from lichen.model.state import State
from lichen.model.tracing import follow
from lichen.runtime.clock import Clock

log = logging.getLogger(__name__)
BLOCK = 1 << 20
LIMIT = 1 << 40
DRAFTS = ".captures"
"""Folder beside the images for what is not one yet: the same file system, but no image's name."""


class Captures:
    """Takes each such image once. One that was interrupted by the agent's end is taken again from the start."""

    def __init__(
        self,
        node: str,
        state: State,
        guests: GuestDriver,
        blocks: BlockDriver | None,
        sources: Sources,
        images: Path,
        clock: Clock,
        failures: Failures,
    ) -> None:
        self.workers = Workers(self._reconcile, clock, failures.teller(self._place))
        self._node = node
        self._state = state
        self._guests = guests
        self._blocks = blocks
        self._sources = sources
        self._images = images
        self._drafts = images / DRAFTS / node

    def start(self) -> None:
        """Begin with what was asked for while nobody was here; drafts of a former life go."""
        shutil.rmtree(self._drafts, ignore_errors=True)
        for image in self._sources.images.items.values():
            self.told(image)

    def told(self, image: Object) -> None:
        """Something about an image changed."""
        if image["spec"].get("node") == self._node and _phase(image) in ("", "queued", "saving"):
            self.workers.poke((namespace_of(image), name_of(image)))

    async def _reconcile(self, key: Hashable) -> float | None:
        namespace, name = cast("tuple[str, str]", key)
        try:
            image = await self._state.get(Image.KIND, name, namespace)
        except NotFound:
            return None
        if image["spec"].get("node") != self._node or _phase(image) not in ("", "queued", "saving"):
            return None
        follow(image)
        try:
            log.info("image %s/%s is taken", namespace, name)
            image = await patch_status(self._state, Image.KIND, image, {"phase": "saving"})
            stored = await self._take(image)
            await patch_status(self._state, Image.KIND, image, stored.status(image["spec"]["id"]))
        except (NotFound, Conflict) as gone:
            log.info("image %s: %s", name, gone)
        except StoreFull as error:
            raise Temporary(str(error), delay=30.0) from error
        except (Permanent, BadImage, TooBig) as error:
            log.warning("image %s/%s cannot be taken: %s", namespace, name, error)
            await patch_status(self._state, Image.KIND, image, {"phase": "killed", "fault": str(error)})
        return None

    def _place(self, key: Hashable) -> Place:
        namespace, name = cast("tuple[str, str]", key)
        return Place(Image.KIND, namespace, name, self._sources.images.get(name, namespace))

    async def _take(self, image: Object) -> Stored:
        spec = image["spec"]
        store = ImageStore(self._images)
        if spec.get("volumeId"):
            if self._blocks is None or spec["volumeId"] not in (await self._blocks.discover()).volumes:
                raise Permanent("VolumeMissing", f"Volume {spec.get('volume')} is not on node {self._node}.")
            if isinstance(self._blocks, Readable):
                source = self._blocks.chunks(spec["volumeId"])
            else:
                source = _chunks(self._blocks.path(spec["volumeId"]))
            return await store.put(spec["id"], source, format=spec["diskFormat"], limit=LIMIT)
        await asyncio.to_thread(self._drafts.mkdir, mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self._drafts) as folder:
            draft = Path(folder) / "disk.qcow2"
            await self._guests.capture(spec.get("serverId") or "", draft)
            return await store.put(spec["id"], _chunks(draft), format="qcow2", limit=LIMIT)


def _phase(image: Object) -> str:
    return (image.get("status") or {}).get("phase") or ""


async def _chunks(path: Path) -> AsyncIterator[bytes]:
    file: BinaryIO = await asyncio.to_thread(path.open, "rb")
    with file:
        while block := await asyncio.to_thread(file.read, BLOCK):
            yield block
