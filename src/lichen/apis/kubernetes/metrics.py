# SPDX-License-Identifier: Apache-2.0
"""GET /metrics, of this process; GET /metrics/<process>, of the cloud's others; GET /metrics/, which there are. Each is
for whoever may `get` that path, as upstream. And the count of every request."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec

from lichen.apis.kubernetes.exposition import exposition
from lichen.apis.kubernetes.processes import Processes
from lichen.apis.kubernetes.request import Request
from lichen.apis.kubernetes.respond import send_json, send_raw
from lichen.model.errors import Forbidden, MethodNotAllowed, NotFound, Unavailable
from lichen.model.metrics import DECLARED, DURATIONS, METHODS, REQUESTS, Gauge, Shown, shown
from lichen.model.state import Caller
from lichen.runtime.process import process_figures

PATH = "/metrics"
HERE = "kernel"
_TYPE = (b"content-type", b"text/plain; version=0.0.4; charset=utf-8")


def gauges(store: Any) -> tuple[Gauge, ...]:
    """What is looked up in a store when it is asked for."""

    return (
        Gauge("lichen_store_revision", "The newest revision of the store.", (), [lambda: [((), store.revision)]]),
        Gauge("lichen_store_bytes", "What the store takes on the disk.", (), [lambda: [((), store.disk_bytes())]]),
        Gauge("lichen_watchers", "Watches that are open.", ("group", "resource"), [lambda: store.watchers().items()]),
        Gauge("lichen_store_objects", "Objects in the store.", ("group", "resource"), [lambda: store.sizes().items()]),
    )


def is_asked_for(path: str) -> bool:
    return path == PATH or path.startswith(PATH + "/")


async def answer_metrics(request: Request, kernel: Any, caller: Caller, others: Processes | None) -> None:
    """Forbidden: the caller's roles do not let it `get` the path. others: None, if this process is the whole cloud."""
    path = request.path
    if kernel.access.refusal_of_path(caller, "get", path) is not None:
        raise Forbidden(f'forbidden: User "{caller.name}" cannot get path "{path}"')
    if request.method not in ("GET", "HEAD"):
        raise MethodNotAllowed("the server does not allow this method on the requested resource")
    if path == PATH + "/":
        await send_json(request, msgspec.json.encode(_targets(request, others.names() if others else [])))
        return
    if path == PATH:
        now = process_figures() + shown((*DECLARED, *gauges(kernel.store)))
    elif others is None:
        raise NotFound("this cloud is one process, and /metrics shows all of it")
    else:
        now = await others.metrics(path.removeprefix(PATH + "/"))
    await send_raw(request, await asyncio.to_thread(_text, now), 200, (_TYPE,))


def _text(metrics: Sequence[Shown]) -> bytes:
    try:
        return exposition(metrics)
    except ValueError as fault:
        raise Unavailable(f"the process tells metrics that cannot be read: {fault}") from fault


def _targets(request: Request, names: list[str]) -> list[dict[str, Any]]:
    """The pages as Prometheus discovers them over HTTP (`http_sd_configs`)."""
    address = request.header(b"host")
    paths = {HERE: PATH, **{name: f"{PATH}/{name}" for name in names}}
    return [
        {"targets": [address], "labels": {"__scheme__": "https", "__metrics_path__": path, "process": name}}
        for name, path in paths.items()
    ]


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
