# SPDX-License-Identifier: Apache-2.0
"""Objects as bytes: JSON in and out, the revision's stamp, and what selectors need to see of raw bytes."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from typing import Any, TypedDict

import msgspec

from lichen.model.data import Object
from lichen.model.selectors import FieldSelector, LabelSelector, Matcher, parse_fields, parse_labels
from lichen.model.times import rfc3339

encode: Callable[[Any], bytes] = msgspec.json.Encoder().encode
decode: Callable[[bytes], Any] = msgspec.json.Decoder().decode


class _Metadata(TypedDict, total=False):
    name: str
    namespace: str
    labels: dict[str, str] | None


class _Head(TypedDict):
    metadata: _Metadata


decode_head: Callable[[bytes], Any] = msgspec.json.Decoder(_Head).decode
"""Only name, namespace and labels: several times cheaper than the whole object."""


class _Identity(TypedDict, total=False):
    uid: str
    creationTimestamp: str


class _Identified(TypedDict):
    metadata: _Identity


decode_identity: Callable[[bytes], Any] = msgspec.json.Decoder(_Identified).decode
"""Only uid and creationTimestamp."""

_PLAIN = re.compile(r"[A-Za-z0-9._:/-]+")
"""Texts that JSON writes as they are."""
_NUMBER = re.compile(r"[+-]?[0-9.]+([eE][+-]?[0-9]+)?|[+-]?(nan|inf|infinity)", re.IGNORECASE).fullmatch
_HEAD_FIELDS = {"metadata.name", "metadata.namespace"}


def stamped(obj: Object, revision: int) -> Object:
    """A shallow copy of `obj` that carries `revision`."""
    return {**obj, "metadata": {**obj["metadata"], "resourceVersion": str(revision)}}


def restamped(raw: bytes, revision: int) -> bytes:
    """The same object, carrying another revision."""
    return encode(stamped(decode(raw), revision))


def now_rfc3339() -> str:
    """The present second, as Kubernetes writes times."""
    return rfc3339(time.time())


class View:
    """One raw object, decoded at most once and no further than somebody asks."""

    __slots__ = ("_full", "_head", "raw")

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self._head: Object | None = None
        self._full: Object | None = None

    @property
    def head(self) -> Object:
        if self._head is None:
            self._head = decode_head(self.raw)
        return self._head

    @property
    def full(self) -> Object:
        if self._full is None:
            self._full = decode(self.raw)
        return self._full


def _label_needles(selector: LabelSelector) -> Iterator[bytes]:
    """Bytes without which no object as `encode` writes it can have the labels: most are told apart undecoded."""
    for term in selector.requirements:
        if term.operator == "in" and len(term.values) == 1:
            yield b"%b:%b" % (encode(term.key), encode(next(iter(term.values))))
        elif term.operator not in ("notin", "absent"):
            yield b"%b:" % encode(term.key)


def _field_needles(selector: FieldSelector) -> Iterator[bytes]:
    """The same of fields. A number may be written in more ways than one, unless it is a whole one."""
    for term in selector.terms:
        absent = term.negated or term.value == term.absent
        if not absent and _PLAIN.fullmatch(term.value) and (term.value.isdigit() or not _NUMBER(term.value)):
            yield term.value.encode()


class Selection:
    """A label and a field selector, compiled for raw objects, and what else they must be to be seen."""

    __slots__ = ("_fields", "_head_only", "_labels", "_needles", "_seen")

    def __init__(self, labels: str, fields: str, seen: Matcher | None = None) -> None:
        """BadRequest: a selector cannot be read."""
        self._seen = seen
        label_selector, field_selector = parse_labels(labels), parse_fields(fields)
        self._labels: Matcher | None = label_selector if labels else None
        self._fields: Matcher | None = field_selector if fields else None
        self._head_only = set(field_selector.paths) <= _HEAD_FIELDS
        self._needles = (*_label_needles(label_selector), *_field_needles(field_selector))

    def __call__(self, view: View) -> bool:
        raw = view.raw
        for needle in self._needles:
            if needle not in raw:
                return False
        if self._labels is not None and not self._labels(view.head):
            return False
        if self._fields is not None and not self._fields(view.head if self._head_only else view.full):
            return False
        return self._seen is None or self._seen(view.full)


def selection(labels: str, fields: str, seen: Matcher | None = None) -> Selection | None:
    """None: everything is selected, nothing needs decoding."""
    return Selection(labels, fields, seen) if labels or fields or seen is not None else None
