# SPDX-License-Identifier: Apache-2.0
"""How answers leave a listener: seen by a client that gets one TLS record with each read."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from lichen.daemon.certificates import ensure_authority, ensure_leaf
from lichen.daemon.serving import serving

SECONDS = 20.0


@contextlib.asynccontextmanager
async def asked(app: Any, folder: Path, *headers: str) -> AsyncIterator[ssl.SSLSocket]:
    """A client's socket whose request is sent."""
    ensure_authority(folder / "keys", folder / "tls")
    context = ssl.create_default_context(cafile=str(folder / "tls" / "ca.crt"))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        async with serving(app, listening, ensure_leaf(folder / "keys", folder / "tls", "kernel")):
            with await asyncio.to_thread(connected, listening.getsockname()[1], context) as client:
                lines = "".join(f"{line}\r\n" for line in ("GET / HTTP/1.1", "Host: localhost", *headers))
                client.sendall(f"{lines}\r\n".encode())
                yield client


def connected(port: int, context: ssl.SSLContext) -> ssl.SSLSocket:
    raw = socket.create_connection(("127.0.0.1", port), timeout=SECONDS)
    return context.wrap_socket(raw, server_hostname="localhost")


async def record(client: ssl.SSLSocket) -> bytes:
    return await asyncio.to_thread(client.recv, 1 << 16)


def answering(code: int, *chunks: bytes) -> Any:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        headers = [] if code == 204 else [(b"content-length", b"%d" % sum(map(len, chunks)))]
        await send({"type": "http.response.start", "status": code, "headers": headers})
        for chunk in chunks:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    return app


async def test_head_and_body_of_an_answer_are_one_record(tmp_path: Path) -> None:
    async with asked(answering(200, b"here it is"), tmp_path) as client:
        assert await record(client) == b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhere it is"


async def test_what_follows_comes_in_its_order_whatever_it_looks_like(tmp_path: Path) -> None:
    chunks = (b"HTTP/1.1 is what this", b"HTTP/1.1 begins with", b" and ends")
    async with asked(answering(200, *chunks), tmp_path, "Connection: close") as client:
        said = b""
        while piece := await record(client):
            said += piece
    assert said.partition(b"\r\n\r\n")[2] == b"".join(chunks)


@pytest.mark.parametrize("code", [204, 304])
async def test_an_answer_without_a_body_leaves_before_its_connection_closes(tmp_path: Path, code: int) -> None:
    async with asked(answering(code), tmp_path, "Connection: close") as client:
        assert (await record(client)).startswith(b"HTTP/1.1 %d " % code)
        assert await record(client) == b""


async def test_a_head_does_not_wait_for_a_body_that_is_yet_to_come(tmp_path: Path) -> None:
    goes_on = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]})
        await goes_on.wait()
        await send({"type": "http.response.body", "body": b"late"})

    async with asked(app, tmp_path) as client:
        assert (await record(client)).endswith(b"\r\n\r\n")
        goes_on.set()
        assert await record(client) == b"late"
