# SPDX-License-Identifier: Apache-2.0
"""Clients that cost little: a raw HTTP/1.1 connection over TLS, and load by wrk in a process of its own."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httptools
import msgspec
import uvloop

from bench.lib import percentile

LOAD_SECONDS = 4.0
_T = TypeVar("_T")
_told: set[str] = set()


@dataclass(frozen=True)
class Load:
    """What many clients got: answers per second, latency in milliseconds."""

    rate: float
    p50: float
    p99: float

    @property
    def note(self) -> str:
        return f"p50 {self.p50:.2f} ms"


def load(
    url: str,
    method: str,
    path: str,
    headers: dict[str, str],
    *,
    body: Any = None,
    clients: int = 1,
    seconds: float = LOAD_SECONDS,
) -> Load:
    """Send one request after another on `clients` connections. "@" in path and body becomes a fresh name each time,
    "#" in the path a number below 64.

    RuntimeError: an answer was not 2xx.
    """
    prefix = f"b{time.monotonic_ns():x}"
    text = "" if body is None else body if isinstance(body, str) else msgspec.json.encode(body).decode()
    if shutil.which("wrk"):
        return _wrk(url, method, path, headers, text, clients, seconds, prefix)
    if not _told:
        print("!! wrk is not installed (apt install wrk): a slower client in Python makes the load", file=sys.stderr)
        _told.add("wrk")
    return uvloop.run(_python(url, method, path, headers, text, clients, seconds, prefix))


def _wrk(
    url: str, method: str, path: str, headers: dict[str, str], body: str, clients: int, seconds: float, prefix: str
) -> Load:
    with tempfile.NamedTemporaryFile("w", suffix=".body") as file:
        file.write(body)
        file.flush()
        pairs = [part for pair in headers.items() for part in pair]
        script = Path(__file__).with_name("load.lua")
        command = ["wrk", "-t1", f"-c{clients}", f"-d{seconds:.0f}s", "--timeout", "20s", "-s", str(script), url, "--"]
        command += [method, path, file.name if body else "-", prefix, *pairs]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    result = msgspec.json.decode(done.stdout.partition("RESULT ")[2])
    if result["refused"] or result["broken"] or not result["requests"]:
        raise RuntimeError(f"{method} {path}: {result}")
    return Load(result["requests"] / result["micros"] * 1e6, result["p50"] / 1e3, result["p99"] / 1e3)


async def _python(
    url: str, method: str, path: str, headers: dict[str, str], body: str, clients: int, seconds: float, prefix: str
) -> Load:
    took: list[float] = []
    end = time.perf_counter() + seconds

    async def client(number: int) -> None:
        connection = await connect(url)
        count = 0
        while (start := time.perf_counter()) < end:
            name = f"{prefix}-{number}-{count}"
            count += 1
            target = path.replace("@", name).replace("#", str(count % 64))
            await connection.ok(method, target, headers, body.replace("@", name).encode())
            took.append((time.perf_counter() - start) * 1e3)
        connection.close()

    await asyncio.gather(*(client(number) for number in range(clients)))
    return Load(len(took) / seconds, percentile(took, 50), percentile(took, 99))


async def connect(url: str) -> Connection:
    """A kept connection to the server of `url`; certificates are not checked."""
    parts = urlsplit(url)
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    loop = asyncio.get_running_loop()
    _, protocol = await loop.create_connection(Connection, parts.hostname or "", parts.port or 443, ssl=context)
    return protocol


class Connection(asyncio.Protocol):
    """One connection, one request at a time. `on_data`: called with each piece of a body instead of keeping it."""

    def __init__(self) -> None:
        self.on_data: Callable[[bytes], None] | None = None
        self._waiting: deque[asyncio.Future[tuple[int, bytes, dict[str, str]]]] = deque()
        self._begin()

    def _begin(self) -> None:
        self._chunks: list[bytes] = []
        self._headers: dict[str, str] = {}
        self._parser = httptools.HttpResponseParser(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def connection_lost(self, exc: Exception | None) -> None:
        for future in self._waiting:
            if not future.done():
                future.set_exception(exc or ConnectionError("closed"))

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode().lower()] = value.decode()

    def on_body(self, data: bytes) -> None:
        if self.on_data is not None:
            self.on_data(data)
        else:
            self._chunks.append(data)

    def on_message_complete(self) -> None:
        answer = self._parser.get_status_code(), b"".join(self._chunks), self._headers
        self._begin()
        self._waiting.popleft().set_result(answer)

    def send(
        self, method: str, path: str, headers: dict[str, str], body: bytes = b""
    ) -> asyncio.Future[tuple[int, bytes, dict[str, str]]]:
        """(status, body, headers) to come."""
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n{lines}\r\n"
        future: asyncio.Future[tuple[int, bytes, dict[str, str]]] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        self._transport.write(head.encode() + body)
        return future

    async def ok(self, method: str, path: str, headers: dict[str, str], body: Any = b"") -> bytes:
        """The body of a 2xx answer. RuntimeError: it was another."""
        data = body if isinstance(body, bytes) else msgspec.json.encode(body)
        status, answer, _ = await self.send(method, path, headers, data)
        if not 200 <= status < 300:
            raise RuntimeError(f"{method} {path}: {status} {answer[:500]!r}")
        return answer

    async def json(self, method: str, path: str, headers: dict[str, str], body: Any = b"") -> Any:
        return msgspec.json.decode(await self.ok(method, path, headers, body))

    def close(self) -> None:
        """What is still waited for is cancelled."""
        for future in self._waiting:
            future.cancel()
        self._transport.close()


async def timed(count: int, call: Callable[[], Any]) -> list[float]:
    """Milliseconds that each of `count` calls took."""
    took = []
    for _ in range(count):
        start = time.perf_counter()
        await call()
        took.append((time.perf_counter() - start) * 1e3)
    return took
