# SPDX-License-Identifier: Apache-2.0
"""create, update, patch, delete and deletecollection."""

from __future__ import annotations

import asyncio
from typing import Any

from lichen.apis.kubernetes.fieldlabels import check_fields
from lichen.apis.kubernetes.metadata import partial_metadata
from lichen.apis.kubernetes.negotiation import Form, form_of
from lichen.apis.kubernetes.options import DeleteOptions, delete_options, options_for
from lichen.apis.kubernetes.reads import include_of, list_head
from lichen.apis.kubernetes.request import Request
from lichen.apis.kubernetes.respond import Headers, send_json, send_object, warnings_of
from lichen.apis.kubernetes.routing import Target
from lichen.apis.kubernetes.status import success
from lichen.apis.kubernetes.subresources import resource_of_subresource
from lichen.apis.kubernetes.table import table_of
from lichen.apis.kubernetes.wire import JSON, decode_body, decode_object, encode, media_type
from lichen.model.data import Object
from lichen.model.errors import BadRequest, NotAcceptable, NotFound, UnsupportedMediaType
from lichen.model.state import PatchType

Session = Any

_LARGE = 64 * 1024
"""Bytes from which a body is decoded off the event loop."""


async def create(request: Request, session: Session, target: Target) -> None:
    """POST to a collection."""
    form = form_of(request.header(b"accept"))
    if form is Form.TABLE and "get" not in target.kind.verbs:
        raise NotAcceptable("the server was unable to respond with a content type that the client supports")
    raw = await request.body()
    obj = await _object_in(request, raw)
    options = await options_for(request, raw)
    fit(obj, target)
    made = await session.create(target.kind, obj, options)
    await _answer(request, form, target, made, 201, warnings_of(options.warnings) if options.warnings else ())


async def update(request: Request, session: Session, target: Target) -> None:
    """PUT of one object or subresource."""
    form = form_of(request.header(b"accept"))
    raw = await request.body()
    obj = await _object_in(request, raw)
    options = await options_for(request, raw)
    fit(obj, target)
    made = await session.update(target.kind, obj, subresource=target.subresource, options=options)
    await _answer(request, form, target, made, 200, warnings_of(options.warnings))


async def patch(request: Request, session: Session, target: Target) -> None:
    """PATCH of one object or subresource, of any of the four types."""
    form = form_of(request.header(b"accept"))
    media = media_type(request.header(b"content-type"))
    try:
        type_ = PatchType(media)
    except ValueError:
        raise UnsupportedMediaType(
            "the body of the request was in an unknown format - accepted media types include: " + ", ".join(PatchType)
        ) from None
    raw = await request.body()
    body = await _decoded(raw, request.header(b"content-type"))
    options = await options_for(request, raw)
    made = await session.patch(
        target.kind,
        target.name,
        target.namespace or "",
        body,
        type=type_,
        subresource=target.subresource,
        options=options,
    )
    await _answer(request, form, target, made, 201 if session.created else 200, warnings_of(options.warnings))


async def delete(request: Request, session: Session, target: Target) -> None:
    """DELETE of one object: the object if it lingers, else a Status."""
    form = form_of(request.header(b"accept"))
    how = delete_options(request, await request.body())
    last = await _delete(session, target, target.name, how)
    if lingers(last):
        await _answer(request, form, target, last, 200, ())
        return
    meta = last["metadata"]
    done = success(name=target.name, group=target.kind.group, resource=target.kind.plural, uid=meta.get("uid", ""))
    await send_object(request, done, Form.JSON)


async def delete_collection(request: Request, session: Session, target: Target) -> None:
    """DELETE of a collection: whatever the selectors match, one by one."""
    how = delete_options(request, await request.body())
    gone = await session.delete_collection(
        target.kind,
        target.namespace,
        labels=request.query.get("labelSelector", ""),
        fields=check_fields(target.kind, request.query.get("fieldSelector", "")),
        propagation=how.propagation,
        grace_seconds=how.grace_seconds,
        options=how.options,
    )
    await send_object(request, {**list_head(target.kind), "metadata": {}, "items": gone}, Form.JSON)


def lingers(last: Object) -> bool:
    """A deleted object is still there: it has finalizers, or time to end in peace."""
    meta = last["metadata"]
    return bool(meta.get("finalizers")) or bool(
        meta.get("deletionTimestamp") and meta.get("deletionGracePeriodSeconds")
    )


async def _delete(session: Session, target: Target, name: str, how: DeleteOptions) -> Object:
    last: Object = await session.delete(
        target.kind,
        name,
        target.namespace or "",
        preconditions=how.preconditions,
        propagation=how.propagation,
        grace_seconds=how.grace_seconds,
        options=how.options,
    )
    return last


async def object_of(request: Request) -> Object:
    return await _object_in(request, await request.body())


async def _object_in(request: Request, body: bytes) -> Object:
    content_type = request.header(b"content-type")
    if len(body) < _LARGE and media_type(content_type) == JSON:
        return decode_object(body, content_type)
    return await asyncio.to_thread(decode_object, body, content_type)


async def _decoded(body: bytes, content_type: str) -> Any:
    if len(body) < _LARGE:
        return decode_body(body, content_type)
    return await asyncio.to_thread(decode_body, body, content_type)


def fit(obj: Object, target: Target) -> None:
    """Make the body say what the path says. BadRequest: it says otherwise."""
    group, version, kind, _ = resource_of_subresource(target.kind, target.subresource)
    api_version = f"{group}/{version}" if group else version
    if obj.setdefault("apiVersion", api_version) != api_version:
        raise BadRequest(
            f"the API version in the data ({_short(obj['apiVersion'])}) does not match the expected API version "
            f"({api_version})"
        )
    if obj.setdefault("kind", kind) != kind:
        raise BadRequest(f"the kind in the data ({_short(obj['kind'])}) does not match the expected kind ({kind})")
    meta = obj.setdefault("metadata", {})
    if not isinstance(meta, dict):
        raise BadRequest("metadata must be an object")
    _fit_namespace(meta, target)
    if target.name and meta.setdefault("name", target.name) != target.name:
        raise BadRequest(
            f"the name of the object ({_short(meta['name'])}) does not match the name on the URL ({target.name})"
        )


def _fit_namespace(meta: Object, target: Target) -> None:
    if not target.kind.namespaced:
        if meta.get("namespace"):
            meta.pop("namespace")
        return
    if target.namespace is None:
        raise NotFound("the server could not find the requested resource")
    given = meta.get("namespace") or target.namespace
    if given != target.namespace:
        raise BadRequest("the namespace of the provided object does not match the namespace sent on the request")
    meta["namespace"] = given


def _short(value: Any) -> str:
    return str(value)[:128]


async def _answer(request: Request, form: Form, target: Target, obj: Object, code: int, extra: Headers) -> None:
    if form is Form.TABLE:
        await send_json(request, encode(table_of(target.columns(), [obj], include=include_of(request))), code, extra)
    elif form is Form.META:
        await send_json(request, encode(partial_metadata(obj)), code, extra)
    else:
        await send_object(request, obj, form, code, extra)
