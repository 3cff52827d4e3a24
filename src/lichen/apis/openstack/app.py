# SPDX-License-Identifier: Apache-2.0
"""The ASGI app: which service a path belongs to, who calls, which handler answers, and how a refusal is said."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from lichen.apis.openstack import faults, versions
from lichen.apis.openstack.access_rules import allowed
from lichen.apis.openstack.body import Disconnected, Receive
from lichen.apis.openstack.reply import Reply
from lichen.apis.openstack.request import NOBODY, Dialect, Request
from lichen.apis.openstack.routing import Route, Router, Service
from lichen.apis.openstack.services import SERVICES
from lichen.model.errors import ApiError, BadRequest, Forbidden, InternalError, MethodNotAllowed, NotFound, Unauthorized
from lichen.model.metrics import METHODS, OPENSTACK_DURATIONS, OPENSTACK_REQUESTS
from lichen.model.state import Caller, Cloud
from lichen.model.tracing import REQUEST_ID, is_request_id
from lichen.runtime.shares import REQUESTS, Shares, owner

log = logging.getLogger(__name__)
Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Asgi = Callable[[Scope, Receive, Send], Awaitable[None]]


def create_app(
    cloud: Cloud,
    *,
    services: tuple[Service, ...] | None = None,
    region: str = "RegionOne",
    images: Path | None = None,
) -> Asgi:
    """The OpenStack APIs of a cloud. services: which to serve, by default all; images: where uploads are kept."""
    return OpenStack(Dialect(cloud, SERVICES if services is None else services, region, images))


class OpenStack:
    """One dialect over one cloud, as an ASGI app."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._shares = Shares(REQUESTS)
        self._mounts: dict[str, tuple[Service, Router | None]] = {
            s.mount.strip("/"): (s, Router((*versions.discovery_routes(s), *s.routes))) for s in dialect.services
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
        elif scope["type"] == "http":
            await self._serve(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1002})

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = time.perf_counter()
        path = _path(scope)
        mount, _, rest = path.lstrip("/").partition("/")
        service, router = self._mounts.get(mount, (self._dialect.services[0], None))
        req = _request(self._dialect, service, scope, receive, "/" + rest if router else path)
        _modernise(req)
        reply = Reply()
        try:
            reply = await self._answer(req, router)
            await _send(req, reply, send)
        except Disconnected:
            reply = Reply(status=499)
        finally:
            if req.share:
                self._shares.give_back(req.share)
            took = time.perf_counter() - began
            _count(req, reply, took)
            _log(req, scope, reply, took)

    async def _answer(self, req: Request, router: Router | None) -> Reply:
        try:
            return await self._dispatch(req, router) if router else self._root(req)
        except ApiError as error:
            return _refusal(req, error)
        except Disconnected:
            raise
        except Exception:
            log.exception("%s: %s %s failed", req.request_id, req.method, req.path)
            return _refusal(req, InternalError("An unexpected error happened; the log has its cause by request id."))

    def _root(self, req: Request) -> Reply:
        if req.path != "/":
            raise NotFound("The resource could not be found.")
        links = {s.type: {"name": s.name, "href": req.absolute(s.endpoint)} for s in self._dialect.services}
        return Reply({"services": links, "region": self._dialect.region})

    async def _dispatch(self, req: Request, router: Router) -> Reply:
        found = router.find(req.path)
        if found is None or req.names_nothing:
            raise NotFound(req.service.why_not(req.path))
        by_method, req.params = found
        req.params = {name: unquote(value) for name, value in req.params.items()}
        candidates = by_method.get(req.method) or (by_method.get("GET") if req.method == "HEAD" else None)
        if not candidates:
            allowed = ", ".join(sorted(by_method))
            raise MethodNotAllowed(f"The method {req.method} is not allowed for this resource: {allowed} are.")
        req.version = versions.negotiate(req.service, req.headers)
        route = next((r for r in candidates if r.serves(req.version)), None)
        if route is None:
            raise NotFound(f"The resource could not be found in version {versions.dotted(req.version)}.")
        req.caller = await self._caller(req, route)
        if whose := owner(req.caller):
            self._shares.take(whose)
            req.share = whose
        return await route.handler(req, **req.params)

    async def _caller(self, req: Request, route: Route) -> Caller:
        token = req.headers.get("x-auth-token", "")
        if route.access == "anyone":
            return NOBODY
        if not token:
            raise Unauthorized("The request you have made requires authentication.")
        caller = await self._dialect.cloud.authenticate(token)
        if caller.access_rules and not allowed(caller.access_rules, req.method, req.service.type, req.path):
            raise Unauthorized("The application credential's access rules do not allow this call.")
        if route.access == "admin" and not caller.is_admin:
            raise Forbidden("You are not authorized to perform the requested action: it needs the role admin.")
        if route.access == "project" and not caller.namespace:
            raise BadRequest("This call needs a token that is scoped to a project.")
        return caller


