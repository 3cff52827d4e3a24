# SPDX-License-Identifier: Apache-2.0
"""How a simulated container answers a grpc probe: it is well."""

from __future__ import annotations

import asyncio

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import StreamEnded
from h2.exceptions import ProtocolError

_SERVING = b"\0\0\0\0\2\x08\1"


async def answer_health(begun: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """begun: what the client has sent already. Until the client goes, or speaks something else. OSError."""
    connection = H2Connection(H2Configuration(client_side=False))
    connection.initiate_connection()
    data = begun
    while data:
        try:
            asked = [event.stream_id for event in connection.receive_data(data) if isinstance(event, StreamEnded)]
        except ProtocolError:
            return
        for stream in asked:
            connection.send_headers(stream, [(":status", "200"), ("content-type", "application/grpc")])
            connection.send_data(stream, _SERVING)
            connection.send_headers(stream, [("grpc-status", "0")], end_stream=True)
        writer.write(connection.data_to_send())
        await writer.drain()
        data = await reader.read(4096)
