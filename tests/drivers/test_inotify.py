# SPDX-License-Identifier: Apache-2.0
"""Many wait for files to change."""

from __future__ import annotations

import asyncio
import os
from contextlib import ExitStack
from pathlib import Path

import pytest

from lichen.drivers.inotify import FileWatch


def instances() -> int:
    """inotify instances that this process has open."""
    found = 0
    for name in os.listdir("/proc/self/fd"):
        try:
            found += os.readlink(f"/proc/self/fd/{name}") == "anon_inode:inotify"
        except OSError:
            continue
    return found


async def set_soon(changed: asyncio.Event) -> bool:
    try:
        await asyncio.wait_for(changed.wait(), 1)
    except TimeoutError:
        return False
    return True


async def test_any_number_may_wait_with_one_instance(tmp_path: Path) -> None:
    before = instances()
    folders = [tmp_path / str(number) for number in range(300)]
    events = [asyncio.Event() for _ in folders]
    with ExitStack() as stack:
        for folder, changed in zip(folders, events, strict=True):
            folder.mkdir()
            stack.enter_context(FileWatch(folder, changed))
        during = instances()
        (folders[7] / "file").write_text("x")
        assert await set_soon(events[7])
        assert [number for number, changed in enumerate(events) if changed.is_set()] == [7]
    assert (during - before, instances() - before) == (1, 0)


async def test_those_who_wait_for_one_folder_are_all_told_until_they_leave(tmp_path: Path) -> None:
    first, second = asyncio.Event(), asyncio.Event()
    with FileWatch(tmp_path, first):
        with FileWatch(tmp_path, second):
            (tmp_path / "a").write_text("x")
            assert await set_soon(first)
            assert await set_soon(second)
        first.clear()
        second.clear()
        (tmp_path / "b").write_text("x")
        assert await set_soon(first)
        assert not second.is_set()


async def test_a_folder_that_goes_is_told_and_one_that_is_gone_is_an_error(tmp_path: Path) -> None:
    folder, changed = tmp_path / "folder", asyncio.Event()
    folder.mkdir()
    with FileWatch(folder, changed):
        folder.rmdir()
        assert await set_soon(changed)
        with pytest.raises(OSError, match="cannot watch"), FileWatch(folder, changed):
            raise AssertionError("it was watched")
