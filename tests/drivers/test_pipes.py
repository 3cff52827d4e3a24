# SPDX-License-Identifier: Apache-2.0
"""A writer whose other side does not read."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator

import pytest

from lichen.drivers.pipes import ENOUGH, PipeWriter


@pytest.fixture
def ends() -> Iterator[tuple[int, int]]:
    read, write = os.pipe()
    os.set_blocking(write, False)
    yield read, write
    os.close(read)


async def has_room(writer: PipeWriter) -> bool:
    try:
        await asyncio.wait_for(writer.room(), 0.1)
    except TimeoutError:
        return False
    return True


async def test_there_is_room_until_much_waits_and_again_when_it_is_read(ends: tuple[int, int]) -> None:
    read, write = ends
    writer = PipeWriter(write)
    writer.write(b"a" * ENOUGH)
    before = await has_room(writer)
    writer.write(b"b" * ENOUGH)
    full = await has_room(writer)
    got = 0
    while got < 2 * ENOUGH:
        got += len(await asyncio.to_thread(os.read, read, ENOUGH))
    assert (before, full, await has_room(writer)) == (True, False, True)
    writer.close()


async def test_who_waits_for_room_is_let_go_when_nobody_reads_any_more(ends: tuple[int, int]) -> None:
    writer = PipeWriter(ends[1])
    writer.write(b"a" * 3 * ENOUGH)
    waiting = asyncio.create_task(writer.room())
    await asyncio.sleep(0)
    writer.close()
    await asyncio.wait_for(waiting, 1)
