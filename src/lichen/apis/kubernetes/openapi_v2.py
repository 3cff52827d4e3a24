# SPDX-License-Identifier: Apache-2.0
"""The old OpenAPI document, in JSON and in the protobuf form that is all kubectl asks for: definitions, no paths.

kubectl needs it where it checks on its own side: objects of kind List, and `explain --output=plaintext-openapiv2`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Any

from lichen.apis.kubernetes.wire import encode
from lichen.kinds import bundle
from lichen.model.data import Object

_STRINGS = {"$ref": 1, "format": 2, "title": 3, "description": 4, "pattern": 13}
_DOUBLES = {"maximum": 7, "minimum": 9}
_INTEGERS = {"maxLength": 11, "minLength": 12, "maxItems": 14, "minItems": 15}
_PRESERVE, _GVK = "x-kubernetes-preserve-unknown-fields", "x-kubernetes-group-version-kind"
_NOT_IN_V2 = frozenset(("nullable", "oneOf", "anyOf", "not"))


def document_v2(info: Object, definitions: Object) -> Object:
    """As a JSON value."""
    return {
        "swagger": "2.0",
        "info": info,
        "paths": {},
        "definitions": {name: _definition(schema) for name, schema in definitions.items()},
    }


def encode_v2(document: Object) -> bytes:
    """The same in protobuf: message Document of gnostic's openapi.v2."""
    info = _string(1, document["info"]["title"]) + _string(2, document["info"]["version"])
    return b"".join(
        (
            _string(1, document["swagger"]),
            _field(2, info),
            _field(8, b""),
            _field(9, _named(document["definitions"].items())),
        )
    )


def _definition(schema: Object) -> Object:
    """Of a kind that may have any fields nothing is said: kubectl would take what is said for all that there is."""
    if schema.get(_PRESERVE) and _GVK in schema:
        return {"type": "object", _GVK: schema[_GVK]}
    adapted: Object = _adapted(schema)
    return adapted


def _adapted(node: Any) -> Any:
    """A schema in v2's words; a reference stands alone."""
    if isinstance(node, list):
        return [_adapted(item) for item in node]
    if not isinstance(node, dict):
        return node
    ref = node.get("$ref")
    if isinstance(ref, str):
        kept = {"description": node["description"]} if "description" in node else {}
        return {"$ref": ref.replace(bundle.PREFIX, "#/definitions/"), **kept}
    if node.get(_PRESERVE) is True:
        node = {key: value for key, value in node.items() if key not in ("type", "items", "properties")}
    adapted = {key: _adapted(value) for key, value in node.items() if key not in _NOT_IN_V2 and key != "properties"}
    if isinstance(node.get("properties"), dict):
        adapted["properties"] = {name: _adapted(inner) for name, inner in node["properties"].items()}
    return adapted


def _schema(schema: Object) -> bytes:
    """Message Schema."""
    parts = [_string(number, schema[key]) for key, number in _STRINGS.items() if isinstance(schema.get(key), str)]
    parts += [_double(number, schema[key]) for key, number in _DOUBLES.items() if key in schema]
    parts += [_varint(number << 3) + _varint(schema[key]) for key, number in _INTEGERS.items() if key in schema]
    parts += [_string(19, name) for name in schema.get("required") or ()]
    parts += [_field(20, _any(value)) for value in schema.get("enum") or ()]
    if "default" in schema:
        parts.append(_field(5, _any(schema["default"])))
    if isinstance(schema.get("additionalProperties"), dict):
        parts.append(_field(21, _field(1, _schema(schema["additionalProperties"]))))
    if "type" in schema:
        parts.append(_field(22, _string(1, schema["type"])))
    if "items" in schema:
        parts.append(_field(23, _field(1, _schema(schema["items"]))))
    if "properties" in schema:
        parts.append(_field(25, _named(schema["properties"].items())))
    marks = ((key, value) for key, value in schema.items() if key.startswith("x-"))
    parts += [_field(31, _string(1, key) + _field(2, _any(value))) for key, value in marks]
    return b"".join(parts)


def _named(schemas: Iterable[tuple[str, Object]]) -> bytes:
    """Repeated NamedSchema."""
    return b"".join(_field(1, _string(1, name) + _field(2, _schema(schema))) for name, schema in schemas)


def _any(value: Any) -> bytes:
    """Message Any: a value as YAML, which JSON is."""
    return _string(2, encode(value).decode())


def _string(number: int, text: str) -> bytes:
    return _field(number, text.encode())


def _field(number: int, data: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _double(number: int, value: float) -> bytes:
    return _varint(number << 3 | 1) + struct.pack("<d", value)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
