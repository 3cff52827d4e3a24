# SPDX-License-Identifier: Apache-2.0
"""get and list: bytes from the store to the wire, decoded only where a table or metadata was asked for."""

from __future__ import annotations

from functools import partial
from typing import Any

from lichen.apis.kubernetes.fieldlabels import check_fields
from lichen.apis.kubernetes.metadata import partial_list, partial_metadata
from lichen.apis.kubernetes.negotiation import Form, form_of
from lichen.apis.kubernetes.request import Request
from lichen.apis.kubernetes.respond import JSON_TYPE, send_json, send_list, send_object, send_whole, send_yaml_list
from lichen.apis.kubernetes.routing import Target
from lichen.apis.kubernetes.table import table_of
from lichen.apis.kubernetes.wire import decode_json, encode
from lichen.model.errors import BadRequest, Cause, Invalid, TimedOut
from lichen.model.kind import Kind
from lichen.runtime.shares import apart

Session = Any

_MANY = 100
"""Items from which a list is rewritten off the event loop."""


async def get(request: Request, session: Session, target: Target) -> None:
    """GET of one object, or of its `status`."""
    form = form_of(request.header(b"accept"))
    raw = await session.get_raw(target.kind, target.name, target.namespace or "")
    await send_one(request, target, raw, form)


async def send_one(request: Request, target: Target, raw: bytes, form: Form) -> None:
    """Answer with an object, in the form that was asked for."""
    if form is Form.JSON and "pretty" not in request.query:
        await send_json(request, raw)
        return
    obj = decode_json(raw)
    if form is Form.TABLE:
        await send_json(request, encode(table_of(target.columns(), [obj], include=include_of(request))))
    elif form is Form.META:
        await send_json(request, encode(partial_metadata(obj)))
    else:
        await send_object(request, obj, form)


async def list_(request: Request, session: Session, target: Target) -> None:
    """GET of a collection."""
    query = request.query
    check_revision_match(request)
    form = form_of(request.header(b"accept"))
    items, revision, token, remaining = await session.list_raw(
        target.kind,
        target.namespace,
        labels=query.get("labelSelector", ""),
        fields=check_fields(target.kind, query.get("fieldSelector", "")),
        limit=request.number("limit") or 0,
        continue_token=query.get("continue", ""),
    )
    check_reached(query.get("resourceVersion", ""), revision)
    meta = list_meta(revision, token, remaining if not _selects(request) else 0)
    await send_many(request, target, items, meta, form)


async def send_many(request: Request, target: Target, items: list[bytes], meta: dict[str, Any], form: Form) -> None:
    """Answer with a list, in the form that was asked for."""
    if form is Form.JSON:
        await send_list(request, _head(target.kind, meta), items, b"]}\n")
        return
    if form is Form.YAML:
        await send_yaml_list(request, {**list_head(target.kind), "metadata": meta}, items)
        return
    include = include_of(request)
    build = partial(_rewritten, form, target, items, meta, include)
    many = len(items) > _MANY
    await send_whole(request, await apart(request.caller, build) if many else build(), (JSON_TYPE,))


def _rewritten(form: Form, target: Target, items: list[bytes], meta: dict[str, Any], include: str) -> bytes:
    """A list as a table, or of metadata alone."""
    objects = [decode_json(item) for item in items]
    if form is Form.TABLE:
        return encode(table_of(target.columns(), objects, meta, include=include))
    if form in (Form.META, Form.META_LIST):
        return encode(partial_list(objects, meta))
    return encode({**list_head(target.kind), "metadata": meta, "items": objects})


def _head(kind: Kind, meta: dict[str, Any]) -> bytes:
    return b'{"kind":"%bList","apiVersion":"%b","metadata":%b,"items":[' % (
        kind.kind.encode(),
        kind.api_version.encode(),
        encode(meta),
    )


def list_head(kind: Kind) -> dict[str, Any]:
    return {"kind": f"{kind.kind}List", "apiVersion": kind.api_version}


def list_meta(revision: int, token: str, remaining: int) -> dict[str, Any]:
    meta: dict[str, Any] = {"resourceVersion": str(revision)}
    if token:
        meta["continue"] = token
        if remaining:
            meta["remainingItemCount"] = remaining
    return meta


def include_of(request: Request) -> str:
    """A table's includeObject. BadRequest."""
    value = request.query.get("includeObject") or "Metadata"
    if value not in ("None", "Metadata", "Object"):
        raise BadRequest(f'unrecognized includeObject value: "{value[:64]}"')
    return value


def check_revision_match(request: Request) -> None:
    """Refuse combinations that mean nothing. Every list is at the newest revision, which is never older than asked."""
    match = request.query.get("resourceVersionMatch", "")
    revision = request.query.get("resourceVersion", "")
    if revision and not revision.isdigit():
        raise _invalid("resourceVersion", f'Invalid value: "{revision[:64]}": must be a whole number')
    if not match:
        return
    if match not in ("Exact", "NotOlderThan"):
        raise _invalid("resourceVersionMatch", f'Unsupported value: "{match[:64]}"')
    if "sendInitialEvents" in request.query:
        return
    if not revision:
        raise _invalid("resourceVersionMatch", "Forbidden: resourceVersionMatch is forbidden unless resourceVersion is")
    if match == "Exact" and revision == "0":
        raise _invalid("resourceVersionMatch", "Forbidden: Exact is forbidden for resourceVersion 0")


def check_reached(asked: str, revision: int) -> None:
    """TimedOut: the revision that was asked for lies in the future."""
    if asked and int(asked) > revision:
        cause = Cause("", "Too large resource version", "ResourceVersionTooLarge")
        message = f"Too large resource version: {asked}, current: {revision}"
        raise TimedOut(message, causes=(cause,), retry_after=1)


def _selects(request: Request) -> bool:
    return bool(request.query.get("labelSelector") or request.query.get("fieldSelector"))


def _invalid(field: str, message: str) -> Invalid:
    return Invalid(f"{field}: {message}", causes=(Cause(field, message),))
