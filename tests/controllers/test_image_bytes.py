# SPDX-License-Identifier: Apache-2.0
"""The bytes of images go with their records, and an upload that was cut off can be tried again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

from lichen.controllers.image_bytes import ImageBytes
from lichen.drivers.files.images import ImageStore
from lichen.kinds.image.image import Image
from lichen.model.data import Object
from lichen.model.kind import new_object
from lichen.store.memory import MemoryStore

KEPT, GONE = "6f0fd1f1-7f0c-4c57-9a9b-0b3c8f8f6a11", "7f0fd1f1-7f0c-4c57-9a9b-0b3c8f8f6a12"


class Instant:
    """A clock on which no time passes."""

    def now(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:
        return None


async def one(data: bytes) -> AsyncIterator[bytes]:
    yield data


def an_image(id: str, phase: str = "active") -> Object:
    return {**new_object(Image.KIND, f"i-{id[0]}", "demo", {"id": id}), "status": {"phase": phase}}


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(5):
        while not await condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_bytes_without_a_record_go_at_the_start_and_with_their_record_later(tmp_path: Path) -> None:
    state, store = MemoryStore(), ImageStore(tmp_path)
    await store.put(KEPT, one(b"kept"), format="raw")
    await store.put(GONE, one(b"gone"), format="raw")
    await state.create(Image.KIND, an_image(KEPT))
    task = asyncio.create_task(ImageBytes(state, store, Instant()).run())
    try:

        async def only_kept() -> bool:
            return await store.ids() == {KEPT}

        async def none() -> bool:
            return await store.ids() == set()

        await until(only_kept)
        await state.delete(Image.KIND, "i-6", "demo")
        await until(none)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_an_upload_that_was_cut_off_can_be_tried_again(tmp_path: Path) -> None:
    state, store = MemoryStore(), ImageStore(tmp_path)
    stuck = await state.create(Image.KIND, an_image(GONE, "saving"))

    async def slow() -> AsyncIterator[bytes]:
        yield b"x"
        live = await state.create(Image.KIND, an_image(KEPT, "saving"))
        await ImageBytes(state, store, Instant()).release([stuck, live])

    await store.put(KEPT, slow(), format="raw")
    phases = {i["spec"]["id"]: i["status"]["phase"] for i in (await state.list(Image.KIND)).items}
    assert phases == {GONE: "queued", KEPT: "saving"}
