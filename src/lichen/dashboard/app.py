# SPDX-License-Identifier: Apache-2.0
"""An ASGI application in front of another one: /dashboard/ is the page, everything else the other's."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

PREFIX = "/dashboard/"
TYPES = {
    "html": b"text/html; charset=utf-8",
    "css": b"text/css; charset=utf-8",
    "js": b"text/javascript; charset=utf-8",
    "svg": b"image/svg+xml",
}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
)
"""Nothing from elsewhere, nothing inline, in nobody's frame; and text cannot become HTML: Chromium refuses it."""
GUARDS: Headers = [
    (b"content-security-policy", POLICY.encode()),
    (b"x-frame-options", b"DENY"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
]


@dataclass(frozen=True, slots=True)
class File:
    """One file as it is sent: packed once, told apart by a digest of what it says."""

    type: bytes
    plain: bytes
    packed: bytes
    tag: bytes


def with_dashboard(api: AsgiApp) -> AsgiApp:
    """`api`, and the dashboard beside it. A browser that asks for / is led to it."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if scope["type"] == "http" and path.startswith(PREFIX):
            await _serve(path.removeprefix(PREFIX) or "index.html", scope, send)
        elif scope["type"] == "http" and (path == PREFIX[:-1] or (path == "/" and _is_browser(scope))):
            await _answer(send, 307, [(b"location", PREFIX.encode()), *GUARDS])
        else:
            await api(scope, receive, send)

    return app


async def _serve(name: str, scope: Scope, send: Send) -> None:
    if scope["method"] not in ("GET", "HEAD"):
        await _answer(send, 405, [(b"allow", b"GET, HEAD"), *GUARDS])
        return
    file = _files().get(name)
    if file is None:
        await _answer(send, 404, [(b"content-type", b"text/plain"), *GUARDS], b"The dashboard has no such file.\n")
        return
    asked = dict(scope["headers"])
    headers = [(b"etag", file.tag), (b"cache-control", b"no-cache"), (b"vary", b"accept-encoding"), *GUARDS]
    if file.tag in asked.get(b"if-none-match", b""):
        await _answer(send, 304, headers)
        return
    body, headers = file.plain, [(b"content-type", file.type), *headers]
    if b"gzip" in asked.get(b"accept-encoding", b""):
        body, headers = file.packed, [*headers, (b"content-encoding", b"gzip")]
    await _answer(send, 200, headers, body, head=scope["method"] == "HEAD")


@cache
def _files() -> dict[str, File]:
    """All of the page, by name: some 20 kB packed, read when it is first asked for."""
    found = {}
    for path in files("lichen.dashboard").joinpath("page").iterdir():
        type_ = TYPES.get(path.name.rpartition(".")[2])
        if type_ is not None:
            body = path.read_bytes()
            tag = b'"%b"' % hashlib.sha256(body).hexdigest()[:32].encode()
            found[path.name] = File(type_, body, gzip.compress(body, mtime=0), tag)
    return found


def _is_browser(scope: Scope) -> bool:
    return b"text/html" in dict(scope["headers"]).get(b"accept", b"")


async def _answer(send: Send, code: int, headers: Headers, body: bytes = b"", *, head: bool = False) -> None:
    length = [] if code == 304 else [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": code, "headers": [*headers, *length]})
    await send({"type": "http.response.body", "body": b"" if head else body})
