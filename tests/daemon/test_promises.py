# SPDX-License-Identifier: Apache-2.0
"""What a crash of the machine may leave of the store's log, and what is read back of it."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import signal
import sys
from pathlib import Path

import pytest

from lichen.kinds.builtin import CONFIG_MAP
from lichen.store import SqliteStore, StoreError

WRITES = 150
SCRIPT = f"""
import asyncio, os, sys
from lichen.kinds.builtin import CONFIG_MAP
from lichen.store import SqliteStore

async def main():
    store = await SqliteStore.open(sys.argv[1])
    for number in range({WRITES}):
        metadata = {{"name": f"w-{{number:04}}", "namespace": "default"}}
        await store.create(CONFIG_MAP, {{"metadata": metadata, "data": {{"text": "x" * (number * 37 % 5000)}}}})
        os.write(1, b"%d\\n" % os.stat(sys.argv[1] + "-wal").st_size)
    await asyncio.sleep(60)

asyncio.run(main())
"""


async def killed_store(folder: Path) -> list[int]:
    """A store whose writer was killed: how long the log was when each write was answered."""
    writer = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SCRIPT, str(folder / "s.db"), stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert writer.stdout is not None
    lengths = [int(await writer.stdout.readline()) for _ in range(WRITES)]
    writer.send_signal(signal.SIGKILL)
    await writer.wait()
    assert lengths == sorted(lengths), "the log was begun anew: write less"
    return lengths


async def names_in(path: Path, *, then: str = "") -> list[str]:
    """What the store holds; `then` is written afterwards."""
    store = await SqliteStore.open(path)
    names = [item["metadata"]["name"] for item in (await store.list(CONFIG_MAP)).items]
    if then:
        await store.create(CONFIG_MAP, {"metadata": {"name": then, "namespace": "default"}})
    await store.close()
    return names


def copied(source: Path, target: Path) -> Path:
    target.mkdir()
    for name in ("s.db", "s.db-wal"):
        shutil.copyfile(source / name, target / name)
    return target


async def test_a_log_that_is_cut_off_or_torn_gives_back_every_write_answered_before_the_tear(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    lengths = await killed_store(source)
    seed = random.randrange(1 << 32)
    places = random.Random(seed)
    for round_ in range(24):
        tear = places.randrange(lengths[-1] + 1)
        folder = copied(source, tmp_path / str(round_))
        with (folder / "s.db-wal").open("r+b") as log:
            if round_ % 2:
                log.truncate(tear)
            else:  # the page that was being written holds something else from here on
                log.seek(tear)
                log.write(places.randbytes(min(2048, lengths[-1] - tear)))
        answered = sum(length <= tear for length in lengths)
        try:
            names = await names_in(folder / "s.db", then="z-after")
        except StoreError as error:
            raise AssertionError(f"seed {seed}, torn at {tear}: {error}") from error
        assert names == [f"w-{number:04}" for number in range(len(names))], (seed, tear)
        assert len(names) >= answered, (seed, tear, len(names), answered)
        assert await names_in(folder / "s.db") == [*names, "z-after"], (seed, tear)


async def test_a_damaged_file_is_named_in_words_and_not_taken_for_an_empty_one(tmp_path: Path) -> None:
    await killed_store(tmp_path)
    path = tmp_path / "s.db"
    assert len(await names_in(path)) == WRITES
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (size - 4096))
    with pytest.raises(StoreError, match=r"s\.db: .*malformed"):
        await SqliteStore.open(path)
