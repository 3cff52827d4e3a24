# SPDX-License-Identifier: Apache-2.0
"""The part of SPDY/3.1 that Kubernetes speaks: streams opened by the client, data both ways. Bytes in, events out.

Frames: control `8003 type(2) flags(1) length(3)`, data `stream(4) flags(1) length(3)`. Headers are one zlib stream for
each direction, begun with the protocol's dictionary. There is no flow control: neither kubectl nor containerd uses it.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from lichen.model.errors import BadRequest

_SYN_STREAM, _SYN_REPLY, _RST_STREAM, _PING = 1, 2, 3, 6
_FIN = 0x01
_MOST = 1 << 20
"""Bytes of the largest frame that is taken."""
_WORDS = (
    "options head post put delete trace accept accept-charset accept-encoding accept-language accept-ranges age allow",
    "authorization cache-control connection content-base content-encoding content-language content-length",
    "content-location content-md5 content-range content-type date etag expect expires from host if-match",
    "if-modified-since if-none-match if-range if-unmodified-since last-modified location max-forwards pragma",
    "proxy-authenticate proxy-authorization range referer retry-after server te trailer transfer-encoding upgrade",
    "user-agent vary via warning www-authenticate method get status",
)
_TAIL = (
    "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505"
    "203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized"
    "403 Forbidden404 Not Found500 Internal Server Error501 Not Implemented503 Service Unavailable"
    "Jan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMT"
    "chunked,text/html,image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,"
    "text/javascript,publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0."
)


def _text(word: str) -> bytes:
    return len(word.encode()).to_bytes(4, "big") + word.encode()


_MORE = ("200 OK", "version", "HTTP/1.1", "url", "public", "set-cookie", "keep-alive", "origin")
DICTIONARY = b"".join(_text(word) for word in (*" ".join(_WORDS).split(), *_MORE)) + _TAIL.encode()


@dataclass(frozen=True, slots=True)
class Opened:
    """The client opened a stream; header names are in lower case."""

    stream: int
    headers: Mapping[str, str]
    last: bool


@dataclass(frozen=True, slots=True)
class Replied:
    """The server accepts the stream."""

    stream: int


@dataclass(frozen=True, slots=True)
class Data:
    """last: the other side sends no more on this stream."""

    stream: int
    data: bytes
    last: bool


@dataclass(frozen=True, slots=True)
class Reset:
    """The other side has no more use for the stream."""

    stream: int


@dataclass(frozen=True, slots=True)
class Ping:
    """To be sent back as it is."""

    frame: bytes


Event = Opened | Replied | Data | Reset | Ping


class Spdy:
    """One side of one connection."""

    def __init__(self) -> None:
        self._rest = b""
        self._inflate = zlib.decompressobj(zdict=DICTIONARY)
        self._deflate = zlib.compressobj(zdict=DICTIONARY)

    def feed(self, data: bytes) -> Iterator[Event]:
        """What has come whole. BadRequest: this is not SPDY/3.1, or too much of it."""
        self._rest += data
        while len(self._rest) >= 8:
            length = int.from_bytes(self._rest[5:8], "big")
            if length > _MOST:
                raise BadRequest(f"a SPDY frame of {length} bytes is too large")
            if len(self._rest) < 8 + length:
                return
            frame, self._rest = self._rest[: 8 + length], self._rest[8 + length :]
            event = self._control(frame) if frame[0] & 0x80 else _data(frame)
            if event is not None:
                yield event

    def reply(self, stream: int) -> bytes:
        """SYN_REPLY without headers: the stream is accepted."""
        block = self._deflate.compress(bytes(4)) + self._deflate.flush(zlib.Z_SYNC_FLUSH)
        return control(_SYN_REPLY, stream.to_bytes(4, "big") + block)

    def open(self, stream: int, headers: Mapping[str, str]) -> bytes:
        """SYN_STREAM: a client opens a stream, with an odd number. Names of headers are in lower case."""
        texts = b"".join(_text(word) for pair in headers.items() for word in pair)
        block = self._deflate.compress(len(headers).to_bytes(4, "big") + texts) + self._deflate.flush(zlib.Z_SYNC_FLUSH)
        return control(_SYN_STREAM, stream.to_bytes(4, "big") + bytes(6) + block)

    def _control(self, frame: bytes) -> Event | None:
        if frame[:2] != b"\x80\x03":
            raise BadRequest("the other side does not speak SPDY/3")
        kind, flags, body = int.from_bytes(frame[2:4], "big"), frame[4], frame[8:]
        stream = int.from_bytes(body[:4], "big") & 0x7FFFFFFF
        if kind == _SYN_STREAM:
            return Opened(stream, self._headers(body[10:]), bool(flags & _FIN))
        if kind == _SYN_REPLY:
            return Replied(stream)
        if kind == _RST_STREAM:
            return Reset(stream)
        return Ping(frame) if kind == _PING else None

    def _headers(self, block: bytes) -> dict[str, str]:
        try:
            plain = self._inflate.decompress(block, _MOST)
        except zlib.error as error:
            raise BadRequest(f"SPDY headers cannot be read: {error}") from error
        texts, at = [], 4
        for _ in range(2 * min(int.from_bytes(plain[:4], "big"), 100)):
            size = int.from_bytes(plain[at : at + 4], "big")
            texts.append(plain[at + 4 : at + 4 + size].decode(errors="replace"))
            at += 4 + size
        return {name.lower(): value for name, value in zip(texts[::2], texts[1::2], strict=True)}


def control(kind: int, body: bytes, flags: int = 0) -> bytes:
    return b"\x80\x03" + kind.to_bytes(2, "big") + bytes([flags]) + len(body).to_bytes(3, "big") + body


def data_frame(stream: int, data: bytes, *, last: bool = False) -> bytes:
    return stream.to_bytes(4, "big") + bytes([_FIN if last else 0]) + len(data).to_bytes(3, "big") + data


def _data(frame: bytes) -> Data:
    return Data(int.from_bytes(frame[:4], "big"), frame[8:], bool(frame[4] & _FIN))
