# SPDX-License-Identifier: Apache-2.0
"""Container logs: CRI-format files (`time stream F|P text`) as `kubectl logs` wants them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from lichen.drivers.inotify import FileWatch
from lichen.model.errors import BadRequest
from lichen.planning.times import seconds_of

CHUNK = 256 * 1024


@dataclass(frozen=True, slots=True)
class LogOptions:
    """Which part of a log, and how. Numbers are None where nothing was asked for; since is unix seconds."""

    follow: bool = False
    previous: bool = False
    timestamps: bool = False
    tail: int | None = None
    limit: int | None = None
    since: float = 0.0
    stream: str = ""

    @classmethod
    def of(cls, query: Mapping[str, str], now: float) -> LogOptions:
        """From a query. BadRequest."""
        since = _number(query, "sinceSeconds")
        stream = query.get("stream", "All").lower()
        if stream not in ("all", "stdout", "stderr"):
            raise BadRequest("stream must be All, Stdout or Stderr")
        return cls(
            follow=_flag(query, "follow"),
            previous=_flag(query, "previous"),
            timestamps=_flag(query, "timestamps"),
            tail=_number(query, "tailLines"),
            limit=_number(query, "limitBytes"),
            since=now - since if since is not None else seconds_of(query.get("sinceTime")),
            stream="" if stream == "all" else stream,
        )


async def read_log(
    path: Path, options: LogOptions, ended: Callable[[], Awaitable[bool]], wake: asyncio.Event
) -> AsyncIterator[bytes]:
    """The log's bytes; with follow, until the container ended and all it wrote was given.

    ended: whether the container has. wake: set by whoever learns that it may have.
    """
    left = options.limit
    async for chunk in _all(path, options, ended, wake):
        piece = chunk if left is None else chunk[:left]
        if piece:
            yield piece
        if left is not None:
            left -= len(piece)
            if left <= 0:
                return


async def _all(
    path: Path, options: LogOptions, ended: Callable[[], Awaitable[bool]], wake: asyncio.Event
) -> AsyncIterator[bytes]:
    if not options.follow:
        data, _ = await asyncio.to_thread(_read_whole, path, options)
        yield data
        return
    await asyncio.to_thread(path.parent.mkdir, 0o755, True, True)
    with FileWatch(path.parent, wake):
        wake.clear()
        data, at = await asyncio.to_thread(_read_whole, path, options)
        yield data
        while True:
            over = await ended()
            data, at = await asyncio.to_thread(_read_more, path, at, options)
            if data:
                yield data
            elif over:
                return
            else:
                await wake.wait()
                wake.clear()


def _read_whole(path: Path, options: LogOptions) -> tuple[bytes, int]:
    """What was asked for of what is there now, and where reading goes on."""
    lines: deque[bytes] = deque(maxlen=options.tail)
    at, partial = 0, b""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return b"", 0
    with file:
        for raw in file:
            if not raw.endswith(b"\n"):
                break
            at += len(raw)
            text, whole = _text(raw, options, first=not partial)
            if text is None:
                continue
            partial += text
            if whole:
                lines.append(partial)
                partial = b""
    if partial:
        lines.append(partial)
    return b"".join(lines), at


def _read_more(path: Path, at: int, options: LogOptions) -> tuple[bytes, int]:
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return b"", at
    found: list[bytes] = []
    with file:
        file.seek(at)
        block = file.read(CHUNK)
    end = block.rfind(b"\n") + 1
    for raw in block[:end].splitlines(keepends=True):
        text, _ = _text(raw, options, first=True)
        if text is not None:
            found.append(text)
    return b"".join(found), at + end


def _text(raw: bytes, options: LogOptions, *, first: bool) -> tuple[bytes | None, bool]:
    """(what one line of the file adds to the output, whether it ends a line); None: it was not asked for."""
    parts = raw.rstrip(b"\n").split(b" ", 3)
    if len(parts) < 3:
        return None, True
    stamp, stream, tag = parts[0], parts[1].decode(), parts[2]
    text = parts[3] if len(parts) == 4 else b""
    if options.stream and stream != options.stream:
        return None, True
    if options.since and seconds_of(stamp.decode(errors="replace")) < options.since:
        return None, True
    whole = not tag.startswith(b"P")
    prefix = stamp + b" " if options.timestamps and first else b""
    return prefix + text + (b"\n" if whole else b""), whole


def _flag(query: Mapping[str, str], name: str) -> bool:
    return query.get(name, "").lower() in ("true", "1")


def _number(query: Mapping[str, str], name: str) -> int | None:
    text = query.get(name, "")
    if not text:
        return None
    if not text.isdigit():
        raise BadRequest(f"{name} must be a number of at least 0, not {text!r}")
    return int(text)
