# SPDX-License-Identifier: Apache-2.0
"""Logs, exec, attach and forwarded ports: authorised here, then handed as they are to the agent of the node."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

from lichen.apis.kubernetes.channel import Denial, speaks_channels, tell_failure
from lichen.apis.kubernetes.request import AsgiApp, Request, Scope, Send
from lichen.apis.kubernetes.routing import Target
from lichen.model.data import Object
from lichen.model.errors import ApiError, BadRequest, MethodNotAllowed
from lichen.model.meta import annotations_of

NodeApp = Callable[[str], Awaitable[AsgiApp]]
Session = Any

STREAMS = frozenset(("log", "exec", "attach", "portforward", "proxy"))
_NOT_YET = {
    "proxy": "proxying through the API is not supported yet: use a Service",
}
_OVER_WEBSOCKET = {"portforward": "SPDY/3.1+portforward.k8s.io"}
_DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container"
_KEPT_HEADERS = frozenset((b"accept", b"user-agent", b"host", b"upgrade", b"connection", b"x-request-id", b"audit-id"))


async def stream(request: Request, session: Session, target: Target, node_app: NodeApp) -> None:
    """GET (or, for exec and attach, POST) of a stream of one object, over HTTP or a WebSocket.

    Whatever its method, a call that can change something needs the right to create, as upstream since 1.35."""
    websocket = request.scope["type"] == "websocket"
    verb = "get" if target.subresource == "log" else "create"
    if request.method not in ("GET", "POST") or (target.subresource == "log" and request.method != "GET"):
        raise MethodNotAllowed(f"{request.method} is not supported on {target.kind.plural}/{target.subresource}")
    await session.authorize(verb, target.kind, target.name, target.namespace or "", target.subresource)
    if target.subresource in _NOT_YET:
        raise BadRequest(_NOT_YET[target.subresource])
    obj = await session.get(target.kind, target.name, target.namespace or "")
    path, query = _place(obj, target, request.scope["query_string"])
    _check_protocol(request, target, websocket)
    node = (obj.get("spec") or {}).get("nodeName") or (obj.get("spec") or {}).get("node")
    if not node:
        raise BadRequest(f"{target.kind.plural} {target.name} does not have a host assigned")
    if not websocket:
        app = await node_app(node)
        await app(_scope(request.scope, path, query), request.receive, _counted(request))
    else:
        await _over_websocket(request, target, node_app, node, _scope(request.scope, path, query))


async def _over_websocket(request: Request, target: Target, node_app: NodeApp, node: str, scope: Scope) -> None:
    """From here on every failure is told on the socket, if the client knows how to hear it."""
    send = _counted(request)
    if target.subresource == "portforward" or not speaks_channels(scope):  # its channels are the ports' own
        await (await node_app(node))(scope, request.receive, send)
        return
    try:
        app = await node_app(node)
    except ApiError as fault:
        await tell_failure(scope, send, fault)
        return
    await app(scope, request.receive, Denial(scope, send))


def _check_protocol(request: Request, target: Target, websocket: bool) -> None:
    if target.subresource == "log":
        if websocket:
            raise BadRequest("logs are served over HTTP, not over a WebSocket")
        return
    if websocket:
        return
    upgrade = request.header(b"upgrade").lower()
    if upgrade.startswith("spdy"):
        raise BadRequest(
            "unable to upgrade: SPDY is not supported, use the WebSocket protocol "
            f"{_OVER_WEBSOCKET.get(target.subresource, 'v5.channel.k8s.io')}"
        )
    raise BadRequest("Upgrade request required")


def _place(obj: Object, target: Target, raw_query: bytes) -> tuple[str, bytes]:
    """Path and query on the agent: containers have a segment of their own, other things are one stream."""
    pairs = parse_qsl(raw_query.decode("latin-1"), keep_blank_values=True)
    base = f"/{target.kind.plural}/{target.namespace}/{target.name}"
    containers = _containers(obj)
    if not containers or target.subresource == "portforward":
        return f"{base}/{target.subresource}", urlencode(pairs).encode()
    asked = next((value for key, value in pairs if key == "container"), "")
    container = _container(obj, target, containers, asked)
    rest = [(key, value) for key, value in pairs if key != "container"]
    return f"{base}/{container}/{target.subresource}", urlencode(rest).encode()


def _containers(obj: Object) -> list[str]:
    spec = obj.get("spec") or {}
    keys = ("containers", "initContainers", "ephemeralContainers")
    return [container["name"] for key in keys for container in spec.get(key) or []]


def _container(obj: Object, target: Target, names: list[str], asked: str) -> str:
    """The container asked for, the annotated one, or the only one. BadRequest."""
    if asked:
        if asked not in names:
            raise BadRequest(f"container {asked} is not valid for pod {target.name}")
        return asked
    default = annotations_of(obj).get(_DEFAULT_CONTAINER, "")
    if default in names:
        return default
    main = [container["name"] for container in obj["spec"].get("containers") or []]
    if len(main) != 1:
        raise BadRequest(
            f"a container name must be specified for pod {target.name}, choose one of: [{' '.join(names)}]"
        )
    return str(main[0])


def _scope(scope: Scope, path: str, query: bytes) -> Scope:
    """The call as the agent gets it: without the caller's credential."""
    headers = [
        (name, value) for name, value in scope["headers"] if name in _KEPT_HEADERS or name.startswith(b"sec-websocket")
    ]
    return {
        **scope,
        "path": path,
        "raw_path": quote(path).encode(),
        "root_path": "",
        "query_string": query,
        "headers": headers,
    }


def _counted(request: Request) -> Send:
    """`send` that notes the answer's code and length for the access log."""

    async def send(message: Any) -> None:
        kind = message["type"]
        if kind == "http.response.start":
            request.code = message["status"]
        elif kind == "http.response.body":
            request.length += len(message.get("body", b""))
        elif kind == "websocket.accept":
            request.code = 101
        await request.send(message)

    return send
