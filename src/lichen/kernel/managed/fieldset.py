# SPDX-License-Identifier: Apache-2.0
"""Sets of fields, as trees: {"f:spec": {"f:replicas": {".": True}}}. A node is a member if it has `.`.

Edges are those of FieldsV1: `f:<name>`, `k:{<keys of a list's item>}`, `v:<value in a set>`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

Set = dict[str, Any]
SELF = "."
MEMBER: Set = {SELF: True}


def union(left: Set, right: Set) -> Set:
    if not left or not right:
        return left or right
    out = dict(left)
    for key, inner in right.items():
        known = out.get(key)
        out[key] = inner if known is None or key == SELF else union(known, inner)
    return out


def difference(left: Set, right: Set) -> Set:
    """Members of `left` that are none of `right`."""
    if not left or not right:
        return left
    out: Set = {}
    for key, inner in left.items():
        other = right.get(key)
        if other is None:
            out[key] = inner
        elif key != SELF:
            kept = difference(inner, other)
            if kept:
                out[key] = kept
    return out


def intersection(left: Set, right: Set) -> Set:
    out: Set = {}
    for key, inner in left.items():
        other = right.get(key)
        if other is None:
            continue
        if key == SELF:
            out[key] = True
        else:
            both = intersection(inner, other)
            if both:
                out[key] = both
    return out


def let_go(last: Set, kept: Set) -> Set:
    """Members of `last` at and under which `kept` has none."""
    out = {}
    for key, inner in last.items():
        if key == SELF:
            continue
        other = kept.get(key)
        rest = inner if other is None else let_go(inner, other)
        if rest:
            out[key] = rest
    return out


def to_wire(fields: Set) -> Set:
    """As FieldsV1 writes it: a member without members below it is {}."""
    return {key: {} if key == SELF or inner == MEMBER else to_wire(inner) for key, inner in fields.items()}


def from_wire(wire: Any) -> Set:
    """ValueError: it is no FieldsV1."""
    if not isinstance(wire, dict):
        raise ValueError("fieldsV1 must be an object")
    out: Set = {}
    for key, inner in wire.items():
        if key == SELF:
            out[SELF] = True
        elif not (key.startswith("f:") or _is_edge(key)) or not isinstance(inner, dict):
            raise ValueError(f"fieldsV1 has an unreadable path element {key[:64]!r}")
        else:
            out[key] = from_wire(inner) if inner else MEMBER
    return out


def _is_edge(key: str) -> bool:
    """Of those that are no field's name."""
    kind, rest = key[:2], key[2:]
    try:
        return (kind == "i:" and rest.isdigit()) or (kind in _JSON and _JSON[kind](rest))
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return False


_JSON = {
    "k:": lambda text: isinstance(msgspec.json.decode(text), dict),
    "v:": lambda text: msgspec.json.decode(text) is not Ellipsis,
}


def paths(fields: Set, prefix: str = "") -> Iterator[str]:
    """Members as people read them: `.spec.ports[containerPort=80,protocol="TCP"].name`."""
    for key, inner in fields.items():
        if key == SELF:
            yield prefix
        else:
            yield from paths(inner, prefix + _text(key))


def _text(edge: str) -> str:
    kind, rest = edge[:2], edge[2:]
    if kind == "f:":
        return f".{rest}"
    if kind == "v:":
        return f"[={rest}]"
    if kind == "k:":
        keys = msgspec.json.decode(rest)
        return "[" + ",".join(f"{k}={msgspec.json.encode(v).decode()}" for k, v in sorted(keys.items())) + "]"
    return f"[{rest}]"
