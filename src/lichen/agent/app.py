# SPDX-License-Identifier: Apache-2.0
"""What a node answers: logs, exec, attach, consoles. An ASGI application that only the kernel may call.

GET /healthz
GET /usage                      what the node and its pods use, a `Measured`
GET /pods/{namespace}/{name}/{container}/log?follow&previous&timestamps&tailLines&limitBytes&sinceSeconds&sinceTime
WS  /pods/{namespace}/{name}/{container}/exec?command=…&stdin&stdout&stderr&tty
WS  /pods/{namespace}/{name}/{container}/attach
WS  /pods/{namespace}/{name}/portforward?ports=…
GET /servers/{namespace}/{name}/log?tail=&follow
WS  /servers/{namespace}/{name}/attach
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from functools import partial
from typing import Any
from urllib.parse import parse_qs, unquote

import msgspec

from lichen.agent.consoles import follow_console
from lichen.agent.forwarded_channels import PROTOCOL as CHANNELS
from lichen.agent.forwarded_channels import ChannelForwarder, ports_of
from lichen.agent.forwarding import PROTOCOL, Forwarder
from lichen.agent.logs import LogOptions, read_log
from lichen.agent.pods import Pods
from lichen.agent.servers import Servers
from lichen.agent.sources import Sources
from lichen.agent.streams import Receive, Send, protocol_of, refuse, serve_exec, serve_output
from lichen.agent.usage import Meter
from lichen.drivers.base import Attachable, ContainerPhase, ContainerState, Dialable, PodDriver, Speaking
from lichen.model.data import Object
from lichen.model.errors import (
    ApiError,
    BadRequest,
    Forbidden,
    NotFound,
    Permanent,
    Temporary,
    Unauthorized,
    Unavailable,
)
from lichen.model.meta import uid_of
from lichen.planning.pod_restart import container_specs
from lichen.runtime.clock import Clock
from lichen.runtime.informer import Informer

PATIENCE = 10.0
"""Seconds in which what a node has is known to it."""
Scope = MutableMapping[str, Any]
Query = dict[str, list[str]]
Session = Callable[[Receive, Send], Awaitable[None]]


class NodeApp:
    """may_call: whether a bearer token may; None: whoever reaches the application may."""

    def __init__(
        self,
        pods: Pods,
        servers: Servers,
        sources: Sources,
        clock: Clock,
        meter: Meter,
        *,
        may_call: Callable[[str], bool] | None = None,
    ) -> None:
        self._pods = pods
        self._servers = servers
        self._sources = sources
        self._clock = clock
        self._meter = meter
        self._may_call = may_call

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
            return
        query = parse_qs(scope.get("query_string", b"").decode(), keep_blank_values=True)
        parts = [unquote(part) for part in scope["path"].strip("/").split("/")]
        try:
            if scope["type"] == "websocket":
                await self._socket(scope, parts, query, receive, send)
            else:
                await self._get(scope, parts, query, receive, send)
        except ApiError as error:
            await _answer_error(scope, send, error)

    async def _get(self, scope: Scope, parts: list[str], query: Query, receive: Receive, send: Send) -> None:
        if parts == ["healthz"]:
            await _answer(send, b"ok")
            return
        self._check(scope)
        match parts:
            case ["usage"]:
                await _answer(send, msgspec.json.encode(await self._meter.measure()), content_type=b"application/json")
            case ["pods", namespace, name, container, "log"]:
                await self._log(namespace, name, container, query, receive, send)
            case ["servers", namespace, name, "log"]:
                await self._console(namespace, name, query, receive, send)
            case _:
                raise NotFound(f"the node has no page {scope['path']}")

    async def _socket(self, scope: Scope, parts: list[str], query: Query, receive: Receive, send: Send) -> None:
        self._check(scope)
        if len(parts) == 4 and parts[0] == "pods" and parts[3] == "portforward":
            await self._forward(scope, parts[1], parts[2], query, receive, send)
            return
        protocol = protocol_of(list(scope.get("subprotocols") or []))
        if protocol is None:
            raise BadRequest("the WebSocket must offer v5.channel.k8s.io or v4.channel.k8s.io")
        await receive()
        try:
            serve = await self._session(scope, parts, query)
        except (ApiError, Temporary, Permanent) as error:
            # A client whose handshake is refused does not show why: what is said on the socket is shown.
            await send({"type": "websocket.accept", "subprotocol": protocol})
            await refuse(send, error if isinstance(error, ApiError) else BadRequest(str(error)))
            return
        await send({"type": "websocket.accept", "subprotocol": protocol})
        await serve(receive, send)

    async def _session(self, scope: Scope, parts: list[str], query: Query) -> Session:
        """What serves an exec or an attach once its socket is accepted. ApiError, Temporary, Permanent."""
        match parts:
            case ["pods", namespace, name, container, "exec"]:
                return await self._exec(namespace, name, container, query)
            case ["pods", namespace, name, container, "attach"]:
                return await self._attach(namespace, name, container, query)
            case ["servers", namespace, name, "attach"]:
                return await self._talk(namespace, name)
            case _:
                raise NotFound(f"the node has no page {scope['path']}")

    async def _attach(self, namespace: str, name: str, container: str, query: Query) -> Session:
        pod, driver, state = await self._running(namespace, name, container)
        if not _flag(query, "stdin"):
            options = LogOptions(follow=True, tail=0)
            return partial(serve_output, self._follow(pod, driver, state, state.attempt, options))
        if not isinstance(driver, Attachable):
            raise BadRequest(f"container {state.name} has no input: its runtime gives it none")
        joined = await driver.attach(uid_of(pod), state.name)
        return partial(serve_exec, joined, stdout=_flag(query, "stdout"), stderr=_flag(query, "stderr"))

    async def _talk(self, namespace: str, name: str) -> Session:
        server, driver = await self._server(namespace, name), self._servers.driver
        if not isinstance(driver, Speaking):
            raise BadRequest(f"the console of server {name} takes no input: its engine gives it none")
        return partial(serve_exec, await driver.talk(server["spec"]["id"]), stdout=True, stderr=False)

    async def _exec(self, namespace: str, name: str, container: str, query: Query) -> Session:
        pod, driver, state = await self._running(namespace, name, container)
        stdout, stderr = _flag(query, "stdout"), _flag(query, "stderr")
        command, tty = tuple(query.get("command") or ()), _flag(query, "tty")
        if not command:
            raise BadRequest("you must specify at least 1 command for the container")
        run = await driver.exec(uid_of(pod), state.name, command, tty=tty, stdin=_flag(query, "stdin"))
        return partial(serve_exec, run, stdout=stdout, stderr=stderr and not tty)

    async def _forward(
        self, scope: Scope, namespace: str, name: str, query: Query, receive: Receive, send: Send
    ) -> None:
        offered = [each for each in scope.get("subprotocols") or () if each in (PROTOCOL, CHANNELS)]
        if not offered:
            raise BadRequest(f"the WebSocket must offer {PROTOCOL} or {CHANNELS}")
        ports = ports_of(query.get("ports") or []) if offered[0] == CHANNELS else []
        pod, driver = await self._pod(namespace, name)
        if not isinstance(driver, Dialable):
            raise BadRequest(f"ports of pod {name} cannot be forwarded: its runtime cannot connect to them")
        await receive()
        await send({"type": "websocket.accept", "subprotocol": offered[0]})
        dial = partial(driver.dial, uid_of(pod))
        if offered[0] == CHANNELS:
            await ChannelForwarder(ports, dial, receive, send).run()
        else:
            await Forwarder(dial, receive, send).run()

    async def _log(self, namespace: str, name: str, container: str, query: Query, receive: Receive, send: Send) -> None:
        options = LogOptions.of({key: values[-1] for key, values in query.items()}, self._clock.now())
        pod, driver, state = await self._container(namespace, name, container)
        if state is None:
            raise BadRequest(f'container "{container}" in pod "{name}" is waiting to start: {_waiting(pod, container)}')
        attempt = state.attempt - 1 if options.previous else state.attempt
        path = driver.log_path(uid_of(pod), container, attempt) if attempt >= 0 else None
        if path is None or (options.previous and not path.exists()):
            raise BadRequest(f'previous terminated container "{container}" in pod "{name}" not found')
        chunks = self._follow(pod, driver, state, attempt, options)
        if options.follow:
            await _stream(send, receive, chunks)
        else:
            await _answer(send, b"".join([chunk async for chunk in chunks]))

    async def _follow(
        self, pod: Object, driver: PodDriver, state: ContainerState, attempt: int, options: LogOptions
    ) -> AsyncIterator[bytes]:
        uid, wake = uid_of(pod), asyncio.Event()

        async def ended() -> bool:
            newest = await _newest(driver, uid, state.name)
            return newest is None or newest.attempt != attempt or newest.phase == ContainerPhase.EXITED

        with self._pods.waking(uid, wake):
            path = driver.log_path(uid, state.name, attempt)
            async for chunk in read_log(path, options, ended, wake):
                yield chunk

    async def _console(self, namespace: str, name: str, query: Query, receive: Receive, send: Send) -> None:
        server = await self._server(namespace, name)
        tail = query.get("tail", ["0"])[-1] or "0"
        if not tail.isdigit():
            raise BadRequest(f"tail must be a number of at least 0, not {tail!r}")
        guest, driver = server["spec"]["id"], self._servers.driver
        if _flag(query, "follow") and isinstance(driver, Speaking):
            await _stream(send, receive, follow_console(driver, guest, int(tail)))
        else:
            await _answer(send, await driver.console(guest, tail=int(tail)))

    async def _server(self, namespace: str, name: str) -> Object:
        await _all_known(self._sources.servers)
        server = self._sources.servers.get(name, namespace)
        if server is None or not self._servers.is_mine(server):
            raise NotFound(f'servers "{name}" not found on this node', kind="servers", name=name)
        return server

    async def _container(
        self, namespace: str, name: str, container: str
    ) -> tuple[Object, PodDriver, ContainerState | None]:
        pod, driver = await self._pod(namespace, name)
        if container not in [spec["name"] for spec in container_specs(pod)]:
            raise BadRequest(f"container {container} is not valid for pod {name}")
        return pod, driver, await _newest(driver, uid_of(pod), container)

    async def _pod(self, namespace: str, name: str) -> tuple[Object, PodDriver]:
        await _all_known(self._sources.pods)
        pod = self._sources.pods.get(name, namespace)
        driver = self._pods.driver_of(pod) if pod is not None and self._pods.is_mine(pod) else None
        if pod is None or driver is None:
            raise NotFound(f'pods "{name}" not found on this node', kind="pods", name=name)
        return pod, driver

    async def _running(self, namespace: str, name: str, container: str) -> tuple[Object, PodDriver, ContainerState]:
        pod, driver, state = await self._container(namespace, name, container)
        if state is None or state.phase != ContainerPhase.RUNNING:
            raise NotFound(f'container "{container}" of pod "{name}" is not running', kind="pods", name=name)
        return pod, driver, state

    def _check(self, scope: Scope) -> None:
        if self._may_call is None:
            return
        header = dict(scope.get("headers") or []).get(b"authorization", b"").decode(errors="replace")
        scheme, _, token = header.partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Unauthorized("Unauthorized")
        if not self._may_call(token):
            raise Forbidden("only the kernel may call a node")


async def _all_known(informer: Informer) -> None:
    """An agent that has just begun answers before it knows what is its own. Unavailable: it does not hear of it."""
    try:
        await asyncio.wait_for(informer.synced(), PATIENCE)
    except TimeoutError:
        raise Unavailable("the node has just begun, and does not know its pods and servers yet") from None


async def _newest(driver: PodDriver, uid: str, container: str) -> ContainerState | None:
    state = (await driver.discover()).get(uid)
    return next((c for c in state.containers if c.name == container), None) if state is not None else None


def _waiting(pod: Object, container: str) -> str:
    statuses = (pod.get("status") or {}).get("containerStatuses") or []
    state = next((s.get("state") or {} for s in statuses if s["name"] == container), {})
    reason: str = (state.get("waiting") or {}).get("reason") or "ContainerCreating"
    return reason


async def _stream(send: Send, receive: Receive, chunks: AsyncIterator[bytes]) -> None:
    """Answer with what `chunks` yields; stop when the client goes away."""
    headers = [(b"content-type", b"text/plain")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})

    async def pour() -> None:
        async for chunk in chunks:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def gone() -> None:
        while (await receive())["type"] != "http.disconnect":
            continue

    tasks = [asyncio.create_task(pour()), asyncio.create_task(gone())]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _answer(send: Send, body: bytes, status: int = 200, content_type: bytes = b"text/plain") -> None:
    headers = [(b"content-type", content_type), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _answer_error(scope: Scope, send: Send, error: ApiError) -> None:
    """A Status; before a WebSocket was accepted, as the answer to its handshake."""
    status = {
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": error.message, "reason": error.reason, "code": error.code,
    }  # fmt: skip
    body = msgspec.json.encode(status)
    if scope["type"] == "http":
        await _answer(send, body, error.code, b"application/json")
        return
    if "websocket.http.response" not in (scope.get("extensions") or {}):
        await send({"type": "websocket.close", "code": 1008, "reason": error.message[:120]})
        return
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "websocket.http.response.start", "status": error.code, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": body})


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        event = await receive()
        await send({"type": f"{event['type']}.complete"})
        if event["type"] == "lifespan.shutdown":
            return


def _flag(query: Query, name: str) -> bool:
    return (query.get(name) or [""])[-1].lower() in ("true", "1")
