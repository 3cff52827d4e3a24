# SPDX-License-Identifier: Apache-2.0
"""A watch's events as lines of JSON, in the form that was asked for."""

from __future__ import annotations

from typing import Protocol

from lichen.apis.kubernetes.metadata import META_VERSION, partial_metadata
from lichen.apis.kubernetes.negotiation import Form
from lichen.apis.kubernetes.reads import include_of
from lichen.apis.kubernetes.request import Request
from lichen.apis.kubernetes.status import status_body
from lichen.apis.kubernetes.table import Rows
from lichen.apis.kubernetes.wire import decode_json, encode
from lichen.model.data import Object
from lichen.model.errors import ApiError, NotAcceptable
from lichen.model.kind import Kind
from lichen.model.state import EventType

_INITIAL_END = {"k8s.io/initial-events-end": "true"}
_HEADS = {type_: b'{"type":"%b","object":' % type_.encode() for type_ in EventType}


class Lines(Protocol):
    """How events are written."""

    def event(self, type_: EventType, raw: bytes, revision: int) -> bytes: ...

    def bookmark(self, revision: int, *, initial_end: bool = False) -> bytes: ...


def lines_for(kind: Kind, form: Form, request: Request) -> Lines:
    """NotAcceptable: the form cannot be streamed."""
    if form is Form.JSON:
        return PlainLines(kind)
    if form is Form.TABLE:
        return TableLines(kind, include_of(request))
    if form is Form.META:
        return MetaLines()
    raise NotAcceptable("a watch is served as application/json only")


def error_line(error: ApiError) -> bytes:
    return b'{"type":"ERROR","object":%b}\n' % status_body(error)


class PlainLines:
    """Objects as they are stored."""

    def __init__(self, kind: Kind) -> None:
        self._kind = kind

    def event(self, type_: EventType, raw: bytes, revision: int) -> bytes:
        if type_ is EventType.BOOKMARK:
            return self.bookmark(revision)
        return _HEADS[type_] + raw + b"}\n"

    def bookmark(self, revision: int, *, initial_end: bool = False) -> bytes:
        return _line(EventType.BOOKMARK, _bookmark(self._kind.kind, self._kind.api_version, revision, initial_end))


class MetaLines:
    """Metadata only."""

    def event(self, type_: EventType, raw: bytes, revision: int) -> bytes:
        if type_ is EventType.BOOKMARK:
            return self.bookmark(revision)
        return _line(type_, partial_metadata(decode_json(raw)))

    def bookmark(self, revision: int, *, initial_end: bool = False) -> bytes:
        return _line(EventType.BOOKMARK, _bookmark("PartialObjectMetadata", META_VERSION, revision, initial_end))


class TableLines:
    """Tables of one row; the first one says what the columns are."""

    def __init__(self, kind: Kind, include: str) -> None:
        self._rows = Rows(kind, include)
        self._first = True

    def event(self, type_: EventType, raw: bytes, revision: int) -> bytes:
        if type_ is EventType.BOOKMARK:
            return self.bookmark(revision)
        return _line(type_, self._table([decode_json(raw)]))

    def bookmark(self, revision: int, *, initial_end: bool = False) -> bytes:
        table = self._table([])
        table["metadata"] = {"resourceVersion": str(revision)}
        if initial_end:
            table["metadata"]["annotations"] = _INITIAL_END
        return _line(EventType.BOOKMARK, table)

    def _table(self, objects: list[Object]) -> Object:
        table = self._rows.table(objects, definitions=self._first)
        self._first = False
        return table


def _line(type_: EventType, obj: Object) -> bytes:
    return _HEADS[type_] + encode(obj) + b"}\n"


def _bookmark(kind: str, api_version: str, revision: int, initial_end: bool) -> Object:
    meta: Object = {"resourceVersion": str(revision), "creationTimestamp": None}
    if initial_end:
        meta["annotations"] = _INITIAL_END
    return {"kind": kind, "apiVersion": api_version, "metadata": meta}
