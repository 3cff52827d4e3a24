# SPDX-License-Identifier: Apache-2.0
"""One guest's control socket (QMP). QEMU keeps it open for whoever comes next, so it outlives our process."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

from qemu.qmp import EventListener, ExecInterruptedError, ExecuteError, QMPClient, QMPError, Runstate

from lichen.model.errors import Temporary

# A guest that dies closes its socket; that is an event to us, not an error to log with a traceback.
logging.getLogger("qemu.qmp").setLevel(logging.CRITICAL)

TIMEOUT = 10.0
GREETING_TIMEOUT = 30.0


class Monitor:
    """A connection. `on_event(name, data)` is called for SHUTDOWN, STOP and RESUME, in order."""

    EVENTS = ("SHUTDOWN", "STOP", "RESUME", "DEVICE_DELETED")

    def __init__(self, path: Path, on_event: Callable[[str, dict[str, Any]], None]) -> None:
        self._path = path
        self._on_event = on_event
        self._client = QMPClient("guest")
        self._listener = EventListener(names=self.EVENTS)
        self._task: asyncio.Task[None] | None = None
        self._deleted: dict[str, asyncio.Event] = {}

    async def open(self) -> None:
        """Connect. Temporary if nobody answers there."""
        self._client.register_listener(self._listener)
        try:
            await asyncio.wait_for(self._client.connect(str(self._path)), GREETING_TIMEOUT)
        except (QMPError, OSError, TimeoutError) as error:
            raise Temporary(f"QEMU does not answer on its control socket: {error}", delay=1.0) from error
        self._task = asyncio.create_task(self._listen(), name="qmp-events")

    async def close(self) -> None:
        """Disconnect; QEMU runs on."""
        if self._task:
            self._task.cancel()
            self._task = None
        try:
            await self._client.disconnect()
        except (QMPError, OSError, EOFError) as error:
            logging.getLogger(__name__).debug("the control socket had already gone: %r", error)

    @property
    def connected(self) -> bool:
        return self._client.runstate == Runstate.RUNNING

    async def execute(self, command: str, **arguments: object) -> Any:
        """Run a command and return its result. Temporary if QEMU refuses it or is gone."""
        try:
            return await asyncio.wait_for(self._client.execute(command, arguments or None), TIMEOUT)
        except (ExecuteError, ExecInterruptedError, QMPError, OSError, TimeoutError) as error:
            raise Temporary(f"QEMU did not do {command}: {error or type(error).__name__}", delay=1.0) from error

    async def hand_over(self, name: str, descriptor: int) -> None:
        """Give QEMU an open file, which it knows by `name` from then on. Temporary."""
        try:
            self._send(descriptor)
        except (QMPError, OSError) as error:
            raise Temporary(f"QEMU did not take a file: {error}", delay=1.0) from error
        await self.execute("getfd", fdname=name)

    def _send(self, descriptor: int) -> None:
        """A file beside the next command; the library itself can do it on asyncio's own loop only. OSError."""
        writer = self._client._writer
        if writer is None:
            raise OSError("it is not connected")
        with socket.socket(fileno=os.dup(writer.transport.get_extra_info("socket").fileno())) as peer:
            socket.send_fds(peer, [b" "], [descriptor])

    async def lend(self, descriptor: int, name: str) -> int:
        """Give QEMU an open file, which it can open again as `/dev/fdset/<number>`; the number. It keeps the file until
        that is taken back: `name` is for those who look for what a process lent that is gone. Temporary."""
        try:
            self._send(descriptor)
        except (QMPError, OSError) as error:
            raise Temporary(f"QEMU did not take a file: {error}", delay=1.0) from error
        return int((await self.execute("add-fd", opaque=name))["fdset-id"])

    async def take_back(self, name: str) -> None:
        """All files that were lent by that name; what QEMU opened of them stays open. Temporary."""
        for lent in await self.execute("query-fdsets"):
            if any(held.get("opaque") == name for held in lent["fds"]):
                await self.execute("remove-fd", **{"fdset-id": lent["fdset-id"]})

    def deleted(self, device: str) -> asyncio.Event:
        """Set when the guest next lets go of a device."""
        return self._deleted.setdefault(device, asyncio.Event())

    async def status(self) -> str:
        """QEMU's run state: running, paused, shutdown, …"""
        return str((await self.execute("query-status"))["status"])

    async def _listen(self) -> None:
        async for event in self._listener:
            data = event.get("data", {})
            if event["event"] == "DEVICE_DELETED":
                if isinstance(data, dict) and (waited := self._deleted.pop(str(data.get("device")), None)):
                    waited.set()
                continue
            self._on_event(str(event["event"]), data if isinstance(data, dict) else {})