def _path(scope: Scope) -> str:
    """The path with its %-escapes, so that a `/` inside of a segment stays there."""
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    return raw.partition(b"?")[0].decode("latin-1")


def _request(dialect: Dialect, service: Service, scope: Scope, receive: Receive, path: str) -> Request:
    host, port = scope.get("server") or ("localhost", None)
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    request_id = _request_id(headers.get("x-openstack-request-id", ""))
    REQUEST_ID.set(request_id)
    return Request(
        dialect=dialect,
        service=service,
        method=scope["method"],
        path=path.rstrip("/") or "/",
        names_nothing=path.endswith("/") and path.count("/") > 2 and service.style in ("glance", "cinder"),
        query_string=scope.get("query_string", b"").decode("latin-1"),
        headers=headers,
        scheme=scope.get("scheme", "http"),
        server=f"{host}:{port}" if port else host,
        root_path=scope.get("root_path", ""),
        receive=receive,
        request_id=request_id,
    )


def _modernise(req: Request) -> None:
    """A path of the service's legacy version is one of its lowest microversion, whatever the headers say."""
    old = req.service.legacy
    if old and req.path.startswith(old + "/"):
        req.path = f"/{req.service.version}{req.path.removeprefix(old)}"
        for name in ("openstack-api-version", req.service.version_header.lower()):
            req.headers.pop(name, None)


def _request_id(given: str) -> str:
    """What the client calls its request, as upstream if it looks like one of our own; else a new one."""
    return given if is_request_id(given) else f"req-{uuid.uuid4()}"


def _refusal(req: Request, error: ApiError) -> Reply:
    reply = faults.keystone(error) if error.code == 401 else req.service.fault(error)
    if error.code == 401:
        reply.headers["WWW-Authenticate"] = f'Keystone uri="{req.absolute("/identity")}"'
    if error.retry_after is not None:
        reply.headers["Retry-After"] = str(error.retry_after)
    return reply


async def _send(req: Request, reply: Reply, send: Send) -> None:
    payload = reply.payload()
    headers = {
        "x-openstack-request-id": req.request_id,
        **({req.service.request_id_header: req.request_id} if req.service.request_id_header else {}),
        **versions.version_headers(req.service, req.version if req.version != (0, 0) else req.service.lowest),
    }
    if payload or reply.stream is not None:
        headers["Content-Type"] = reply.content_type
    if reply.stream is None and reply.status not in (204, 304):
        headers["Content-Length"] = str(len(payload))
    headers |= reply.headers
    raw = [(k.lower().encode("latin-1"), v.encode("latin-1", "replace")) for k, v in headers.items()]
    await send({"type": "http.response.start", "status": reply.status, "headers": raw})
    if reply.stream is not None and req.method != "HEAD":
        async for chunk in reply.stream:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
    body = b"" if req.method == "HEAD" or reply.stream is not None else payload
    await send({"type": "http.response.body", "body": body})


def _count(req: Request, reply: Reply, seconds: float) -> None:
    method = req.method if req.method in METHODS else "other"
    OPENSTACK_REQUESTS.add(req.service.type, method, str(reply.status))
    OPENSTACK_DURATIONS.observe(seconds, req.service.type, method)


def _log(req: Request, scope: Scope, reply: Reply, seconds: float) -> None:
    """One line a request. Queries and headers stay out: they may carry secrets."""
    who = req.caller.name
    where = req.caller.namespace or "-"
    took = seconds * 1000
    log.info("%s %s %s %s %s %s %.1fms", req.request_id, who, where, req.method, scope["path"], reply.status, took)


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": message["type"] + ".complete"})
        if message["type"] == "lifespan.shutdown":
            return
