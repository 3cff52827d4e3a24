# SPDX-License-Identifier: Apache-2.0
"""What `kubectl get` shows of a kind: headings, and pure functions from an object to a cell."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from msgspec import inspect as shapes

from lichen.model.data import Object
from lichen.model.kind import Kind
from lichen.model.meta import walk

Cell = Callable[[Object, float], Any]
"""An object and the time (unix seconds) → a string, a number or a boolean."""


@dataclass(frozen=True, slots=True)
class Column:
    """priority 0 is always shown, 1 with `-o wide`. type and format as in OpenAPI."""

    name: str
    cell: Cell
    type: str = "string"
    priority: int = 0
    description: str = ""
    format: str = ""


def path_cell(path: str) -> Cell:
    """What is at a dotted path; several values are joined by commas."""

    def cell(obj: Object, now: float) -> str:
        values = [value for value in walk(obj, path) if value not in (None, "")]
        flat = [item for value in values for item in (value if isinstance(value, list) else [value])]
        return ",".join(_text(item) for item in flat)

    return cell


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def duration(seconds: float) -> str:
    """As kubectl shortens it: 42s, 3m5s, 2h, 4d3h, 2y."""
    seconds = int(seconds)
    if seconds < 0:
        return "0s" if seconds > -2 else "<invalid>"
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    steps = (
        (seconds < 120, f"{seconds}s"),
        (minutes < 10, _two(minutes, "m", seconds % 60, "s")),
        (minutes < 180, f"{minutes}m"),
        (hours < 8, _two(hours, "h", minutes % 60, "m")),
        (hours < 48, f"{hours}h"),
        (days < 8, _two(days, "d", hours % 24, "h")),
        (days < 730, f"{days}d"),
        (days < 2920, _two(days // 365, "y", days % 365, "d")),
    )
    return next((text for holds, text in steps if holds), f"{days // 365}y")


def _two(big: int, unit: str, small: int, small_unit: str) -> str:
    return f"{big}{unit}{small}{small_unit}" if small else f"{big}{unit}"


def age(stamp: str | None, now: float) -> str:
    """The time since an RFC 3339 stamp."""
    if not stamp:
        return "<unknown>"
    try:
        return duration(now - datetime.fromisoformat(stamp.replace("Z", "+00:00")).timestamp())
    except ValueError:
        return "<unknown>"


def _name(obj: Object, now: float) -> str:
    return str(obj["metadata"]["name"])


def _age(obj: Object, now: float) -> str:
    return age(obj["metadata"].get("creationTimestamp"), now)


NAME = Column("Name", _name, description="Name must be unique within a namespace.", format="name")
AGE = Column("Age", _age, description="Time since creation.")


def columns_of_model(kind: Kind) -> tuple[Column, ...]:
    """From the fields of spec and status that declare a column."""
    columns = [NAME]
    for part in ("spec", "status"):
        struct = next((f.type for f in _fields(kind) if f.name == part), None)
        if isinstance(struct, shapes.StructType):
            columns.extend(_declared(struct, part))
    return (*columns, AGE)


def _fields(kind: Kind) -> tuple[shapes.Field, ...]:
    info = shapes.type_info(kind.model)
    return info.fields if isinstance(info, shapes.StructType) else ()


def _declared(struct: shapes.StructType, part: str) -> list[Column]:
    declared = struct.cls.declared_fields  # type: ignore[attr-defined]
    return [
        Column(info.column, path_cell(f"{part}.{field.encode_name}{_shown_of(field.type)}"), description=info.doc)
        for field in struct.fields
        if (info := declared.get(field.name)) is not None and info.column
    ]


def _shown_of(type_: shapes.Type) -> str:
    """Of a list of structs, the path of the one field that declares a column, too."""
    if not isinstance(type_, shapes.ListType) or not isinstance(type_.item_type, shapes.StructType):
        return ""
    inner = type_.item_type
    declared = inner.cls.declared_fields  # type: ignore[attr-defined]
    return next((f".{f.encode_name}" for f in inner.fields if f.name in declared and declared[f.name].column), "")


def columns_of_builtin(kind: Kind) -> tuple[Column, ...]:
    """Upstream's columns for the kinds that have any beside their name and age."""
    from lichen.kinds.printers import PRINTERS

    return PRINTERS.get((kind.group, kind.plural), (NAME, AGE))
