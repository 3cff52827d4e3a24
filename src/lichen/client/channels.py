# SPDX-License-Identifier: Apache-2.0
"""A remote-command WebSocket (v5.channel.k8s.io): several streams, the number of each in a message's first byte.

Source: https://kubernetes.io/docs/reference/using-api/api-concepts/ and KEP-4006.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import msgspec

from lichen.client.errors import error_of_status

PROTOCOL = "v5.channel.k8s.io"
STDIN, STDOUT, STDERR, ERROR = 0, 1, 2, 3


class Channels:
    """An open one. Iterating gives what is said; ApiError: it ended with a failure."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket

    async def type(self, data: bytes) -> None:
        await self._socket.send_bytes(bytes([STDIN]) + data)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for message in self._socket:
            data = message.data if isinstance(message.data, bytes) else str(message.data).encode()
            if data[:1] in (b"\1", b"\2"):
                yield data[1:]
            elif data[:1] == bytes([ERROR]):
                _check(data[1:])


def _check(status: bytes) -> None:
    if status and (said := msgspec.json.decode(status)).get("status") == "Failure":
        raise error_of_status(said)
