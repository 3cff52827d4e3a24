# SPDX-License-Identifier: Apache-2.0
"""The ASGI application: who asks, what for, and the one place where errors become answers."""

from __future__ import annotations

import logging
import time
from contextlib import suppress
from dataclasses import replace
from typing import Any

from lichen.apis.kubernetes import metrics
from lichen.apis.kubernetes.access_log import AccessLog
from lichen.apis.kubernetes.channel import speaks_channels, tell_failure
from lichen.apis.kubernetes.documents import Documents
from lichen.apis.kubernetes.impersonation import asks_to_impersonate, impersonated
from lichen.apis.kubernetes.processes import Processes
from lichen.apis.kubernetes.request import AsgiApp, Message, Receive, Request, Scope, Send
from lichen.apis.kubernetes.respond import send_error
from lichen.apis.kubernetes.status import status_body
from lichen.apis.kubernetes.streams import NodeApp
from lichen.apis.kubernetes.verbs import answer, takes_long
from lichen.apis.kubernetes.websockets import offered_token, without_token
from lichen.model.errors import ApiError, Forbidden, InternalError, NotFound, Unauthorized
from lichen.model.names import DIALECT, DIALECT_HEADER
from lichen.model.state import Caller
from lichen.model.tracing import REQUEST_ID
from lichen.runtime.shares import LONG_REQUESTS, REQUESTS, Shares, owner

log = logging.getLogger(__name__)

CALLER = "lichen.caller"
"""In the scope: who asks, said by what shares the process and knows it already. No server puts it there."""
_DIALECT = DIALECT_HEADER.lower().encode()
ANONYMOUS = Caller("system:anonymous", ("system:unauthenticated",))


def create_app(kernel: Any, node_app: NodeApp, processes: Processes | None = None) -> AsgiApp:
    """The Kubernetes API over `kernel`. node_app(node's name) leads to that node's agent. processes: whose metrics are
    shown beside this one's."""
    return _App(kernel, node_app, processes)


class _App:
    def __init__(self, kernel: Any, node_app: NodeApp, processes: Processes | None) -> None:
        self._kernel = kernel
        self._node_app = node_app
        self._processes = processes
        self._documents = Documents(kernel.catalog, kernel.access)
        self._access = AccessLog()
        self._shares = Shares(REQUESTS)
        self._long_shares = Shares(LONG_REQUESTS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send, self._access)
            return
        started = time.perf_counter()
        request = Request(scope, receive, send)
        REQUEST_ID.set(request.id)
        try:
            await self._answer(request)
        except ApiError as refusal:
            await _refuse(request, refusal)
        except Exception:
            log.exception("request %s failed: %s %s", request.id, request.method, request.path)
            await _refuse(request, InternalError(f"Internal error occurred: see the server's log for {request.id}"))
        finally:
            took = time.perf_counter() - started
            metrics.count(request, took)
            self._access.note(request, took)

    async def _answer(self, request: Request) -> None:
        request.parse()
        caller = await self._caller(request)
        request.caller = caller
        path = request.path
        if metrics.is_asked_for(path):
            await metrics.answer_metrics(request, self._kernel, caller, self._processes)
            return
        if path.startswith(("/api/v1/", "/apis/")):
            whose = "" if caller.through else owner(caller)  # that API has counted it, and is not stopped in the middle
            shares = self._shares if not whose or not takes_long(request) else self._long_shares
            if whose:
                shares.take(whose)
            try:
                if await answer(request, self._kernel, caller, self._node_app):
                    return
            finally:
                if whose:
                    shares.give_back(whose)
        if request.scope["type"] == "websocket" or not await self._documents.answer(request, caller):
            raise NotFound("the server could not find the requested resource")

    async def _caller(self, request: Request) -> Caller:
        """Who asks. Unauthorized: a credential was given and is not valid."""
        caller = await self._through(request, await self._bearer(_credential(request)))
        if asks_to_impersonate(request.headers):
            return impersonated(self._kernel.access, caller, request.scope["headers"])
        return caller

    async def _through(self, request: Request, caller: Caller) -> Caller:
        """The caller, marked if OpenStack's API asks for it. Forbidden: it may make some of OpenStack's calls, and this
        is none. A proof that does not hold proves nothing."""
        known: Caller | None = request.scope.get(CALLER)
        if known is not None:
            return known
        proof = request.header(_DIALECT)
        if proof:
            with suppress(Unauthorized):
                if (await self._kernel.authenticate(proof)).name == DIALECT:
                    return replace(caller, through=DIALECT)
        if caller.access_rules:
            raise Forbidden("the application credential's access rules allow some of OpenStack's calls, and no others")
        return caller

    async def _bearer(self, given: bytes | None) -> Caller:
        if given is None:
            return ANONYMOUS
        scheme, _, token = given.decode("latin-1").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise Unauthorized("Unauthorized")
        caller: Caller = await self._kernel.authenticate(token.strip())
        return caller


def _credential(request: Request) -> bytes | None:
    """The Authorization header, or what stands for it in a browser's WebSocket."""
    given = request.headers.get(b"authorization")
    if request.scope["type"] != "websocket":
        return given
    token = offered_token(request.scope)
    request.scope = without_token(request.scope)
    return f"Bearer {token}".encode() if token and given is None else given


async def _refuse(request: Request, error: ApiError) -> None:
    """Answer with an error, as far as the answer has not begun."""
    if request.scope["type"] == "websocket":
        await _refuse_websocket(request, error)
    elif not request.code:
        await send_error(request, error)
    else:
        await request.send({"type": "http.response.body", "body": b"", "more_body": False})


async def _refuse_websocket(request: Request, error: ApiError) -> None:
    if request.code:
        await request.send({"type": "websocket.close", "code": 1011, "reason": error.message[:100]})
        return
    request.code = error.code
    if error.code >= 500 and speaks_channels(request.scope):
        await tell_failure(request.scope, request.send, error)
        return
    body = status_body(error)
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await request.send({"type": "websocket.http.response.start", "status": error.code, "headers": headers})
    await request.send({"type": "websocket.http.response.body", "body": body})


async def _lifespan(receive: Receive, send: Send, access: AccessLog) -> None:
    while True:
        message: Message = await receive()
        if message["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
        else:
            access.flush()
            await send({"type": "lifespan.shutdown.complete"})
            return
