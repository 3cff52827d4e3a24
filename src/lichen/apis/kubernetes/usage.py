# SPDX-License-Identifier: Apache-2.0
"""metrics.k8s.io: what nodes and pods use, asked of the nodes' agents at that moment. Nothing of it is stored."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from typing import Any

import msgspec

from lichen.apis.kubernetes.fieldlabels import check_fields
from lichen.apis.kubernetes.negotiation import form_of
from lichen.apis.kubernetes.reads import list_meta, send_many, send_one
from lichen.apis.kubernetes.request import Message, Request
from lichen.apis.kubernetes.routing import Target
from lichen.apis.kubernetes.streams import NodeApp
from lichen.apis.kubernetes.wire import encode
from lichen.kinds.builtin import NODE, POD
from lichen.kinds.metrics.usage import GROUP
from lichen.model.data import Object
from lichen.model.errors import ApiError, MethodNotAllowed, NotFound
from lichen.model.meta import labels_of, name_of, namespace_of, uid_of
from lichen.model.usage import Measured, Usage
from lichen.planning.times import rfc3339

log = logging.getLogger(__name__)

__all__ = ["GROUP", "answer"]
_decode = msgspec.json.Decoder(Measured).decode
SECONDS = 10.0
"""How long an agent may take."""


async def answer(request: Request, kernel: Any, session: Any, target: Target, node_app: NodeApp) -> None:
    """GET of NodeMetrics or PodMetrics, one or all. What an agent does not tell is left out, as upstream. NotFound."""
    if request.method != "GET" or request.flag("watch"):
        raise MethodNotAllowed("the server does not allow this method on the requested resource")
    if target.subresource:
        raise NotFound("the server could not find the requested resource")
    verb = "get" if target.name else "list"
    await session.authorize(verb, target.kind, target.name, target.namespace or "")
    form = form_of(request.header(b"accept"))
    of_nodes = target.kind.plural == "nodes"
    found = await _selected(request, kernel, target, of_nodes)
    told = await _ask({name_of(obj) if of_nodes else _host(obj) for obj in found}, node_app)
    shown = [item for obj in found if (item := _node(obj, told) if of_nodes else _pod(obj, told)) is not None]
    items = [encode({"kind": target.kind.kind, "apiVersion": target.kind.api_version, **item}) for item in shown]
    if not target.name:
        await send_many(request, target, items, list_meta(kernel.store.revision, "", 0), form)
    elif items:
        await send_one(request, target, items[0], form)
    else:
        raise _not_found(target)


async def _selected(request: Request, kernel: Any, target: Target, of_nodes: bool) -> list[Object]:
    """The nodes or pods that are asked for, in the order of their names."""
    fields = check_fields(target.kind, request.query.get("fieldSelector", ""))
    if target.name:
        fields = f"metadata.name={target.name}"
    page = await kernel.store.list(
        NODE if of_nodes else POD,
        target.namespace or None,
        labels="" if target.name else request.query.get("labelSelector", ""),
        fields=fields,
    )
    return [obj for obj in page.items if of_nodes or _host(obj)]


async def _ask(nodes: Iterable[str], node_app: NodeApp) -> dict[str, Measured]:
    names = sorted(nodes)
    told = await asyncio.gather(*(_measured(name, node_app) for name in names))
    return {name: one for name, one in zip(names, told, strict=True) if one is not None}


async def _measured(node: str, node_app: NodeApp) -> Measured | None:
    try:
        async with asyncio.timeout(SECONDS):
            return _decode(await _get(await node_app(node), "/usage"))
    except (ApiError, OSError, msgspec.DecodeError) as fault:
        log.info("node %s does not tell what it uses: %s", node, fault or "it is silent")
        return None


async def _get(app: Any, path: str) -> bytes:
    """The body of an agent's answer. NotFound: it is not one of success."""
    sent: list[Message] = []

    async def receive() -> Message:
        if not asked:
            asked.append(True)
            return {"type": "http.request", "body": b""}
        await asyncio.Event().wait()  # the caller stays until the answer is there
        raise AssertionError

    async def send(message: Message) -> None:
        sent.append(message)

    asked: list[bool] = []
    scope = {"type": "http", "method": "GET", "path": path, "query_string": b"", "headers": []}
    await app(scope, receive, send)
    if sent[0]["status"] != 200:
        raise NotFound(f"it answers {sent[0]['status']}")
    return b"".join(message.get("body", b"") for message in sent[1:])


def _host(pod: Object) -> str:
    host: str = (pod.get("spec") or {}).get("nodeName") or ""
    return host


def _node(node: Object, told: dict[str, Measured]) -> Object | None:
    measured = told.get(name_of(node))
    return None if measured is None else {**_head(node, measured), "usage": _quantities(measured.node)}


def _pod(pod: Object, told: dict[str, Measured]) -> Object | None:
    measured = told.get(_host(pod))
    used = measured.pods.get(uid_of(pod)) if measured is not None else None
    if measured is None or not used:
        return None
    containers = [{"name": name, "usage": _quantities(usage)} for name, usage in sorted(used.items())]
    return {**_head(pod, measured), "containers": containers}


def _head(obj: Object, measured: Measured) -> Object:
    stamp = rfc3339(measured.at)
    meta: Object = {"name": name_of(obj), "creationTimestamp": stamp}
    if namespace_of(obj):
        meta["namespace"] = namespace_of(obj)
    if labels := labels_of(obj):
        meta["labels"] = dict(labels)
    return {"metadata": meta, "timestamp": stamp, "window": f"{measured.window:.3f}s"}


def _quantities(usage: Usage) -> dict[str, str]:
    return {"cpu": f"{usage.cpu}n", "memory": f"{usage.memory >> 10}Ki"}


def _not_found(target: Target) -> NotFound:
    kind = target.kind
    message = f'{kind.kind.lower()}.{kind.group} "{target.name}" not found'
    return NotFound(message, kind=kind.plural, group=kind.group, name=target.name)
