# SPDX-License-Identifier: Apache-2.0
"""The question of a grpc probe, over a connection that is there: grpc.health.v1.Health/Check. One call, no I/O but
that of the two streams. Protocol: the gRPC health checking protocol."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
)
from h2.exceptions import ProtocolError

MOST = 4096
"""Bytes of an answer that are listened to."""
_HEADERS = [
    (":method", "POST"), (":scheme", "http"), (":path", "/grpc.health.v1.Health/Check"), (":authority", "localhost"),
    ("content-type", "application/grpc"), ("te", "trailers"),
]  # fmt: skip
_SERVING = ("UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN")
_NO_SERVICE, _NOT_THERE = "5", "12"


@dataclass(slots=True)
class _Answer:
    """What was heard so far. status: gRPC's, "" while it is not known."""

    body: bytes = b""
    status: str = ""
    message: str = ""
    ended: bool = False

    def hear(self, event: Event) -> None:
        match event:
            case ResponseReceived(headers=headers) | TrailersReceived(headers=headers):
                told = {_text(key): _text(value) for key, value in headers or ()}
                self.status = told.get("grpc-status", self.status)
                self.message = told.get("grpc-message", self.message)
            case DataReceived(data=data):
                self.body = (self.body + (data or b""))[:MOST]
            case StreamEnded() | StreamReset() | ConnectionTerminated():
                self.ended = True


async def check(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, service: str) -> tuple[bool, str]:
    """Whether the server says SERVING of a service ("": of itself), and what it says else. OSError."""
    connection, answer = H2Connection(H2Configuration(client_side=True)), _Answer()
    try:
        connection.initiate_connection()
        stream = connection.get_next_available_stream_id()
        connection.send_headers(stream, _HEADERS)
        connection.send_data(stream, _question(service), end_stream=True)
        writer.write(connection.data_to_send())
        heard = 0
        while not answer.ended and heard < 16 * MOST and (data := await reader.read(MOST)):
            heard += len(data)
            for event in connection.receive_data(data):
                answer.hear(event)
            writer.write(connection.data_to_send())
    except ProtocolError:
        return False, "what answers speaks no gRPC"
    return _verdict(answer, service)


def _question(service: str) -> bytes:
    """HealthCheckRequest{service}, as a gRPC message."""
    name = service.encode()[:127]
    message = bytes((0x0A, len(name))) + name if name else b""
    return b"\0" + len(message).to_bytes(4, "big") + message


def _verdict(answer: _Answer, service: str) -> tuple[bool, str]:
    if answer.status == _NOT_THERE:
        return False, "this server does not implement the grpc health protocol (grpc.health.v1.Health)"
    if answer.status == _NO_SERVICE:
        return False, f"the server knows no service {service!r}"
    if answer.status != "0":
        said = f"{answer.status or 'none'}{f': {answer.message}' if answer.message else ''}"
        return False, f"the health check ended with grpc status {said}"
    message = answer.body[5:]
    number = message[1] if message[:1] == b"\x08" and len(message) > 1 else 0
    word = _SERVING[number] if number < len(_SERVING) else str(number)
    return word == "SERVING", f'service unhealthy (responded with "{word}")'


def _text(value: bytes | str) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else value
