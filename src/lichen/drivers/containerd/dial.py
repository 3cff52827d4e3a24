# SPDX-License-Identifier: Apache-2.0
"""Connections to a pod's own loopback, made from inside its network namespace."""

from __future__ import annotations

import asyncio
import socket

from lichen.drivers import cgroups
from lichen.drivers.containerd.netplug import enter_namespace
from lichen.model.errors import Temporary

SECONDS = 10.0
LOOPBACKS = ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"))


async def dial(group: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """By TCP to a port of the pod in a control group. OSError: nothing listens; Temporary: it does not run."""
    namespace = await asyncio.to_thread(_namespace, group)
    refused: OSError | None = None
    for family, address in LOOPBACKS:
        made = await asyncio.to_thread(_socket, namespace, family)
        made.setblocking(False)
        try:
            async with asyncio.timeout(SECONDS):
                await asyncio.get_running_loop().sock_connect(made, (address, port))
                return await asyncio.open_connection(sock=made)
        except OSError as error:
            made.close()
            refused = refused or error
    raise refused or ConnectionRefusedError(f"nothing listens on port {port}")


def _namespace(group: str) -> str:
    """The network namespace of any process of the pod: all its containers share it."""
    for pid in cgroups.pids(group):
        return f"/proc/{pid}/ns/net"
    raise Temporary("the pod does not run")


def _socket(namespace: str, family: socket.AddressFamily) -> socket.socket:
    """A socket stays in the namespace that it was made in."""
    with enter_namespace(namespace):
        return socket.socket(family, socket.SOCK_STREAM)
