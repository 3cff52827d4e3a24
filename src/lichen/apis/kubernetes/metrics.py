# SPDX-License-Identifier: Apache-2.0
"""GET /metrics: for whoever may `get` that path, as upstream; and the count of every request."""

from __future__ import annotations

import asyncio
from typing import Any

from lichen.apis.kubernetes.request import Request
from lichen.apis.kubernetes.respond import send_raw
from lichen.model.errors import Forbidden, MethodNotAllowed
from lichen.model.state import Caller
from lichen.runtime.metrics import COUNTED, DURATIONS, METHODS, REQUESTS, Gauge, exposition, snapshot

PATH = "/metrics"
_TYPE = (b"content-type", b"text/plain; version=0.0.4; charset=utf-8")


def gauges(store: Any) -> tuple[Gauge, ...]:
    """What is looked up in a store when it is asked for."""

    return (
        Gauge("lichen_store_revision", "The newest revision of the store.", (), lambda: [((), store.revision)]),
        Gauge("lichen_store_objects", "Objects in the store.", ("group", "resource"), lambda: store.sizes().items()),
    )


async def answer_metrics(request: Request, kernel: Any, caller: Caller) -> None:
    """Forbidden: the caller's roles do not let it `get` the path /metrics."""
    if kernel.access.refusal_of_path(caller, "get", PATH) is not None:
        raise Forbidden(f'forbidden: User "{caller.name}" cannot get path "{PATH}"')
    if request.method not in ("GET", "HEAD"):
        raise MethodNotAllowed("the server does not allow this method on the requested resource")
    now = snapshot((*COUNTED, *gauges(kernel.store)))
    await send_raw(request, await asyncio.to_thread(exposition, now), 200, (_TYPE,))


def count(request: Request, seconds: float) -> None:
    """Note an answer that took so many seconds. Labels have few values, whatever clients send: methods and
    subresources that are none, and paths that name no kind, count as one each."""
    verb = request.method if request.method in METHODS else "other"
    group = resource = subresource = ""
    target = request.target
    if target is not None:
        group, resource = target.kind.group, target.kind.plural
        subresource = target.subresource if target.subresource in target.kind.subresources else ""
    REQUESTS.add(verb, group, resource, subresource, str(request.code))
    if not subresource and "watch" not in request.query:
        DURATIONS.observe(seconds, verb, group, resource)
