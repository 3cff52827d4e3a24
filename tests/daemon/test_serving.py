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
async def connection(app: Any, folder: Path) -> AsyncIterator[ssl.SSLSocket]:
    """A client's socket."""
    ensure_authority(folder / "keys", folder / "tls")
    context = ssl.create_default_context(cafile=str(folder / "tls" / "ca.crt"))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        async with serving(app, listening, ensure_leaf(folder / "keys", folder / "tls", "kernel")):
            with await asyncio.to_thread(connected, listening.getsockname()[1], context) as client:
                yield client


@contextlib.asynccontextmanager
async def asked(app: Any, folder: Path, *headers: str) -> AsyncIterator[ssl.SSLSocket]:
    """A client's socket whose request is sent."""
    async with connection(app, folder) as client:
        lines = "".join(f"{line}\r\n" for line in ("GET / HTTP/1.1", "Host: localhost", *headers))
        with contextlib.suppress(OSError):  # who is refused need not be heard out
            await asyncio.to_thread(client.sendall, f"{lines}\r\n".encode())
        yield client


def connected(port: int, context: ssl.SSLContext) -> ssl.SSLSocket:
    raw = socket.create_connection(("127.0.0.1", port), timeout=SECONDS)
    return context.wrap_socket(raw, server_hostname="localhost")


async def record(client: ssl.SSLSocket) -> bytes:
    return await asyncio.to_thread(client.recv, 1 << 16)


async def echoing(scope: Any, receive: Any, send: Any) -> None:
    """Answers with how many bytes came."""
    size, more = 0, True
    while more:
        message = await receive()
        size, more = size + len(message["body"]), message["more_body"]
    await answering(200, b"%d" % size)(scope, receive, send)


def answering(code: int, *chunks: bytes) -> Any:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        headers = [] if code == 204 else [(b"content-length", b"%d" % sum(map(len, chunks)))]
        await send({"type": "http.response.start", "status": code, "headers": headers})
        for chunk in chunks:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    return app


@pytest.mark.parametrize("header", ["X: " + "a" * 400_000, "\r\n".join(f"X-{n}: a" for n in range(40_000))])
async def test_a_head_without_end_is_refused_before_it_fills_the_memory(tmp_path: Path, header: str) -> None:
    async with asked(answering(200, b"here it is"), tmp_path, header) as client:
        assert (await record(client)).startswith(b"HTTP/1.1 431 ")
        assert await record(client) == b""


async def test_what_trails_a_body_has_an_end_too(tmp_path: Path) -> None:
    async with asked(answering(200, b"here it is"), tmp_path, "Transfer-Encoding: chunked") as client:
        await record(client)
        trailers = "\r\n".join(f"X-{n}: a" for n in range(40_000))
        await asyncio.to_thread(client.sendall, f"1\r\na\r\n0\r\n{trailers}".encode())
        assert (await record(client)).startswith(b"HTTP/1.1 431 ")


async def test_a_body_in_tiny_pieces_is_no_head(tmp_path: Path) -> None:
    async with asked(echoing, tmp_path, "Transfer-Encoding: chunked") as client:
        await asyncio.to_thread(client.sendall, b"1\r\na\r\n" * 40_000 + b"0\r\n\r\n")
        assert (await record(client)).endswith(b"40000")


@pytest.mark.parametrize("begun", ["", "GET / HTTP/1.1\r\nHost:"])
async def test_who_never_says_what_is_wanted_is_let_go(
    tmp_path: Path, begun: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lichen.runtime.connections.HEAD_SECONDS", 0.2)
    async with connection(answering(200, b"here it is"), tmp_path) as client:
        client.sendall(begun.encode())
        assert await record(client) == b""


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lichen.runtime.connections.BODY_SECONDS", 0.3)
    monkeypatch.setattr("lichen.runtime.connections.BODY_BYTES", 300)


async def trickle(client: ssl.SSLSocket, piece: bytes, times: int) -> None:
    for _ in range(times):
        with contextlib.suppress(OSError):  # who is refused need not be heard out
            await asyncio.to_thread(client.sendall, piece)
        await asyncio.sleep(0.02)


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize(("header", "piece"), [("Content-Length: 3000000", b""), ("Content-Length: 90", b"a")])
async def test_who_promises_a_body_that_does_not_come_is_let_go(tmp_path: Path, header: str, piece: bytes) -> None:
    seen: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        while (message := await receive())["type"] == "http.request":
            pass
        seen.append(message["type"])

    async with asked(app, tmp_path, header) as client:
        sending = asyncio.create_task(trickle(client, piece, 40))
        assert (await record(client)).startswith(b"HTTP/1.1 408 ")
        assert await record(client) == b""
        await sending
    assert seen == ["http.disconnect"]


@pytest.mark.usefixtures("hurried")
async def test_a_body_may_take_long_while_it_comes(tmp_path: Path) -> None:
    async with asked(echoing, tmp_path, "Content-Length: 4000") as client:
        await trickle(client, b"a" * 100, 40)
        assert (await record(client)).endswith(b"4000")


@pytest.mark.usefixtures("hurried")
async def test_a_body_waits_for_an_application_that_takes_its_time(tmp_path: Path) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(0.8)
        await echoing(scope, receive, send)

    async with asked(app, tmp_path, "Content-Length: 1000000") as client:
        await asyncio.to_thread(client.sendall, b"a" * 1_000_000)
        assert (await record(client)).endswith(b"1000000")
    async with asked(app, tmp_path, "Content-Length: 4", "Expect: 100-continue") as client:
        assert (await record(client)).startswith(b"HTTP/1.1 100 ")
        await asyncio.to_thread(client.sendall, b"late")
        assert (await record(client)).endswith(b"4")


@pytest.mark.usefixtures("hurried")
async def test_an_answer_that_did_not_wait_for_the_body_ends_with_its_connection(tmp_path: Path) -> None:
    async with asked(answering(200, b"here it is"), tmp_path, "Content-Length: 3000000") as client:
        assert (await record(client)).endswith(b"here it is")
        assert await record(client) == b""


@pytest.mark.usefixtures("hurried")
async def test_a_request_without_a_body_may_take_long(tmp_path: Path) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(0.8)
        await answering(200, b"here it is")(scope, receive, send)

    async with asked(app, tmp_path) as client:
        assert (await record(client)).endswith(b"here it is")


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
