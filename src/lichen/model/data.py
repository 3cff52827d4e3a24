# SPDX-License-Identifier: Apache-2.0
"""Typed shapes of objects: `Data` structs whose fields carry their documentation.

A field is declared once, with everything that is derived from it: schema, default,
kubectl column, docs, and its OpenStack name as inert data.

    class Spec(Data):
        cidr: str = field("Range of addresses.", immutable=True, column="Range")
        dhcp: bool = field("Serve DHCP.", default=True, openstack="enable_dhcp")

Attribute names are snake_case; the wire (and the store) speaks camelCase.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, dataclass_transform

import msgspec

Object = dict[str, Any]
"""An object as it is stored and sent: apiVersion, kind, metadata, spec, status, in JSON's types."""

MAX_DEPTH = 200
"""How deep an object may be nested: what walks it by recursion must not come to the end of its stack, whoever sent
the object and whoever else reads it."""


def is_deeper(value: Any, most: int) -> bool:
    """Whether lists and objects are nested more than `most` deep in a value of JSON's types."""
    level = [value] if isinstance(value, dict | list) else []
    while level and most > 0:
        inner = (item for outer in level for item in (outer.values() if isinstance(outer, dict) else outer))
        level, most = [item for item in inner if isinstance(item, dict | list)], most - 1
    return bool(level)


def is_too_deep(value: Any, raw: bytes) -> bool:
    """Whether a value is nested more than MAX_DEPTH deep. raw: the same as JSON, which has a bracket for each level, so
    that most values need no walk."""
    return raw.count(b"{") + raw.count(b"[") > MAX_DEPTH and is_deeper(value, MAX_DEPTH)


@dataclass(frozen=True, slots=True)
class FieldInfo:
    """What a field's declaration says beyond its type."""

    doc: str
    default: Any = msgspec.NODEFAULT
    default_factory: Callable[[], Any] | Any = msgspec.NODEFAULT
    immutable: bool = False
    column: str = ""
    to: str = ""
    openstack: str = ""
    enum: tuple[str, ...] = ()
    pattern: str = ""
    format: str = ""
    minimum: int | None = None
    maximum: int | None = None
    max_length: int | None = None
    selectable: bool = False
    wire: str = ""


def field(
    doc: str = "",
    *,
    default: Any = msgspec.NODEFAULT,
    default_factory: Any = msgspec.NODEFAULT,
    immutable: bool = False,
    column: str = "",
    to: str = "",
    openstack: str = "",
    enum: tuple[str, ...] = (),
    pattern: str = "",
    format: str = "",
    minimum: int | None = None,
    maximum: int | None = None,
    max_length: int | None = None,
    selectable: bool = False,
    wire: str = "",
) -> Any:
    """Declare a field of a `Data` struct.

    doc: one sentence, served by `kubectl explain`. immutable: refused on update. column: shown by `kubectl get`
    under this heading. to: the kind it refers to, by its name (`name` or `namespace/name` on the wire).
    openstack: its name in the OpenStack dialect. selectable: usable in --field-selector. wire: its name on the
    wire, if not the camelCase of its own.
    """
    return FieldInfo(
        doc, default, default_factory, immutable, column, to, openstack, enum, pattern, format,
        minimum, maximum, max_length, selectable, wire,
    )  # fmt: skip


def camel(name: str) -> str:
    """`fixed_ips` → `fixedIps`, as Kubernetes spells its fields."""
    head, *rest = name.split("_")
    return head + "".join(word.capitalize() for word in rest)


@dataclass_transform(kw_only_default=True, field_specifiers=(field,))
class _DataMeta(msgspec.StructMeta):
    def __new__(mcls, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **options: Any) -> Any:
        declared = {key: value for key, value in namespace.items() if isinstance(value, FieldInfo)}
        for key, info in declared.items():
            wire = info.wire or camel(key)
            if info.default_factory is not msgspec.NODEFAULT:
                namespace[key] = msgspec.field(default_factory=info.default_factory, name=wire)
            elif info.default is not msgspec.NODEFAULT:
                namespace[key] = msgspec.field(default=info.default, name=wire)
            else:
                namespace[key] = msgspec.field(name=wire)
        cls: Any = super().__new__(mcls, name, bases, namespace, kw_only=True, omit_defaults=True, **options)
        cls.declared_fields = {**getattr(cls, "declared_fields", {}), **declared}
        return cls


class Data(msgspec.Struct, metaclass=_DataMeta):
    """A typed shape. Unknown fields on the wire are ignored when read and never written: change objects by patch."""

    declared_fields: ClassVar[dict[str, FieldInfo]] = {}


def to_wire(data: Data) -> Object:
    """A struct as JSON types, defaults left out."""
    wire: Object = msgspec.to_builtins(data)
    return wire
