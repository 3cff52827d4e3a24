# SPDX-License-Identifier: Apache-2.0
"""Checks of single values, made from their schemas."""

from __future__ import annotations

import re
from binascii import Error as Base64Error
from binascii import a2b_base64
from collections.abc import Callable
from typing import Any

from lichen.kernel.checking import Path, Run, text_of
from lichen.model.quantity import canonical

Check = Callable[[Any, Path, Run], Any]

_RANGES = {"int32": (-(1 << 31), (1 << 31) - 1), "int64": (-(1 << 63), (1 << 63) - 1)}
_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)")


def anything(value: Any, path: Path, run: Run) -> Any:
    return value


def any_object(value: Any, path: Path, run: Run) -> Any:
    return value if type(value) is dict else run.wrong_type(path, "object", value)


def string_map(value: Any, path: Path, run: Run) -> Any:
    """String to string; a null value counts as empty, as upstream decodes it."""
    if type(value) is not dict:
        return run.wrong_type(path, "object", value)
    out = dict(value)
    for key, item in value.items():
        if type(item) is not str:
            out[key] = "" if item is None else run.wrong_type((path, key), "string", item)
    return out


def scalar(schema: dict[str, Any]) -> Check:
    """A check for a schema of type string, integer, number or boolean."""
    match schema["type"]:
        case "string":
            return _string(schema)
        case "integer":
            return _integer(schema)
        case "number":
            return _number
        case "boolean":
            return _boolean
    raise TypeError(f"no check for type {schema['type']}")


def _boolean(value: Any, path: Path, run: Run) -> Any:
    return value if type(value) is bool else run.wrong_type(path, "boolean", value)


def _number(value: Any, path: Path, run: Run) -> Any:
    return value if type(value) in (int, float) else run.wrong_type(path, "number", value)


def _integer(schema: dict[str, Any]) -> Check:
    low, high = _RANGES[schema.get("format", "int64")]
    minimum, maximum = schema.get("minimum"), schema.get("maximum")

    def check(value: Any, path: Path, run: Run) -> Any:
        if type(value) is not int:
            return run.wrong_type(path, "integer", value)
        if not low <= value <= high:
            return run.wrong_type(path, schema.get("format", "int64"), value)
        if minimum is not None and value < minimum:
            run.faults.invalid(text_of(path), value, f"must be greater than or equal to {minimum}")
        if maximum is not None and value > maximum:
            run.faults.invalid(text_of(path), value, f"must be less than or equal to {maximum}")
        return value

    return check


def _string(schema: dict[str, Any]) -> Check:
    special = {"int-or-string": _int_or_string, "quantity": _quantity, "date-time": _time, "byte": _base64}
    check = special.get(schema.get("format", ""))
    return check or _text(schema)


def _text(schema: dict[str, Any]) -> Check:
    enum, limit = schema.get("enum"), schema.get("maxLength")
    pattern = re.compile(schema["pattern"]) if schema.get("pattern") else None

    def check(value: Any, path: Path, run: Run) -> Any:
        if type(value) is not str:
            return run.wrong_type(path, "string", value)
        if enum is not None and value not in enum:
            run.faults.unsupported(text_of(path), value, enum)
        if limit is not None and len(value) > limit:
            run.faults.too_long(text_of(path), limit)
        if pattern is not None and not pattern.search(value):
            run.faults.invalid(text_of(path), value, f"must match {pattern.pattern}")
        return value

    return check


def _int_or_string(value: Any, path: Path, run: Run) -> Any:
    return value if type(value) in (int, str) else run.wrong_type(path, "integer or string", value)


def _quantity(value: Any, path: Path, run: Run) -> Any:
    if type(value) is str or type(value) is int or type(value) is float:
        try:
            return canonical(str(value))
        except ValueError:
            pass
    return run.wrong_type(path, "a quantity such as 500m, 2 or 1Gi", value)


def _time(value: Any, path: Path, run: Run) -> Any:
    if type(value) is str and _TIME.fullmatch(value):
        return value
    return run.wrong_type(path, "a time such as 2006-01-02T15:04:05Z", value)


def _base64(value: Any, path: Path, run: Run) -> Any:
    if type(value) is not str:
        return run.wrong_type(path, "string", value)
    try:
        a2b_base64(value, strict_mode=True)
    except (Base64Error, ValueError):
        return run.wrong_type(path, "base64", value)
    return value
