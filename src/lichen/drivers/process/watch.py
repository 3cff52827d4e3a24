# SPDX-License-Identifier: Apache-2.0
"""Ends of processes, told by the kernel (pidfd) the moment they happen."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable

from lichen.drivers.process.orders import Process, Started


class Watcher:
    """Says which pod a supervisor belonged to when it ends. reap: called with its pid."""

    def __init__(self, reap: Callable[[int], None]) -> None:
        self._reap = reap
        self._watched: dict[Process, int] = {}
        self._listeners: set[asyncio.Queue[str | None]] = set()

    def watch(self, uid: str, started: Started) -> None:
        """Watch an attempt's supervisor; one that is watched or gone already changes nothing."""
        self._watch(uid, started.shim, started)

    def _watch(self, uid: str, process: Process, started: Started) -> bool:
        if process in self._watched:
            return True
        descriptor = process.open()
        if descriptor < 0:
            return False
        self._watched[process] = descriptor
        asyncio.get_running_loop().add_reader(descriptor, self._ended, uid, process, started)
        return True

    def _ended(self, uid: str, process: Process, started: Started) -> None:
        self._drop(process)
        self._reap(process.pid)
        if process == started.shim and self._watch(uid, started.process, started):
            return  # the supervisor was killed, and its process is about to go the same way
        for listener in self._listeners:
            listener.put_nowait(uid)

    def _drop(self, process: Process) -> None:
        descriptor = self._watched.pop(process)
        asyncio.get_running_loop().remove_reader(descriptor)
        os.close(descriptor)

    async def changes(self) -> AsyncIterator[str]:
        listener: asyncio.Queue[str | None] = asyncio.Queue()
        self._listeners.add(listener)
        try:
            while (uid := await listener.get()) is not None:
                yield uid
        finally:
            self._listeners.discard(listener)

    def close(self) -> None:
        for process in list(self._watched):
            self._drop(process)
        for listener in self._listeners:
            listener.put_nowait(None)


async def ended(descriptor: int, timeout: float) -> bool:
    """Wait for a pidfd's process; whether it ended in time."""
    loop = asyncio.get_running_loop()
    over = asyncio.Event()
    # A descriptor of its own: the loop knows one callback for each.
    own = os.dup(descriptor)
    loop.add_reader(own, over.set)
    try:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(over.wait(), timeout)
    finally:
        loop.remove_reader(own)
        os.close(own)
    return over.is_set()
