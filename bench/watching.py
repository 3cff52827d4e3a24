# SPDX-License-Identifier: Apache-2.0
"""When each object of a kind became what a benchmark waits for: a watch of the Kubernetes API."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import msgspec

from bench.http import connect
from bench.lib import Cloud


class Watching:
    """path: of the collection. wanted: whether an object is there. `when`: its name → time.perf_counter()."""

    def __init__(self, cloud: Cloud, path: str, wanted: Callable[[Any], bool]) -> None:
        self.when: dict[str, float] = {}
        self._cloud, self._path, self._wanted = cloud, path, wanted
        self._rest = b""
        self._more = asyncio.Event()

    async def start(self) -> None:
        """From what is there now on."""
        self._connection = await connect(self._cloud.kubernetes_url)
        self._connection.on_data = self._take
        self._connection.send("GET", f"{self._path}?watch=1", self._cloud.admin)
        await asyncio.sleep(0.3)

    def _take(self, data: bytes) -> None:
        now = time.perf_counter()
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            obj = msgspec.json.decode(line)["object"]
            if self._wanted(obj):
                self.when.setdefault(obj["metadata"]["name"], now)
        self._more.set()

    async def until(self, count: int, seconds: float = 180.0) -> None:
        """TimeoutError: fewer than `count` objects are there after so many seconds."""
        async with asyncio.timeout(seconds):
            while len(self.when) < count:
                self._more.clear()
                await self._more.wait()

    def close(self) -> None:
        self._connection.close()
