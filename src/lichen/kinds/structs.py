# SPDX-License-Identifier: Apache-2.0
"""The OpenAPI schema of one of Lichen's kinds, derived from its struct and what its fields declare."""

from __future__ import annotations

import inspect
from typing import Any

import msgspec
from msgspec import inspect as shapes

from lichen.kinds.bundle import OBJECT_META, PREFIX
from lichen.model.data import Data, FieldInfo
from lichen.model.kind import Kind

Schema = dict[str, Any]


def schema_of_struct(kind: Kind) -> Schema:
    """OpenAPI v3, inlined but for the standard metadata. `x-lichen-immutable` marks what an update may not change."""
    assert kind.model is not None
    info = shapes.type_info(kind.model)
    assert isinstance(info, shapes.StructType)
    schema = _struct(info)
    schema["properties"]["metadata"] = {"$ref": PREFIX + OBJECT_META, "description": "Standard metadata."}
    schema["x-kubernetes-group-version-kind"] = [{"group": kind.group, "version": kind.version, "kind": kind.kind}]
    return schema


def _struct(info: shapes.StructType) -> Schema:
    cls = info.cls
    declared = cls.declared_fields if issubclass(cls, Data) else {}
    properties, required = {}, []
    for field in info.fields:
        properties[field.encode_name] = _field(field, declared.get(field.name))
        if field.required:
            required.append(field.encode_name)
    schema: Schema = {"type": "object", "description": inspect.getdoc(cls) or "", "properties": properties}
    if required:
        schema["required"] = required
    return schema


def _field(field: shapes.Field, info: FieldInfo | None) -> Schema:
    schema = _type(field.type)
    default = _default(field)
    if default is not None:
        schema["default"] = default
    if info is None:
        return schema
    marks = {
        "description": info.doc,
        "pattern": info.pattern,
        "format": info.format,
        "minimum": info.minimum,
        "maximum": info.maximum,
        "maxLength": info.max_length,
        "enum": list(info.enum),
        "x-lichen-immutable": info.immutable,
        "x-lichen-to": info.to,
    }
    schema.update({key: mark for key, mark in marks.items() if mark or (mark == 0 and mark is not False)})
    return schema


def _default(field: shapes.Field) -> Any:
    """The default worth storing: what is empty says nothing. An object that has defaults inside starts as {}."""
    if field.default_factory is not msgspec.NODEFAULT:
        return {} if isinstance(field.type, shapes.StructType) and field.name == "spec" else None
    return field.default if field.default is not msgspec.NODEFAULT and field.default not in ("", None) else None


_SCALARS: dict[type[shapes.Type], Schema] = {
    shapes.StrType: {"type": "string"},
    shapes.IntType: {"type": "integer", "format": "int64"},
    shapes.FloatType: {"type": "number"},
    shapes.BoolType: {"type": "boolean"},
    shapes.AnyType: {"x-kubernetes-preserve-unknown-fields": True},
}


def _type(info: shapes.Type) -> Schema:
    if type(info) in _SCALARS:
        return dict(_SCALARS[type(info)])
    if isinstance(info, shapes.UnionType):
        some = [t for t in info.types if not isinstance(t, shapes.NoneType)]
        return {**_type(some[0]), "nullable": True}
    if isinstance(info, shapes.ListType):
        return {"type": "array", "items": _type(info.item_type)}
    if isinstance(info, shapes.DictType):
        values = _type(info.value_type)
        return {"type": "object", "additionalProperties": values}
    if isinstance(info, shapes.StructType):
        return _struct(info)
    raise TypeError(f"no schema for {info}")
