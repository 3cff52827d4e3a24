# SPDX-License-Identifier: Apache-2.0
"""Writes to a store for ever from eight tasks, and prints every answer once it was given: the victim of kill -9.

Each task owns its objects: creates one, changes it twice and deletes every third. A line is the object's name and its
value, ? before it is deleted (from then on it may be there or not) and - once it is.
"""

from __future__ import annotations

import asyncio
import os
import sys
from itertools import count

from lichen.kinds.builtin import CONFIG_MAP
from lichen.store import SqliteStore


def tell(text: str) -> None:
    os.write(1, f"{text}\n".encode())


async def write(store: SqliteStore, prefix: str) -> None:
    for number in count():
        name = f"{prefix}-{number}"
        metadata = {"name": name, "namespace": "conformance-a"}
        await store.create(CONFIG_MAP, {"metadata": metadata, "data": {"value": "0"}})
        tell(f"{name} 0")
        for value in (1, 2):
            await store.patch(CONFIG_MAP, name, "conformance-a", {"data": {"value": str(value)}})
            tell(f"{name} {value}")
        if number % 3 == 2:
            tell(f"{prefix}-{number - 1} ?")
            await store.delete(CONFIG_MAP, f"{prefix}-{number - 1}", "conformance-a")
            tell(f"{prefix}-{number - 1} -")


async def main(path: str, round_: str) -> None:
    store = await SqliteStore.open(path)
    tell("ready")
    await asyncio.gather(*(write(store, f"r{round_}-t{task}") for task in range(8)))


asyncio.run(main(*sys.argv[1:3]))
