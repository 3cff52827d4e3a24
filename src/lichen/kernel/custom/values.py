# SPDX-License-Identifier: Apache-2.0
"""What an installed kind's schema says of single values: bounds, patterns, formats, enums, sizes, uniqueness."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from datetime import date, datetime
from typing import Any
from uuid import UUID

import msgspec

from lichen.kernel.checking import Path, Run, text_of
from lichen.kernel.patterns import compiled_pattern
from lichen.kinds.faults import show
from lichen.model.errors import Cause

Schema = dict[str, Any]
Rule = Callable[[Any, Path, Run], None]

TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
}


def wrong_type(path: Path, want: str, value: Any, run: Run) -> Any:
    name = text_of(path)
    run.faults.append(
        Cause(
            name or "<nil>",
            f"Invalid value: {show(_word(value))}: {name} in body must be of type {want}: {show(_word(value))}",
            "FieldValueTypeInvalid",
        )
    )
    return value


def _word(value: Any) -> str:
    names = {dict: "object", list: "array", str: "string", bool: "boolean", int: "integer", float: "number"}
    return names.get(type(value), "null")


def rules_of_values(schema: Schema) -> list[Rule]:
    """All rules about the value itself; those that do not fit its type say nothing."""
    rules: list[Rule] = []
    for key, make in _MAKERS.items():
        if schema.get(key) is not None:
            rules.append(make(schema[key], schema))
    if schema.get("x-kubernetes-list-type") == "set":
        rules.append(_unique_items)
    if schema.get("x-kubernetes-list-type") == "map":
        rules.append(_unique_keys(schema))
    return rules


def _fault(run: Run, path: Path, value: Any, said: str) -> None:
    name = text_of(path)
    run.faults.invalid(name, value, f"{name} in body {said}")


def _number(holds: Callable[[Any], bool], said: str) -> Rule:
    def rule(value: Any, path: Path, run: Run) -> None:
        if type(value) in (int, float) and not holds(value):
            _fault(run, path, value, said)

    return rule


def _minimum(limit: Any, schema: Schema) -> Rule:
    if schema.get("exclusiveMinimum"):
        return _number(lambda value: value > limit, f"should be greater than {limit}")
    return _number(lambda value: value >= limit, f"should be greater than or equal to {limit}")


def _maximum(limit: Any, schema: Schema) -> Rule:
    if schema.get("exclusiveMaximum"):
        return _number(lambda value: value < limit, f"should be less than {limit}")
    return _number(lambda value: value <= limit, f"should be less than or equal to {limit}")


def _multiple(of: Any, schema: Schema) -> Rule:
    return _number(lambda value: abs(value / of - round(value / of)) < 1e-9, f"should be a multiple of {of}")


def _size(types: tuple[type, ...], holds: Callable[[int], bool], said: str) -> Rule:
    def rule(value: Any, path: Path, run: Run) -> None:
        if type(value) in types and not holds(len(value)):
            _fault(run, path, value, said)

    return rule


def _at_least(type_: type, what: str) -> Callable[[Any, Schema], Rule]:
    return lambda limit, schema: _size((type_,), lambda size: size >= limit, f"should have at least {limit} {what}")


def _at_most(type_: type, what: str) -> Callable[[Any, Schema], Rule]:
    return lambda limit, schema: _size((type_,), lambda size: size <= limit, f"should have at most {limit} {what}")


def _max_length(limit: Any, schema: Schema) -> Rule:
    def rule(value: Any, path: Path, run: Run) -> None:
        if type(value) is str and len(value) > limit:
            run.faults.too_long(text_of(path), limit)

    return rule


def _min_length(limit: Any, schema: Schema) -> Rule:
    return _size((str,), lambda size: size >= limit, f"should be at least {limit} chars long")


def _pattern(pattern: str, schema: Schema) -> Rule:
    found = compiled_pattern(pattern)

    def rule(value: Any, path: Path, run: Run) -> None:
        if type(value) is str and found is not None and found.search(value) is None:
            _fault(run, path, value, f"should match '{pattern}'")

    return rule


def _enum(allowed: list[Any], schema: Schema) -> Rule:
    def rule(value: Any, path: Path, run: Run) -> None:
        if not any(_same(value, item) for item in allowed):
            run.faults.unsupported(text_of(path), value, allowed)

    return rule


def _same(left: Any, right: Any) -> bool:
    return left == right and (type(left) is bool) is (type(right) is bool)


def _format(name: str, schema: Schema) -> Rule:
    holds = _FORMATS.get(name)

    def rule(value: Any, path: Path, run: Run) -> None:
        if holds is not None and not holds(value):
            _fault(run, path, value, f"must be of type {name}: {show(value)}")

    return rule


def _parsed(parse: Callable[[str], Any]) -> Callable[[Any], bool]:
    def holds(value: Any) -> bool:
        if type(value) is not str:
            return True
        try:
            parse(value)
        except ValueError:
            return False
        return True

    return holds


def _time(text: str) -> datetime:
    if len(text) < 20 or text[10] not in "Tt":
        raise ValueError(text)
    return datetime.fromisoformat(text.replace("z", "Z"))


def _ip(version: int) -> Callable[[Any], bool]:
    return _parsed(ipaddress.IPv4Address if version == 4 else ipaddress.IPv6Address)


def _within(bits: int) -> Callable[[Any], bool]:
    return lambda value: type(value) is not int or -(1 << (bits - 1)) <= value < 1 << (bits - 1)


def _matches(pattern: str) -> Callable[[Any], bool]:
    whole = rf"\A(?:{pattern})\z"

    def holds(value: Any) -> bool:
        compiled = compiled_pattern(whole)
        assert compiled is not None  # it is one of ours
        return type(value) is not str or compiled.search(value) is not None

    return holds


_FORMATS: dict[str, Callable[[Any], bool]] = {
    "int32": _within(32),
    "int64": _within(64),
    "date-time": _parsed(_time),
    "date": _parsed(date.fromisoformat),
    "uuid": _parsed(UUID),
    "ipv4": _ip(4),
    "ipv6": _ip(6),
    "cidr": _parsed(lambda text: ipaddress.ip_network(text, strict=False)),
    "byte": _matches(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?"),
    "email": _matches(r"[^@\s]+@[^@\s]+"),
    "hostname": _matches(r"[A-Za-z0-9]([-A-Za-z0-9.]{0,251}[A-Za-z0-9])?"),
    "uri": _matches(r"[A-Za-z][-+.A-Za-z0-9]*:\S*|/\S*"),
    "duration": _matches(r"[-+]?(0|(\d+(\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h|d|w))+"),
}


def _unique_items(value: Any, path: Path, run: Run) -> None:
    if type(value) is list:
        _tell_duplicates([(_key(item), item) for item in value], path, run)


def _unique_keys(schema: Schema) -> Rule:
    names = schema.get("x-kubernetes-list-map-keys") or ()
    properties = (schema.get("items") or {}).get("properties") or {}
    defaults = {name: (properties.get(name) or {}).get("default") for name in names}

    def rule(value: Any, path: Path, run: Run) -> None:
        if type(value) is list:
            keys = [{n: i.get(n, defaults[n]) for n in names} for i in value if isinstance(i, dict)]
            _tell_duplicates([(_key(key), key) for key in keys], path, run)

    return rule


def _tell_duplicates(keyed: list[tuple[bytes, Any]], path: Path, run: Run) -> None:
    seen: set[bytes] = set()
    for index, (key, value) in enumerate(keyed):
        if key in seen:
            run.faults.duplicate(text_of((path, index)), value)
        seen.add(key)


def _key(value: Any) -> bytes:
    return msgspec.json.encode(value, order="sorted")


_MAKERS: dict[str, Callable[[Any, Schema], Rule]] = {
    "minimum": _minimum,
    "maximum": _maximum,
    "multipleOf": _multiple,
    "minLength": _min_length,
    "maxLength": _max_length,
    "minItems": _at_least(list, "items"),
    "maxItems": _at_most(list, "items"),
    "minProperties": _at_least(dict, "properties"),
    "maxProperties": _at_most(dict, "properties"),
    "pattern": _pattern,
    "enum": _enum,
    "format": _format,
}
