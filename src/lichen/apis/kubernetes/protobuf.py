# SPDX-License-Identifier: Apache-2.0
"""Reading protobuf bodies: Go's typed clients (and kubectl's `create` and `auth`) send built-in kinds in nothing else.

Answers are JSON, which those clients accept. Field numbers come from a table that `scripts/protobuf-tags` derives.
"""

from __future__ import annotations

import base64
import gzip
import struct
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from typing import Any

import msgspec

from lichen.kinds import bundle
from lichen.model.data import Object
from lichen.model.errors import BadRequest, UnsupportedMediaType

MAGIC = b"k8s\0"
_SCHEMA = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps"

Field = tuple[str, str, str]
"""JSON name, type and marks: see the script."""


def decode_protobuf(body: bytes) -> Object:
    """A body as the object its JSON would be. BadRequest; UnsupportedMediaType: its kind has no known numbers."""
    if not body.startswith(MAGIC):
        raise BadRequest("the body is not protobuf as Kubernetes frames it: it does not start with k8s\\0")
    try:
        envelope = dict(_entries(body[len(MAGIC) :]))
        head = dict(_entries(_bytes(envelope.get(1, b""))))
        api_version, kind = _text(head.get(1, b"")), _text(head.get(2, b""))
        message = _message_of(api_version, kind)
        return {"apiVersion": api_version, "kind": kind, **_message(_bytes(envelope.get(2, b"")), message)}
    except RecursionError:
        raise BadRequest("the body cannot be read as protobuf: it is nested too deep") from None
    except (ValueError, IndexError, TypeError, struct.error, OverflowError, msgspec.DecodeError) as fault:
        raise BadRequest(f"the body cannot be read as protobuf: {fault}") from None


@cache
def _table() -> dict[str, dict[int, Field]]:
    packed = files("lichen.apis.kubernetes").joinpath("data/protobuf.json.gz").read_bytes()
    return msgspec.json.decode(gzip.decompress(packed), type=dict[str, dict[int, Field]])


def _message_of(api_version: str, kind: str) -> str:
    group, _, version = api_version.rpartition("/")
    name = f"{bundle.META}.{kind}" if kind == "DeleteOptions" else bundle.definition_name(group, version, kind)
    if name not in _table():
        raise UnsupportedMediaType(
            f"the body of the request was in an unsupported format - {kind[:64]} of {api_version[:64]} is not read as "
            "protobuf; send application/json"
        )
    return name


def _entries(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """(field number, value) of a message; varints as unsigned integers, all else as bytes."""
    at, end = 0, len(data)
    while at < end:
        key, at = _varint(data, at)
        wire = key & 7
        if wire == 0:
            value, at = _varint(data, at)
            yield key >> 3, value
            continue
        if wire == 2:
            size, at = _varint(data, at)
        elif wire in (1, 5):
            size = 8 if wire == 1 else 4
        else:
            raise ValueError(f"wire type {wire}")
        if at + size > end:
            raise ValueError("cut short")
        yield key >> 3, data[at : at + size]
        at += size


def _varint(data: bytes, at: int) -> tuple[int, int]:
    byte = data[at]
    if byte < 0x80:
        return byte, at + 1
    value, shift = 0, 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError("a number is too long")


def _message(data: bytes, name: str) -> Object:
    fields = _table()[name]
    out: Object = {}
    for number, raw in _entries(data):
        field = fields.get(number)
        if field is not None:
            _put(out, field, raw)
    return out


def _put(out: Object, field: Field, raw: int | bytes) -> None:
    name, type_, marks = field
    if type_.startswith("[]"):
        out.setdefault(name, []).append(_value(type_[2:], raw))
    elif type_.startswith("{}"):
        entry = dict(_entries(_bytes(raw)))
        out.setdefault(name, {})[_text(entry.get(1, b""))] = _value(type_[2:], entry.get(2, _zero(type_[2:])))
    elif "~" in marks:
        out.update(_message(_bytes(raw), type_))
    else:
        value = _value(type_, raw)
        if value is not None and (value or isinstance(value, dict) or "p" in marks or "o" not in marks):
            out[name] = value


def _zero(type_: str) -> int | bytes:
    return 0 if type_ in ("i", "b") else b""


def _value(type_: str, raw: int | bytes) -> Any:
    """None: nothing is said (a time that is not set)."""
    read = _READ.get(type_)
    if read is not None:
        return read(raw)
    if type_.startswith("<[]"):
        return [_value(type_[3:-1], item) for number, item in _entries(_bytes(raw)) if number == 1]
    return _message(_bytes(raw), type_)


def _bytes(raw: int | bytes) -> bytes:
    if isinstance(raw, int):
        raise ValueError("a number stands where bytes belong")
    return raw


def _number(raw: int | bytes) -> int:
    if not isinstance(raw, int):
        raise ValueError("bytes stand where a number belongs")
    return raw - (1 << 64) if raw >= 1 << 63 else raw


def _text(raw: int | bytes) -> str:
    return _bytes(raw).decode("utf-8")


def _time(raw: int | bytes, digits: int = 0) -> str | None:
    parts = dict(_entries(_bytes(raw)))
    seconds, nanos = _number(parts.get(1, 0)), _number(parts.get(2, 0))
    if not seconds and not nanos:
        return None
    stamp = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{stamp}.{nanos // 1000:06d}Z" if digits else f"{stamp}Z"


def _int_or_string(raw: int | bytes) -> int | str:
    parts = dict(_entries(_bytes(raw)))
    return _text(parts.get(3, b"")) if parts.get(1) == 1 else _number(parts.get(2, 0))


def _raw_json(raw: int | bytes) -> Any:
    inner = _bytes(dict(_entries(_bytes(raw))).get(1, b""))
    return msgspec.json.decode(inner) if inner else None


def _schema_or_bool(raw: int | bytes) -> Any:
    parts = dict(_entries(_bytes(raw)))
    return _schema(parts[2]) if 2 in parts else bool(parts.get(1, 0))


def _schema_or_array(raw: int | bytes) -> Any:
    parts = list(_entries(_bytes(raw)))
    several = [_schema(item) for number, item in parts if number == 2]
    return several or next((_schema(item) for number, item in parts if number == 1), None)


def _schema_or_strings(raw: int | bytes) -> Any:
    parts = list(_entries(_bytes(raw)))
    one = next((_schema(item) for number, item in parts if number == 1), None)
    return one if one is not None else [_text(item) for number, item in parts if number == 2]


def _schema(raw: int | bytes) -> Object:
    return _message(_bytes(raw), _SCHEMA)


_READ: dict[str, Callable[[int | bytes], Any]] = {
    "s": _text,
    "i": _number,
    "b": lambda raw: bool(_number(raw)),
    "f": lambda raw: struct.unpack("<d", _bytes(raw))[0],
    "y": lambda raw: base64.b64encode(_bytes(raw)).decode(),
    "Time": _time,
    "MicroTime": lambda raw: _time(raw, 6),
    "Duration": lambda raw: f"{_number(dict(_entries(_bytes(raw))).get(1, 0))}ns",
    "Quantity": lambda raw: _text(dict(_entries(_bytes(raw))).get(1, b"")),
    "IntOrString": _int_or_string,
    "Raw": _raw_json,
    "SchemaOrArray": _schema_or_array,
    "SchemaOrBool": _schema_or_bool,
    "SchemaOrStrings": _schema_or_strings,
}
