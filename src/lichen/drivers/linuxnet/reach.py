# SPDX-License-Identifier: Apache-2.0
"""Speaking to a port from inside its network's namespace, for probes; and answering there, for metadata."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

from lichen.drivers.linuxnet.namespace import inside

CONNECT_SECONDS = 10.0
MOST = 4096


async def reach(netns: Path, ip: str, port: int, data: bytes) -> bytes:
    """Connect by TCP, send `data` if there is any, and return the first bytes of the answer. OSError."""
    return await asyncio.to_thread(_reach, netns, ip, port, data)


def _reach(netns: Path, ip: str, port: int, data: bytes) -> bytes:
    family = socket.AF_INET6 if ":" in ip else socket.AF_INET
    with inside(netns):
        connection = socket.socket(family, socket.SOCK_STREAM)
    with connection:
        connection.settimeout(CONNECT_SECONDS)
        connection.connect((ip, port))
        if not data:
            return b""
        connection.sendall(data)
        return connection.recv(MOST)


def listen(netns: Path, ip: str, port: int) -> socket.socket:
    """A listening socket inside a namespace."""
    with inside(netns):
        listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind((ip, port))
    listening.listen(128)
    listening.setblocking(False)
    return listening
