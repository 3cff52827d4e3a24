# SPDX-License-Identifier: Apache-2.0
"""watch: what is there, then every change, one JSON line each; whatever has queued up goes out in one write.

Over a WebSocket, as upstream: one text message for each event. That is how browsers watch many kinds at once, as they
open no more than six connections to a host for plain requests.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any, Protocol

from lichen.apis.kubernetes.eventlines import Lines, RawEvent, error_line, lines_for
from lichen.apis.kubernetes.fieldlabels import check_fields
from lichen.apis.kubernetes.negotiation import form_of
from lichen.apis.kubernetes.reads import check_revision_match
from lichen.apis.kubernetes.request import Request
from lichen.apis.kubernetes.respond import send_chunk, start_stream
from lichen.apis.kubernetes.routing import Target
from lichen.apis.kubernetes.websockets import accept_watch
from lichen.model.errors import ApiError, Cause, Expired, Invalid

Session = Any

_DEFAULT_TIMEOUT = 3600
_MOST = 1024
"""Events in one write."""


class Watcher(Protocol):
    """What the kernel gives for a watch."""

    async def batch(self, most: int = ...) -> list[RawEvent]: ...

    async def aclose(self) -> None: ...


async def watch(request: Request, session: Session, target: Target) -> None:
    """GET of a collection with watch=true. A refusal comes before the first byte, but for Expired, which is told in
    the stream, as upstream does."""
    check_revision_match(request)
    lines = lines_for(target.columns(), form_of(request.header(b"accept")), request)
    timeout = request.number("timeoutSeconds") or _DEFAULT_TIMEOUT
    try:
        watcher: Watcher = session.watch_raw(
            target.kind,
            target.namespace,
            labels=request.query.get("labelSelector", ""),
            fields=_fields(request, target),
            since=_since(request),
            bookmarks=request.flag("allowWatchBookmarks"),
        )
    except Expired as fault:
        out = _out(request)
        await out.start()
        await out.end(error_line(fault))
        return
    try:
        await _stream(request, _out(request), watcher, lines, timeout)
    finally:
        await watcher.aclose()


def _since(request: Request) -> int | None:
    """The revision to begin after; None: begin with what is there."""
    revision = request.query.get("resourceVersion", "")
    if "sendInitialEvents" in request.query:
        if request.query.get("resourceVersionMatch") != "NotOlderThan":
            raise _missing_match()
        if request.flag("sendInitialEvents"):
            return None
    return int(revision) if revision not in ("", "0") else None


def _fields(request: Request, target: Target) -> str:
    """The query's field selector; a watch of one object by its path selects it by name."""
    if target.name:
        return f"metadata.name={target.name}"
    return check_fields(target.kind, request.query.get("fieldSelector", ""))


def _missing_match() -> Invalid:
    message = "Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
    return Invalid(f"resourceVersionMatch: {message}", causes=(Cause("resourceVersionMatch", message),))


class _Out(Protocol):
    """Where events go."""

    async def start(self) -> None: ...

    async def send(self, lines: list[bytes]) -> None: ...

    async def end(self, last_words: bytes) -> None: ...


class _Chunks:
    """An HTTP answer of unknown length."""

    def __init__(self, request: Request) -> None:
        self._request = request

    async def start(self) -> None:
        await start_stream(self._request, b"application/json")

    async def send(self, lines: list[bytes]) -> None:
        await send_chunk(self._request, b"".join(lines))

    async def end(self, last_words: bytes) -> None:
        await send_chunk(self._request, last_words, more=False)


class _Messages:
    """A WebSocket."""

    def __init__(self, request: Request) -> None:
        self._request = request

    async def start(self) -> None:
        await accept_watch(self._request)

    async def send(self, lines: list[bytes]) -> None:
        for line in lines:
            self._request.length += len(line)
            await self._request.send({"type": "websocket.send", "text": line.decode()})

    async def end(self, last_words: bytes) -> None:
        await self.send([last_words] if last_words else [])
        with contextlib.suppress(RuntimeError):  # the client may have closed it first
            await self._request.send({"type": "websocket.close", "code": 1000, "reason": ""})


def _out(request: Request) -> _Out:
    return _Messages(request) if request.scope["type"] == "websocket" else _Chunks(request)


async def _stream(request: Request, out: _Out, watcher: Watcher, lines: Lines, timeout: float) -> None:
    """Send until the client goes, the time is up, or the watch ends."""
    await out.start()
    sender = asyncio.create_task(_send_all(out, watcher, lines))
    gone = asyncio.create_task(_until_gone(request))
    try:
        await asyncio.wait((sender, gone), timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (sender, gone):
            task.cancel()
        await asyncio.gather(sender, gone, return_exceptions=True)
    await out.end(_last_words(sender))


async def _send_all(out: _Out, watcher: Watcher, lines: Lines) -> None:
    line = lines.line
    while True:
        events = await watcher.batch(_MOST)
        await out.send([line(event) for event in events])


async def _until_gone(request: Request) -> None:
    while (await request.receive())["type"] not in ("http.disconnect", "websocket.disconnect"):
        pass


def _last_words(sender: asyncio.Task[None]) -> bytes:
    """What ended the watch, if it was an error."""
    fault = None if sender.cancelled() else sender.exception()
    if fault is None:
        return b""
    if isinstance(fault, ApiError):
        return error_line(fault)
    raise fault
