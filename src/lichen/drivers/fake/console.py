# SPDX-License-Identifier: Apache-2.0
"""The serial line of a simulated guest that has booted: a shell, and a terminal that echoes what is typed."""

from __future__ import annotations

import asyncio

from lichen.drivers.fake.commands import Io
from lichen.drivers.fake.shell import Exit, Shell
from lichen.drivers.line import Line

PROMPT = b"~ # "
KEPT = 1 << 16
"""Bytes of what was said that are remembered."""


class FakeConsole:
    """Of one run of a guest. said: all that was said and echoed since somebody typed first."""

    def __init__(self, shell: Shell) -> None:
        self.line = Line(self._typed)
        self.said = b""
        self._shell = shell
        self._lines: asyncio.Queue[bytes] = asyncio.Queue()
        self._typing = b""

    async def run(self) -> None:
        """The shell: each line is a script."""
        io = Io(self._say, self._say, None)
        try:
            while True:
                script = await self._lines.get()
                try:
                    await self._shell.script(script.decode(errors="replace"), io)
                except Exit:
                    self._say(b"logout\n")
                self._say(PROMPT)
        finally:
            self.line.end()

    def _say(self, data: bytes) -> None:
        shown = data.replace(b"\n", b"\r\n")
        self.said = (self.said + shown)[-KEPT:]
        self.line.say(shown)

    def _typed(self, data: bytes) -> None:
        for byte in data:
            self._key(bytes([byte]))

    def _key(self, key: bytes) -> None:
        if key in b"\r\n":
            self._say(b"\n")
            self._lines.put_nowait(self._typing)
            self._typing = b""
        elif key in b"\x7f\b":
            if self._typing:
                self._typing = self._typing[:-1]
                self._say(b"\b \b")
        elif key == b"\x03":
            self._typing = b""
            self._say(b"^C\n" + PROMPT)
        elif key >= b" ":
            self._typing += key
            self._say(key)
