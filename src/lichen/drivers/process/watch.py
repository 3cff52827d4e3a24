# SPDX-License-Identifier: Apache-2.0
"""Ends of processes, told the moment they are on record: by the host, or by the kernel (pidfd) if the host is gone."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from lichen.drivers.process.orders import Started


def connected(host: Path) -> socket.socket:
    """A connection to the host of processes. OSError: there is none."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        connection.connect(str(host))
    except OSError:
        connection.close()
        raise
    return connection


def followed(host: Path, folder: Path) -> socket.socket:
    """A connection that closes once the attempt's end is on record. OSError: no host."""
    connection = connected(host)
    try:
        connection.send(f"follow {folder}".encode())
    except OSError:
        connection.close()
        raise
    return connection


class Watcher:
    """Says which pod an attempt belonged to when it ends. host: the socket of the host of processes."""

    def __init__(self, host: Path) -> None:
        self._host = host
        self._watched: dict[Path, Callable[[], None]] = {}
        """Attempts by their folders, with how to stop watching."""
        self._listeners: set[asyncio.Queue[str | None]] = set()

    def watch(self, uid: str, folder: Path, started: Started, connection: socket.socket | None = None) -> None:
        """Watch an attempt; one that is watched or over already changes nothing. connection: the one it was started
        by."""
        if folder in self._watched:
            return
        try:
            connection = connection or followed(self._host, folder)
        except OSError:
            self._outlive(uid, folder, started)
            return
        descriptor = connection.fileno()
        asyncio.get_running_loop().add_reader(descriptor, self._recorded, uid, folder, started)
        self._watched[folder] = lambda: _forget(descriptor, connection.close)

    def _outlive(self, uid: str, folder: Path, started: Started) -> bool:
        """The host is gone, and its process goes the same way: until then."""
        descriptor = started.process.open()
        if descriptor < 0:
            return False
        asyncio.get_running_loop().add_reader(descriptor, self._tell, uid, folder)
        self._watched[folder] = lambda: _forget(descriptor, lambda: os.close(descriptor))
        return True

    def _recorded(self, uid: str, folder: Path, started: Started) -> None:
        self._watched.pop(folder)()
        if not self._outlive(uid, folder, started):
            self._say(uid)

    def _tell(self, uid: str, folder: Path) -> None:
        self._watched.pop(folder)()
        self._say(uid)

    def _say(self, uid: str) -> None:
        for listener in self._listeners:
            listener.put_nowait(uid)

    async def changes(self) -> AsyncIterator[str]:
        listener: asyncio.Queue[str | None] = asyncio.Queue()
        self._listeners.add(listener)
        try:
            while (uid := await listener.get()) is not None:
                yield uid
        finally:
            self._listeners.discard(listener)

    def close(self) -> None:
        for folder in list(self._watched):
            self._watched.pop(folder)()
        for listener in self._listeners:
            listener.put_nowait(None)


def _forget(descriptor: int, close: Callable[[], None]) -> None:
    asyncio.get_running_loop().remove_reader(descriptor)
    close()


async def recorded(host: Path, folder: Path, timeout: float) -> None:
    """Wait until the end of an attempt is on record, or will never be, or the time is over."""
    with contextlib.suppress(OSError), followed(host, folder) as connection:
        await ended(connection.fileno(), timeout)


async def ended(descriptor: int, timeout: float) -> bool:
    """Wait for a pidfd's process, or for the end of a connection; whether it came in time."""
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
