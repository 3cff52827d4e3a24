# SPDX-License-Identifier: Apache-2.0
"""Writing answers: prebuilt headers, one body message, gzip for large bodies off the event loop."""

from __future__ import annotations

import asyncio
import json
import logging
import zlib
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

from lichen.apis.kubernetes.negotiation import Form
from lichen.apis.kubernetes.request import Request
from lichen.apis.kubernetes.status import status_body
from lichen.apis.kubernetes.wire import decode_json, encode, encode_yaml
from lichen.model.errors import ApiError
from lichen.runtime.shares import apart

log = logging.getLogger(__name__)

Headers = tuple[tuple[bytes, bytes], ...]

GZIP_FROM = 128 * 1024
"""Bytes; upstream's threshold."""
_PIECE, _PIECE_BYTES = 256, 256 * 1024
"""Items that go out in one write, and their bytes, give or take the last: what a client that does not read costs."""
STALL_SECONDS = 60.0
"""In which a client must have taken a piece of a list."""

JSON_TYPE = (b"content-type", b"application/json")
YAML_TYPE = (b"content-type", b"application/yaml")
_GZIPPED = ((b"content-encoding", b"gzip"), (b"vary", b"accept-encoding"))
_NO_CACHE = (b"cache-control", b"no-cache, private")


async def send_json(request: Request, body: bytes, code: int = 200, extra: Headers = ()) -> None:
    """Answer with encoded JSON."""
    await send_whole(request, body, (JSON_TYPE, *extra), code)


async def send_whole(request: Request, body: bytes, headers: Headers, code: int = 200) -> None:
    """Answer with a whole body, compressed if it is large and that was asked for."""
    if len(body) >= GZIP_FROM and b"gzip" in request.headers.get(b"accept-encoding", b""):
        packed = await asyncio.to_thread(zlib.compress, body, 1, 31)
        await send_raw(request, packed, code, (*headers, *_GZIPPED))
        return
    await send_raw(request, body, code, headers)


async def send_list(request: Request, head: bytes, items: list[bytes], tail: bytes) -> None:
    """Answer 200 with a JSON array's items between `head` and `tail`. A large list goes out in pieces, so that it is
    never in one place and others are served in between."""
    size = len(head) + sum(map(len, items)) + max(len(items) - 1, 0) + len(tail)
    if size < GZIP_FROM:
        await send_raw(request, b"".join((head, b",".join(items), tail)), 200, (JSON_TYPE,))
    elif b"gzip" in request.headers.get(b"accept-encoding", b""):
        await _send_packed_pieces(request, _pieces(head, items, tail))
    else:
        await _send_pieces(request, _pieces(head, items, tail), size)


async def send_yaml_list(request: Request, head: Any, items: list[bytes]) -> None:
    """Answer 200 with a list in YAML. It goes out in pieces, each made when the one before was taken: in YAML a list
    takes many times its bytes, and its time."""
    await _start(request, 200, [YAML_TYPE])
    await send_chunk(request, encode_yaml(head) + (b"items:\n" if items else b"items: []\n"))
    for batch in _batches(items):
        if not await _taken(request, await apart(request.caller, partial(_yaml_items, batch))):
            return
    await send_chunk(request, b"", more=False)


def _yaml_items(batch: list[bytes]) -> bytes:
    return encode_yaml([decode_json(item) for item in batch])


def _pieces(head: bytes, items: list[bytes], tail: bytes) -> Iterator[bytes]:
    yield head
    lead = b""
    for batch in _batches(items):
        yield lead + b",".join(batch)
        lead = b","
    yield tail


def _batches(items: list[bytes]) -> Iterator[list[bytes]]:
    batch: list[bytes] = []
    size = 0
    for item in items:
        batch.append(item)
        size += len(item)
        if len(batch) == _PIECE or size >= _PIECE_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


async def _send_pieces(request: Request, pieces: Iterable[bytes], size: int) -> None:
    await _start(request, 200, [JSON_TYPE, (b"content-length", b"%d" % size)])
    for piece in pieces:
        if not await _taken(request, piece):
            return
    await send_chunk(request, b"", more=False)


async def _send_packed_pieces(request: Request, pieces: Iterable[bytes]) -> None:
    await _start(request, 200, [JSON_TYPE, *_GZIPPED])
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    for piece in pieces:
        packed = await asyncio.to_thread(packer.compress, piece)
        if packed and not await _taken(request, packed):
            return
    await send_chunk(request, packer.flush(), more=False)


async def _taken(request: Request, piece: bytes) -> bool:
    """False: the client takes nothing any more. It is let go, with what it asked for, by an answer that ends too
    soon."""
    try:
        async with asyncio.timeout(STALL_SECONDS):
            await send_chunk(request, piece)
    except TimeoutError:
        log.info("request %s: its answer was not taken for %g s", request.id, STALL_SECONDS)
        return False
    return True


async def send_object(request: Request, value: Any, form: Form, code: int = 200, extra: Headers = ()) -> None:
    """Answer with a value in JSON, or in YAML if that was asked for."""
    if form is Form.YAML:
        body = await apart(request.caller, partial(encode_yaml, value))
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
    request.length = len(body)
    await _start(request, code, [*headers, (b"content-length", b"%d" % len(body))])
    await request.send({"type": "http.response.body", "body": body})


async def _start(request: Request, code: int, headers: list[tuple[bytes, bytes]]) -> None:
    request.code = code
    headers += ((b"audit-id", request.id.encode("latin-1")), _NO_CACHE)
    await request.send({"type": "http.response.start", "status": code, "headers": headers})


async def start_stream(request: Request, content_type: bytes) -> None:
    """Begin an answer of unknown length: chunks follow by `send_chunk`."""
    await _start(request, 200, [(b"content-type", content_type)])


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
