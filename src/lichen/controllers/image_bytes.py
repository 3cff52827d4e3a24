# SPDX-License-Identifier: Apache-2.0
"""The bytes of images go with their records, and an upload that was cut off can be tried again.

Runs beside the image store, once per store: `await ImageBytes(state, store, clock).run()`.
"""

from __future__ import annotations

import logging

from lichen.drivers.files.images import ImageStore
from lichen.kinds.image.image import Image
from lichen.model.data import Object
from lichen.model.errors import ApiError, Conflict, Expired, NotFound
from lichen.model.meta import name_of, namespace_of, revision_of
from lichen.model.state import EventType, State
from lichen.runtime.clock import Clock

log = logging.getLogger(__name__)
RETRY = 5.0
PATIENCE = 60.0
"""Seconds for which an image may be `saving` before its upload shows in the store."""


class ImageBytes:
    """Whoever deletes an image, in whichever language: its bytes follow."""

    def __init__(self, state: State, store: ImageStore, clock: Clock) -> None:
        self._state = state
        self._store = store
        self._clock = clock

    async def run(self) -> None:
        """For ever. After a gap in what was seen, everything is looked at again."""
        while True:
            try:
                await self._look_and_follow()
            except Expired:
                continue
            except ApiError as error:
                log.info("images cannot be followed: %s", error.message)
                await self._clock.sleep(RETRY)

    async def _look_and_follow(self) -> None:
        stored = await self._store.ids()  # before the list: what is uploaded meanwhile is in neither
        page = await self._state.list(Image.KIND)
        await self.remove_all(stored - {_id(image) for image in page.items})
        await self.release(page.items)
        await self._follow(page.revision)

    async def remove_all(self, ids: set[str]) -> None:
        for id in sorted(ids):
            log.info("image %s is gone: its bytes are removed", id)
            await self._store.delete(id)

    async def release(self, images: list[Object]) -> None:
        """Images that nobody uploads any more, though they are `saving`, are queued again."""
        stuck = [image for image in images if (image.get("status") or {}).get("phase") == "saving"]
        if not stuck:
            return
        await self._clock.sleep(PATIENCE)
        alive = await self._store.uploading()
        for image in stuck:
            if _id(image) not in alive:
                await self._queue(image)

    async def _queue(self, image: Object) -> None:
        patch = {"metadata": {"resourceVersion": str(revision_of(image))}, "status": {"phase": "queued"}}
        try:
            await self._state.patch(Image.KIND, name_of(image), namespace_of(image), patch, subresource="status")
        except (Conflict, NotFound):
            return  # it moved on by itself

    async def _follow(self, since: int) -> None:
        async for event in self._state.watch(Image.KIND, since=since):
            if event.type == EventType.DELETED:
                await self.remove_all({_id(event.object)} & await self._store.ids())


def _id(image: Object) -> str:
    id: str = (image.get("spec") or {}).get("id", "")
    return id
