# SPDX-License-Identifier: Apache-2.0
"""Writing answers: prebuilt headers, one body message, gzip for large bodies off the event loop."""

from __future__ import annotations

import asyncio
import json
import zlib
from collections.abc import Iterable
from typing import Any

from lichen.apis.kubernetes.negotiation import Form
from lichen.apis.kubernetes.request import Request
from lichen.apis.kubernetes.status import status_body
from lichen.apis.kubernetes.wire import encode, encode_yaml
from lichen.model.errors import ApiError

Headers = tuple[tuple[bytes, bytes], ...]

GZIP_FROM = 128 * 1024
"""Bytes; upstream's threshold."""
_CHUNK = 1024 * 1024

JSON_TYPE = (b"content-type", b"application/json")
YAML_TYPE = (b"content-type", b"application/yaml")
_NO_CACHE = (b"cache-control", b"no-cache, private")


async def send_json(request: Request, body: bytes, code: int = 200, extra: Headers = ()) -> None:
    """Answer with encoded JSON."""
    await send_whole(request, body, (JSON_TYPE, *extra), code)


async def send_whole(request: Request, body: bytes, headers: Headers, code: int = 200) -> None:
    """Answer with a whole body, compressed if it is large and that was asked for."""
    if len(body) >= GZIP_FROM and b"gzip" in request.headers.get(b"accept-encoding", b""):
        await _send_gzip(request, [body], code, headers)
        return
    await send_raw(request, body, code, headers)


async def send_parts(request: Request, parts: list[bytes]) -> None:
    """Answer 200 with JSON in parts that are never copied into one if they are large."""
    if sum(map(len, parts)) < GZIP_FROM:
        await send_raw(request, b"".join(parts), 200, (JSON_TYPE,))
    elif b"gzip" in request.headers.get(b"accept-encoding", b""):
        await _send_gzip(request, parts, 200, (JSON_TYPE,))
    else:
        await send_raw(request, b"".join(parts), 200, (JSON_TYPE,))


async def send_object(request: Request, value: Any, form: Form, code: int = 200, extra: Headers = ()) -> None:
    """Answer with a value in JSON, or in YAML if that was asked for."""
    if form is Form.YAML:
        body = await asyncio.to_thread(encode_yaml, value)
        await send_raw(request, body, code, (YAML_TYPE, *extra))
        return
    body = pretty(value) if request.flag("pretty") else encode(value)
    await send_json(request, body, code, extra)


async def send_error(request: Request, error: ApiError) -> None:
    extra: Headers = (JSON_TYPE,)
    if error.retry_after is not None:
        extra = (JSON_TYPE, (b"retry-after", str(error.retry_after).encode()))
    if error.code == 401:
        extra = (*extra, (b"www-authenticate", b'Bearer realm="lichen"'))
    if error.code == 413:
        extra = (*extra, (b"connection", b"close"))
    await send_raw(request, status_body(error), error.code, extra)


async def send_raw(request: Request, body: bytes, code: int, headers: Iterable[tuple[bytes, bytes]]) -> None:
    """Answer with a whole body; content-length, audit-id and cache-control are added."""
    request.code, request.length = code, len(body)
    await request.send(
        {
            "type": "http.response.start",
            "status": code,
            "headers": [
                *headers,
                (b"content-length", b"%d" % len(body)),
                (b"audit-id", request.id.encode("latin-1")),
                _NO_CACHE,
            ],
        }
    )
    await request.send({"type": "http.response.body", "body": body})


async def start_stream(request: Request, content_type: bytes) -> None:
    """Begin an answer of unknown length: chunks follow by `send_chunk`."""
    request.code = 200
    headers = [(b"content-type", content_type), (b"audit-id", request.id.encode("latin-1")), _NO_CACHE]
    await request.send({"type": "http.response.start", "status": 200, "headers": headers})


async def send_chunk(request: Request, chunk: bytes, *, more: bool = True) -> None:
    request.length += len(chunk)
    await request.send({"type": "http.response.body", "body": chunk, "more_body": more})


def pretty(value: Any) -> bytes:
    return json.dumps(value, indent=2, ensure_ascii=False).encode() + b"\n"


def warnings_of(warnings: list[str]) -> Headers:
    """`Warning: 299 - "text"` headers, as kubectl prints them."""
    return tuple((b"warning", _warning(text)) for text in warnings[:64])


def _warning(text: str) -> bytes:
    kept = "".join(c if c.isprintable() else " " for c in text)[:4096]
    escaped = kept.replace("\\", "\\\\").replace('"', '\\"')
    return f'299 - "{escaped}"'.encode()


async def _send_gzip(request: Request, parts: list[bytes], code: int, headers: Headers) -> None:
    body = await asyncio.to_thread(_gzip, parts)
    await send_raw(request, body, code, (*headers, (b"content-encoding", b"gzip"), (b"vary", b"accept-encoding")))


def _gzip(parts: list[bytes]) -> bytes:
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    packed = [packer.compress(chunk) for chunk in _chunks(parts)]
    packed.append(packer.flush())
    return b"".join(packed)


def _chunks(parts: list[bytes]) -> Iterable[bytes]:
    """Parts joined to about a mebibyte: few calls, little copied at a time."""
    held: list[bytes] = []
    size = 0
    for part in parts:
        held.append(part)
        size += len(part)
        if size >= _CHUNK:
            yield b"".join(held)
            held, size = [], 0
    yield b"".join(held)
