# SPDX-License-Identifier: Apache-2.0
"""A guest's serial line, to talk on. QEMU serves one connection to it at a time: all who talk share one."""

from __future__ import annotations

import asyncio
from pathlib import Path

from lichen.drivers.base import Exec
from lichen.drivers.line import Line
from lichen.model.errors import Permanent

SOCKET = "console"
CHUNK = 4096
UNREAD = 1 << 16
"""Bytes that wait for a guest which does not read; what is typed beyond that is lost, as on any serial line."""


class Serial:
    """socket: QEMU's, which is there while the guest runs. Connected while somebody talks."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self._line: Line | None = None
        self._connecting = asyncio.Lock()
        self._pump: asyncio.Task[None] | None = None

    async def join(self) -> Exec:
        """Permanent NotRunning."""
        async with self._connecting:
            if self._line is None:
                self._line = await self._connect()
            return self._line.join()

    def release(self) -> None:
        """Let go of the guest, which runs on."""
        if self._pump is not None:
            self._pump.cancel()

    async def _connect(self) -> Line:
        try:
            reader, writer = await asyncio.open_unix_connection(str(self._socket))
        except OSError as error:
            raise Permanent("NotRunning", "The server does not run: there is nobody to talk to.") from error

        def typed(data: bytes) -> None:
            if writer.transport.get_write_buffer_size() < UNREAD:
                writer.write(data)

        line = Line(typed, self.release)
        self._pump = asyncio.create_task(self._carry(reader, writer, line), name=f"serial {self._socket.parent.name}")
        return line

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, line: Line) -> None:
        try:
            while data := await reader.read(CHUNK):
                line.say(data)
        except OSError:
            return
        finally:
            if self._line is line:
                self._line = None
            writer.close()
            line.end()
