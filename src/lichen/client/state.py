# SPDX-License-Identifier: Apache-2.0
"""State over the Kubernetes API: the same verbs, the same errors, on another process's objects."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec

from lichen.client.errors import error_of_status
from lichen.client.paths import collection_path, object_path, query, write_query
from lichen.client.transport import Answer, Transport
from lichen.kinds.identity.token import Token
from lichen.model.data import Object
from lichen.model.errors import BadRequest, Forbidden, Unavailable
from lichen.model.kind import Kind
from lichen.model.meta import revision_of
from lichen.model.state import (
    DEFAULT_OPTIONS,
    Event,
    EventType,
    Page,
    PatchType,
    Preconditions,
    WriteOptions,
)

ANY = Preconditions()
QUESTIONS = frozenset({"authentication.k8s.io", "authorization.k8s.io"})
"""Groups whose kinds are answered and not kept: creating one twice is asking twice."""
SHORTEST_WATCH = 1.0
"""Seconds: a watch that ends sooner without a word is not simply taken up again."""
_encode = msgspec.json.Encoder().encode
_decode: Callable[[bytes], Any] = msgspec.json.Decoder().decode
_WARNING = re.compile(r'299 \S+ "((?:\\.|[^"\\])*)"')


class RemoteState:
    """What the bearer of a token sees and may change. `token` is asked before each request, so that it may rotate."""

    def __init__(self, transport: Transport, token: Callable[[], str]) -> None:
        self._transport = transport
        self._token = token

    async def get(self, kind: Kind, name: str, namespace: str = "", *, subresource: str = "") -> Object:
        return await self._object("GET", object_path(kind, name, namespace, subresource))

    async def list(
        self,
        kind: Kind,
        namespace: str | None = None,
        *,
        labels: str = "",
        fields: str = "",
        limit: int = 0,
        continue_token: str = "",
    ) -> Page:
        wanted = query(labelSelector=labels, fieldSelector=fields, limit=limit or "")
        if continue_token:
            more = query(**{"continue": continue_token})
            wanted = f"{wanted}&{more[1:]}" if wanted else more
        found = await self._object("GET", collection_path(kind, namespace) + wanted)
        items = [_typed(kind, item) for item in found.get("items") or []]
        meta = found["metadata"]
        return Page(items, revision_of(found), meta.get("continue") or "", meta.get("remainingItemCount") or 0)

    async def watch(
        self,
        kind: Kind,
        namespace: str | None = None,
        *,
        labels: str = "",
        fields: str = "",
        since: int | None = None,
        bookmarks: bool = False,
    ) -> AsyncIterator[Event]:
        """As State's. The server ends a watch now and then: it is taken up again where it ended. A connection that
        breaks raises Unavailable: watch again since the last revision seen."""
        while True:
            began, told = time.monotonic(), False
            start = _start(since, bookmarks)
            wanted = query(watch=True, labelSelector=labels, fieldSelector=fields, allowWatchBookmarks=bookmarks)
            async with self._transport.stream(
                collection_path(kind, namespace) + wanted + start, token=self._token()
            ) as body:
                async for line in _lines(body):
                    event, told = _event(line), True
                    since = revision_of(event.object) or since
                    yield event
            if since is None or not (told or time.monotonic() - began > SHORTEST_WATCH):
                raise Unavailable("the server ended the watch at once")

    async def create(
        self, kind: Kind, obj: Object, options: WriteOptions = DEFAULT_OPTIONS, *, subresource: str = ""
    ) -> Object:
        """With a subresource (binding, eviction, token), `obj` is its body, named as what it is about."""
        metadata = obj.get("metadata") or {}
        namespace = metadata.get("namespace") or ""
        if subresource:
            path = object_path(kind, metadata.get("name") or "", namespace, subresource)
        elif kind.namespaced and not namespace:
            raise BadRequest(f"{kind.resource} need a namespace")
        else:
            path = collection_path(kind, namespace)
        question = kind.group in QUESTIONS or kind == Token.KIND
        return await self._object("POST", path + write_query(options), obj, options, question=question)

    async def update(
        self, kind: Kind, obj: Object, *, subresource: str = "", options: WriteOptions = DEFAULT_OPTIONS
    ) -> Object:
        metadata = obj["metadata"]
        path = object_path(kind, metadata.get("name") or "", metadata.get("namespace") or "", subresource)
        return await self._object("PUT", path + write_query(options), obj, options)

    async def patch(
        self,
        kind: Kind,
        name: str,
        namespace: str,
        patch: Any,
        *,
        type: PatchType = PatchType.MERGE,
        subresource: str = "",
        options: WriteOptions = DEFAULT_OPTIONS,
    ) -> Object:
        path = object_path(kind, name, namespace, subresource) + write_query(options)
        return await self._object("PATCH", path, patch, options, content_type=type.value)

    async def delete(
        self,
        kind: Kind,
        name: str,
        namespace: str = "",
        *,
        preconditions: Preconditions = ANY,
        propagation: str = "Background",
        grace_seconds: int | None = None,
        options: WriteOptions = DEFAULT_OPTIONS,
    ) -> Object:
        """As State's. A server answers a completed deletion with a Status: what is returned then was read just before,
        and is only the name where the bearer may not read."""
        path = object_path(kind, name, namespace)
        try:
            before = await self.get(kind, name, namespace)
        except Forbidden:
            before = {
                "apiVersion": kind.api_version,
                "kind": kind.kind,
                "metadata": {"name": name, "namespace": namespace},
            }
        body = _delete_options(preconditions, propagation, grace_seconds, options)
        answer = await self._object("DELETE", path, body, options)
        return before if answer.get("kind") == "Status" and kind.kind != "Status" else answer

    async def delete_collection(
        self,
        kind: Kind,
        namespace: str | None = None,
        *,
        labels: str = "",
        fields: str = "",
        propagation: str = "Background",
        grace_seconds: int | None = None,
        options: WriteOptions = DEFAULT_OPTIONS,
    ) -> list[Object]:  # type: ignore[valid-type]
        """Delete all that match; what was there."""
        path = collection_path(kind, namespace) + query(labelSelector=labels, fieldSelector=fields)
        body = _delete_options(ANY, propagation, grace_seconds, options)
        answer = await self._object("DELETE", path, body, options)
        return [_typed(kind, item) for item in answer.get("items") or []]

    async def _object(
        self,
        method: str,
        path: str,
        body: Any = None,
        options: WriteOptions = DEFAULT_OPTIONS,
        *,
        content_type: str = "application/json",
        question: bool = False,
    ) -> Object:
        encoded = None if body is None else _encode(body)
        answer = await self._transport.request(
            method, path, token=self._token(), body=encoded, content_type=content_type, question=question
        )
        if answer.warnings and options is not DEFAULT_OPTIONS:
            options.warnings.extend(_warnings(answer))
        found: Object = _decode(answer.body)
        return found


def _start(since: int | None, bookmarks: bool) -> str:
    if since:
        return f"&resourceVersion={since}"
    return "&sendInitialEvents=true&resourceVersionMatch=NotOlderThan" if bookmarks else ""


def _delete_options(
    preconditions: Preconditions, propagation: str, grace_seconds: int | None, options: WriteOptions
) -> Object:
    body: Object = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": propagation}
    if grace_seconds is not None:
        body["gracePeriodSeconds"] = grace_seconds
    wanted = {"uid": preconditions.uid, "resourceVersion": preconditions.resource_version}
    if any(wanted.values()):
        body["preconditions"] = {k: v for k, v in wanted.items() if v}
    if options.dry_run:
        body["dryRun"] = ["All"]
    return body


def _typed(kind: Kind, item: Object) -> Object:
    item.setdefault("apiVersion", kind.api_version)
    item.setdefault("kind", kind.kind)
    return item


def _event(line: bytes) -> Event:
    """ApiError: the server ends the watch with an error."""
    told = _decode(line)
    if told["type"] == "ERROR":
        raise error_of_status(told["object"])
    return Event(EventType(told["type"]), told["object"])


async def _lines(body: Any) -> AsyncIterator[bytes]:
    rest: list[bytes] = []
    while chunk := await body.readany():
        *lines, last = chunk.split(b"\n")
        if lines:
            lines[0] = b"".join((*rest, lines[0]))
            rest = []
            for line in lines:
                if line:
                    yield line
        rest.append(last)


def _warnings(answer: Answer) -> list[str]:
    found = (match for value in answer.warnings for match in _WARNING.findall(value))
    return [re.sub(r"\\(.)", r"\1", text) for text in found]
