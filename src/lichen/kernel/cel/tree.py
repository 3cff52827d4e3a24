# SPDX-License-Identifier: Apache-2.0
"""A compiled expression as its tree: the part of CEL's published format (`cel.expr.CheckedExpr`) that is looked at
here. What is not named is kept as it is."""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pool, message_factory
from google.protobuf.any_pb2 import Any as Packed
from google.protobuf.descriptor_pb2 import FieldDescriptorProto as Field
from google.protobuf.descriptor_pb2 import FileDescriptorProto

_PACKAGE = "lichen.cel"
_SCALARS = {"string": Field.TYPE_STRING, "int": Field.TYPE_INT64, "bool": Field.TYPE_BOOL}
_MESSAGES: dict[str, dict[str, tuple[int, str]]] = {
    "Checked": {"types": (3, "*Typed"), "expr": (4, "Expr")},
    "Typed": {"key": (1, "int"), "value": (2, "Type")},
    "Type": {"primitive": (3, "int"), "well_known": (5, "int")},
    "Expr": {
        "id": (2, "int"),
        "const": (3, "Const"),
        "ident": (4, "Ident"),
        "select": (5, "Select"),
        "call": (6, "Call"),
        "list": (7, "List"),
        "map": (8, "Map"),
        "loop": (9, "Loop"),
    },
    "Const": {"flag": (2, "bool")},
    "Ident": {"name": (1, "string")},
    "Select": {"operand": (1, "Expr")},
    "Call": {"target": (1, "Expr"), "function": (2, "string"), "args": (3, "*Expr")},
    "List": {"elements": (1, "*Expr")},
    "Map": {"entries": (2, "*Entry")},
    "Entry": {"key": (3, "Expr"), "value": (4, "Expr")},
    "Loop": {
        "variable": (1, "string"),
        "range": (2, "Expr"),
        "result_name": (3, "string"),
        "start": (4, "Expr"),
        "condition": (5, "Expr"),
        "step": (6, "Expr"),
        "result": (7, "Expr"),
    },
}


def _classes() -> dict[str, Any]:
    file = FileDescriptorProto(name="lichen/cel.proto", package=_PACKAGE, syntax="proto2")
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for key, (number, type_) in fields.items():
            label = Field.LABEL_REPEATED if type_.startswith("*") else Field.LABEL_OPTIONAL
            field = message.field.add(name=key, number=number, label=label)
            field.type = _SCALARS.get(type_, Field.TYPE_MESSAGE)
            if type_ not in _SCALARS:
                field.type_name = f".{_PACKAGE}.{type_.lstrip('*')}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {n: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{n}")) for n in _MESSAGES}


_CLASSES = _classes()
Expr: Any = _CLASSES["Expr"]


def unpacked(serialized: bytes) -> Any:
    """google.protobuf.message.DecodeError: it is nested too deeply."""
    packed = Packed.FromString(serialized)
    return _CLASSES["Checked"].FromString(packed.value)


def packed(checked: Any) -> bytes:
    whole = Packed(type_url="type.googleapis.com/cel.expr.CheckedExpr", value=checked.SerializeToString())
    return whole.SerializeToString()
