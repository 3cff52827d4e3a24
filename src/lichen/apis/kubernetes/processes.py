# SPDX-License-Identifier: Apache-2.0
"""The metrics of the cloud's other processes, asked for on the sockets that `runtime.scrape` makes."""

from __future__ import annotations

import asyncio
import contextlib
import stat
from pathlib import Path

import msgspec

from lichen.model.errors import NotFound, Unavailable
from lichen.model.metrics import Shown

SECONDS = 5.0
LARGEST = 8 << 20
"""Bytes that are read of a process's metrics."""
_decode = msgspec.json.Decoder(list[Shown]).decode


class Processes:
    """The other processes, as one that may connect to their sockets sees them."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def names(self) -> list[str]:
        """Those that have a socket. One that was killed may be among them until another takes its place."""
        return sorted(self._paths())

    async def metrics(self, name: str) -> list[Shown]:
        """What a process counted. NotFound: there is none of that name. Unavailable: it does not answer."""
        path = self._paths().get(name)
        if path is None:
            raise NotFound(f'no process "{name}" shows metrics; /metrics/ names those that do')
        try:
            async with asyncio.timeout(SECONDS):
                return _decode(await _read(path))
        except (OSError, msgspec.DecodeError) as fault:
            raise Unavailable(f"process {name} does not tell its metrics: {fault or 'it is silent'}") from fault

    def _paths(self) -> dict[str, Path]:
        return {path.stem: path for path in self._root.glob("*/*.sock") if _is_its(path)}


def _is_its(path: Path) -> bool:
    """It is a socket, and not under the name of another role."""
    role = path.parent.name
    if path.stem != role and not path.stem.startswith(role + "-"):
        return False
    with contextlib.suppress(OSError):
        return stat.S_ISSOCK(path.lstat().st_mode)
    return False


async def _read(path: Path) -> bytes:
    reader, writer = await asyncio.open_unix_connection(str(path))
    try:
        whole = bytearray()
        while chunk := await reader.read(1 << 16):
            whole += chunk
            if len(whole) > LARGEST:
                raise OSError(f"more than {LARGEST} bytes")
        return bytes(whole)
    finally:
        writer.close()
