# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

pytestmark = pytest.mark.real

SCRIPT = """
import asyncio, sys
from pathlib import Path
from lichen.kinds.builtin import CONFIG_MAP
from lichen.model.errors import InsufficientStorage
from lichen.store import SqliteStore

folder = Path(sys.argv[1])


def a_map(name):
    return {"metadata": {"name": name, "namespace": "default"}, "data": {"text": "x" * 3000}}


async def fill(store, prefix):
    answered = []
    try:
        while True:
            names = [f"{prefix}-{len(answered) + n}" for n in range(8)]
            done = await asyncio.gather(*(store.create(CONFIG_MAP, a_map(n)) for n in names), return_exceptions=True)
            answered += [n for n, result in zip(names, done) if isinstance(result, dict)]
            for result in done:
                if isinstance(result, Exception):
                    raise result
    except InsufficientStorage:
        return answered


async def main():
    ballast = folder / "ballast"
    ballast.write_bytes(b"x" * (2 << 20))
    store = await SqliteStore.open(folder / "store.db")
    first = await fill(store, "first")
    listed = [o["metadata"]["name"] for o in (await store.list(CONFIG_MAP)).items]
    assert sorted(first) == listed and first, (len(first), len(listed))
    revision = store.revision
    ballast.unlink()
    second = await fill(store, "second")
    assert len(second) > 100 and store.revision == revision + len(second), (revision, store.revision, len(second))
    await store.close()
    store = await SqliteStore.open(folder / "store.db")
    assert sorted(first + second) == [o["metadata"]["name"] for o in (await store.list(CONFIG_MAP)).items]
    await store.close()


asyncio.run(main())
"""


def test_a_store_on_a_full_disk_loses_nothing_and_goes_on_when_there_is_room(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(SCRIPT))
    command = f"mount -t tmpfs -o size=8m tmpfs {disk} && exec {sys.executable} {script} {disk}"
    result = subprocess.run(
        ["unshare", "--mount", "--propagation", "private", "sh", "-c", command],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
