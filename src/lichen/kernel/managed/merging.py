# SPDX-License-Identifier: Apache-2.0
"""Values of a shape: which fields they have, how two differ, one merged into another, some taken away. Pure; what is
returned may share parts with what was given."""

from __future__ import annotations

from typing import Any

from lichen.kernel.managed.fieldset import MEMBER, SELF, Set
from lichen.kernel.managed.shapes import Shape


def fields_of(shape: Shape, value: Any) -> Set:
    """The fields that a value says something about, as its applier owns them."""
    out: Set = {}
    if shape.is_map and type(value) is dict:
        for key, item in value.items():
            inner = shape.child(key)
            if inner is None:
                continue
            if _has_parts(inner, item) and item:
                fields = fields_of(inner, item)
                if not shape.declares(key):
                    fields[SELF] = True
                if fields:
                    out[f"f:{key}"] = fields
            elif not (inner.is_list and item == []):
                out[f"f:{key}"] = MEMBER
    elif shape.is_list and type(value) is list:
        for item in value:
            out[shape.edge(item)] = {**fields_of(shape.item, item), SELF: True}
    return out


def compare(shape: Shape, old: Any, new: Any) -> tuple[Set, Set]:
    """(fields that are new or other than before, fields that are gone), of two values of the same shape."""
    changed: Set = {}
    removed: Set = {}
    if shape.is_map:
        before = {f"f:{k}": (shape.child(k), v) for k, v in old.items() if k not in new or new[k] != v}
        after = {f"f:{k}": (shape.child(k), v) for k, v in new.items() if k not in old or old[k] != v}
    else:
        before = {shape.edge(item): (shape.item, item) for item in old}
        after = {shape.edge(item): (shape.item, item) for item in new}
    for edge, (inner, value) in before.items():
        if inner is not None and edge not in after:
            removed[edge] = _all_of(inner, value, everything=True)
    for edge, (inner, value) in after.items():
        if inner is None:
            continue
        if edge not in before:
            fields = _all_of(inner, value, everything=False)
            if not edge.startswith("f:") or not shape.declares(edge[2:]):
                fields = {**fields, SELF: True}
            changed[edge] = fields
            continue
        was = before[edge][1]
        if was == value:
            continue
        if _has_parts(inner, was) and _has_parts(inner, value) and (was or value):
            more, less = compare(inner, was, value)
            if more:
                changed[edge] = more
            if less:
                removed[edge] = less
        else:
            changed[edge] = MEMBER
    return changed, removed


def _all_of(shape: Shape, value: Any, *, everything: bool) -> Set:
    """The fields of a value that was not there. everything: also of maps that always have the same fields."""
    if not _has_parts(shape, value) or not value:
        return MEMBER
    out: Set = {SELF: True} if everything or shape.is_list or shape.is_free else {}
    if shape.is_map:
        for key, item in value.items():
            inner = shape.child(key)
            if inner is not None:
                fields = _all_of(inner, item, everything=everything)
                out[f"f:{key}"] = fields if shape.declares(key) else {**fields, SELF: True}
    else:
        for item in value:
            out[shape.edge(item)] = {**_all_of(shape.item, item, everything=everything), SELF: True}
    return out


def _has_parts(shape: Shape, value: Any) -> bool:
    return (shape.is_map and type(value) is dict) or (shape.is_list and type(value) is list)


def merge(shape: Shape, live: Any, wanted: Any) -> Any:
    """`live` with all that `wanted` says."""
    if shape.is_map and type(live) is dict and type(wanted) is dict:
        out = dict(live)
        for key, item in wanted.items():
            inner = shape.child(key)
            if inner is not None:
                out[key] = merge(inner, live[key], item) if key in live else item
        return out
    if shape.is_list and type(live) is list and type(wanted) is list:
        return _merge_lists(shape, live, wanted)
    return wanted


def _merge_lists(shape: Shape, live: list[Any], wanted: list[Any]) -> list[Any]:
    """Items in the order of `wanted`; those of `live` alone keep their place among their neighbours."""
    held = {shape.edge(item): item for item in live}
    named = {shape.edge(item): item for item in wanted}
    merged = {e: merge(shape.item, held[e], item) if e in held else item for e, item in named.items()}
    out: list[Any] = []
    done: set[str] = set()
    order = iter(merged)
    for edge, item in held.items():
        if edge not in merged:
            out.append(item)
            continue
        while edge not in done:
            following = next(order)
            out.append(merged[following])
            done.add(following)
    out.extend(merged[edge] for edge in order)
    return out


def without(shape: Shape, value: Any, gone: Set) -> Any:
    """`value` without these fields; what becomes empty by that goes too, as None."""
    if shape.is_map and type(value) is dict:
        out: Any = {}
        for key, item in value.items():
            fields = gone.get(f"f:{key}")
            inner = shape.child(key)
            kept = item if fields is None or inner is None else _rest(inner, item, fields)
            if kept is not None or fields is None:
                out[key] = kept
    elif shape.is_list and type(value) is list:
        out = []
        for item in value:
            fields = gone.get(shape.edge(item))
            kept = item if fields is None else _rest(shape.item, item, fields)
            if kept is not None or fields is None:
                out.append(kept)
    else:
        return value
    return out if out or not value else None


def _rest(shape: Shape, value: Any, gone: Set) -> Any:
    return None if SELF in gone else without(shape, value, gone)
