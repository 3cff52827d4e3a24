# SPDX-License-Identifier: Apache-2.0
"""watch: what is there, then every change, one JSON line each; whatever has queued up goes out in one write.

Three things happen at once: a pump takes events from the kernel and writes lines into a buffer, the request sends
the buffer, and a listener waits for the client to go away. The pump runs on while events are at hand, so that a
busy watch sends few large chunks.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

from lichen.apis.kubernetes.eventlines import Lines, error_line, lines_for
from lichen.apis.kubernetes.negotiation import form_of
from lichen.apis.kubernetes.reads import check_revision_match
from lichen.apis.kubernetes.request import Request
from lichen.apis.kubernetes.respond import send_chunk, start_stream
from lichen.apis.kubernetes.routing import Target
from lichen.model.errors import ApiError, Cause, Expired, Invalid
from lichen.model.state import EventType

Session = Any
RawEvents = AsyncIterator[tuple[EventType, bytes, int]]

MAX_BUFFERED = 64 * 1024 * 1024
"""Bytes a slow client may fall behind before its watch ends."""
_DEFAULT_TIMEOUT = 3600


async def watch(request: Request, session: Session, target: Target) -> None:
    """GET of a collection with watch=true."""
    check_revision_match(request)
    lines = lines_for(target.kind, form_of(request.header(b"accept")), request)
    timeout = request.number("timeoutSeconds") or _DEFAULT_TIMEOUT
    first, since = await _start(request, session, target, lines)
    events = session.watch_raw(
        target.kind,
        target.namespace,
        since=since,
        bookmarks=request.flag("allowWatchBookmarks"),
        **_selectors(request, target),
    )
    await _Stream(request, lines).run(first, events, timeout)


async def _start(request: Request, session: Session, target: Target, lines: Lines) -> tuple[bytes, int]:
    """The lines to begin with, and the revision from which changes follow."""
    revision = request.query.get("resourceVersion", "")
    initial = request.query.get("sendInitialEvents")
    if initial is not None:
        _check_initial(request)
    wanted = request.flag("sendInitialEvents") if initial is not None else revision in ("", "0")
    if not wanted and revision not in ("", "0"):
        return b"", int(revision)
    items, now, _, _ = await session.list_raw(target.kind, target.namespace, **_selectors(request, target))
    if not wanted:
        return b"", now
    first = b"".join(lines.event(EventType.ADDED, item, now) for item in items)
    if initial is not None and request.flag("allowWatchBookmarks"):
        first += lines.bookmark(now, initial_end=True)
    return first, now


def _selectors(request: Request, target: Target) -> dict[str, str]:
    """The query's selectors; a watch of one object by its path selects it by name."""
    fields = request.query.get("fieldSelector", "")
    if target.name:
        fields = f"metadata.name={target.name}"
    return {"labels": request.query.get("labelSelector", ""), "fields": fields}


def _check_initial(request: Request) -> None:
    if request.query.get("resourceVersionMatch", "") != "NotOlderThan":
        message = "Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
        raise Invalid(f"resourceVersionMatch: {message}", causes=(Cause("resourceVersionMatch", message),))


class _Stream:
    """One watch while it lasts."""

    def __init__(self, request: Request, lines: Lines) -> None:
        self._request = request
        self._lines = lines
        self._buffer: list[bytes] = []
        self._size = 0
        self._wake = asyncio.Event()
        self._ended = False

    async def run(self, first: bytes, events: RawEvents, timeout: float) -> None:
        """Send until the client goes, the time is up, or the events end. What fails before the first byte rises."""
        pump = asyncio.create_task(self._pump(events))
        gone = asyncio.create_task(self._until_gone())
        timer = asyncio.get_running_loop().call_later(timeout, self._end)
        try:
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            _raise_refusal(pump)
            await start_stream(self._request, b"application/json")
            await self._send(first, pump)
        finally:
            timer.cancel()
            await _stop((pump, gone), events)

    async def _send(self, first: bytes, pump: asyncio.Task[None]) -> None:
        if first:
            await send_chunk(self._request, first)
        while not self._ended or self._buffer:
            await self._wake.wait()
            self._wake.clear()
            buffer, self._buffer, self._size = self._buffer, [], 0
            if buffer:
                await send_chunk(self._request, b"".join(buffer))
        await send_chunk(self._request, _last_words(pump), more=False)

    async def _pump(self, events: RawEvents) -> None:
        line, wake = self._lines.event, self._wake
        try:
            async for type_, raw, revision in events:
                text = line(type_, raw, revision)
                self._buffer.append(text)
                self._size += len(text)
                if not wake.is_set():
                    wake.set()
                if self._size > MAX_BUFFERED:
                    raise Expired("the watch fell too far behind: list again")
        finally:
            self._end()

    async def _until_gone(self) -> None:
        while (await self._request.receive())["type"] != "http.disconnect":
            pass
        self._end()

    def _end(self) -> None:
        self._ended = True
        self._wake.set()


def _raise_refusal(pump: asyncio.Task[None]) -> None:
    """A refusal known before the first byte is an ordinary error; Expired is told in the stream, as upstream does."""
    if not pump.done():
        return
    fault = pump.exception()
    if fault is not None and not isinstance(fault, Expired):
        raise fault


def _last_words(pump: asyncio.Task[None]) -> bytes:
    if not pump.done() or pump.cancelled():
        return b""
    fault = pump.exception()
    return error_line(fault) if isinstance(fault, ApiError) else b""


async def _stop(tasks: Iterable[asyncio.Task[None]], events: RawEvents) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    close: Callable[[], Any] | None = getattr(events, "aclose", None)
    if close is not None:
        await close()
