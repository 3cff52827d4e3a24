# SPDX-License-Identifier: Apache-2.0
"""A watch's events as lines of JSON, in the form that was asked for."""

from __future__ import annotations

from typing import Protocol

from lichen.apis.kubernetes.metadata import partial_metadata
from lichen.apis.kubernetes.negotiation import Form
from lichen.apis.kubernetes.reads import include_of
from lichen.apis.kubernetes.request import Request
from lichen.apis.kubernetes.status import status_body
from lichen.apis.kubernetes.table import Columns, Rows
from lichen.apis.kubernetes.wire import decode_json, encode
from lichen.model.data import Object
from lichen.model.errors import ApiError, NotAcceptable
from lichen.model.state import EventType

_HEADS = {type_: b'{"type":"%b","object":' % type_.encode() for type_ in EventType}


class RawEvent(Protocol):
    """One change; `line` is shared by all who watch."""

    type: EventType
    raw: bytes

    @property
    def line(self) -> bytes: ...


class Lines(Protocol):
    """How events are written."""

    def line(self, event: RawEvent) -> bytes: ...


def lines_for(columns: Columns, form: Form, request: Request) -> Lines:
    """NotAcceptable: the form cannot be streamed."""
    if form is Form.JSON:
        return PlainLines()
    if form is Form.TABLE:
        return TableLines(columns, include_of(request))
    if form is Form.META:
        return MetaLines()
    raise NotAcceptable("a watch is served as application/json only")


def error_line(error: ApiError) -> bytes:
    return b'{"type":"ERROR","object":%b}\n' % status_body(error)


class PlainLines:
    """Objects as they are stored."""

    def line(self, event: RawEvent) -> bytes:
        return event.line


class MetaLines:
    """Metadata only."""

    def line(self, event: RawEvent) -> bytes:
        return _line(event.type, partial_metadata(decode_json(event.raw)))


class TableLines:
    """Tables of one row; the first one says what the columns are. A bookmark is a table without rows."""

    def __init__(self, columns: Columns, include: str) -> None:
        self._rows = Rows(columns, include)
        self._first = True

    def line(self, event: RawEvent) -> bytes:
        obj = decode_json(event.raw)
        bookmark = event.type is EventType.BOOKMARK
        meta = obj["metadata"] if bookmark else None
        table = self._rows.table([] if bookmark else [obj], meta, definitions=self._first)
        self._first = False
        return _line(event.type, table)


def _line(type_: EventType, obj: Object) -> bytes:
    return _HEADS[type_] + encode(obj) + b"}\n"
