# SPDX-License-Identifier: Apache-2.0
"""Keeps each network's dnsmasq alive: its pidfd tells of its end, and the network is made whole again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from lichen.drivers.base import NetworkSpec
from lichen.drivers.pidfd import ProcessId, Watch
from lichen.model.errors import Temporary

RETRY_AFTER = 1.0


class Keepers:
    """One watch a network. `mend` is called with the network's last wanted form when its process has ended."""

    def __init__(self, mend: Callable[[NetworkSpec], Awaitable[None]]) -> None:
        self._mend = mend
        self._kept: dict[str, tuple[ProcessId, asyncio.Task[None]]] = {}
        self._wanted: dict[str, NetworkSpec] = {}

    def keep(self, network_id: str, process: ProcessId | None, network: NetworkSpec) -> None:
        """Watch the process from now on; None: there is none to watch."""
        self._wanted[network_id] = network
        if process is None:
            self.forget(network_id)
        elif network_id not in self._kept or self._kept[network_id][0] != process:
            self._drop(network_id)
            task = asyncio.create_task(self._wait(network_id, process), name=f"dnsmasq-{network_id}")
            self._kept[network_id] = process, task

    def forget(self, network_id: str) -> None:
        self._wanted.pop(network_id, None)
        self._drop(network_id)

    def close(self) -> None:
        for network_id in tuple(self._kept):
            self.forget(network_id)

    def _drop(self, network_id: str) -> None:
        _, task = self._kept.pop(network_id, (None, None))
        if task and task is not asyncio.current_task():
            task.cancel()

    async def _wait(self, network_id: str, process: ProcessId) -> None:
        watch = Watch(process)
        try:
            await watch.ended.wait()
        finally:
            watch.close()
        while network_id in self._wanted:
            try:
                await self._mend(self._wanted[network_id])
                return
            except Temporary:
                await asyncio.sleep(RETRY_AFTER)
