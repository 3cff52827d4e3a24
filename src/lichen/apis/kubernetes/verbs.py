# SPDX-License-Identifier: Apache-2.0
"""From method and target to one of the verbs."""

from __future__ import annotations

from typing import Any

from lichen.apis.kubernetes import reads, subobjects, usage, writes
from lichen.apis.kubernetes.request import Request
from lichen.apis.kubernetes.routing import Target, target_of
from lichen.apis.kubernetes.streams import STREAMS, NodeApp, stream
from lichen.apis.kubernetes.watching import watch
from lichen.model.errors import BadRequest, MethodNotAllowed, NotFound
from lichen.model.state import Caller

_STREAMING = tuple(f"/{name}" for name in STREAMS)


async def answer(request: Request, kernel: Any, caller: Caller, node_app: NodeApp) -> bool:
    """Answer a request about objects. False: the path is one of discovery's."""
    path = request.path
    if not _names_objects(path):
        return False
    request.target = target = target_of(kernel.catalog, path)
    session = kernel.acting(caller)
    session.agent = request.agent().partition("/")[0]
    if request.scope["type"] == "websocket" and target.subresource not in STREAMS and not request.flag("watch"):
        raise BadRequest("a WebSocket is for watches, exec, attach and port-forward")
    if target.kind.group == usage.GROUP:
        await usage.answer(request, kernel, session, target, node_app)
    elif target.subresource:
        await _on_subresource(request, session, target, node_app)
    elif target.name:
        await _on_object(request, session, target)
    else:
        await _on_collection(request, session, target)
    return True


def takes_long(request: Request) -> bool:
    """It lasts as long as its client likes: a watch, a log, a console."""
    if request.scope["type"] == "websocket":
        return True
    if request.method == "GET" and request.query and request.flag("watch"):
        return True
    return request.path.endswith(_STREAMING) and request.method in ("GET", "POST")


def _names_objects(path: str) -> bool:
    """/api/v1/pods and /apis/apps/v1/deployments, not /api/v1/ and /apis/apps/v1."""
    if path.endswith("/"):
        path = path.rstrip("/")
    return path.count("/") >= (4 if path.startswith("/apis/") else 3)


async def _on_object(request: Request, session: Any, target: Target) -> None:
    method = request.method
    if method == "GET":
        if request.query and request.flag("watch"):
            await watch(request, session, target)
        else:
            _check_verb(request, target, "get")
            await reads.get(request, session, target)
    elif method == "PATCH":
        _check_verb(request, target, "patch")
        await writes.patch(request, session, target)
    elif method == "PUT":
        _check_verb(request, target, "update")
        await writes.update(request, session, target)
    elif method == "DELETE":
        _check_verb(request, target, "delete")
        await writes.delete(request, session, target)
    else:
        raise _not_allowed(request, target)


async def _on_collection(request: Request, session: Any, target: Target) -> None:
    method = request.method
    if method == "GET":
        if request.query and request.flag("watch"):
            _check_verb(request, target, "watch")
            await watch(request, session, target)
        else:
            _check_verb(request, target, "list")
            await reads.list_(request, session, target)
    elif method == "POST":
        _check_verb(request, target, "create")
        await writes.create(request, session, target)
    elif method == "DELETE":
        _check_verb(request, target, "deletecollection")
        await writes.delete_collection(request, session, target)
    else:
        raise _not_allowed(request, target)


async def _on_subresource(request: Request, session: Any, target: Target, node_app: NodeApp) -> None:
    if target.subresource not in target.kind.subresources:
        raise NotFound("the server could not find the requested resource")
    if target.subresource in STREAMS:
        await stream(request, session, target, node_app)
    elif request.method == "GET":
        await subobjects.get(request, session, target)
    elif request.method == "PATCH":
        await writes.patch(request, session, target)
    elif request.method == "PUT":
        await writes.update(request, session, target)
    elif request.method == "POST":
        await subobjects.create(request, session, target)
    else:
        raise _not_allowed(request, target)


def _check_verb(request: Request, target: Target, verb: str) -> None:
    if verb not in target.kind.verbs:
        raise _not_allowed(request, target)


def _not_allowed(request: Request, target: Target) -> MethodNotAllowed:
    return MethodNotAllowed(
        "the server does not allow this method on the requested resource",
        kind=target.kind.plural,
        group=target.kind.group,
        name=target.name,
    )
