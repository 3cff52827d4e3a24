# SPDX-License-Identifier: Apache-2.0
"""Kubernetes' strategic merge patch, as a pure function: a merge patch that merges lists by the keys in the schema."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lichen.kinds.bundle import PREFIX
from lichen.model.errors import BadRequest

Schema = dict[str, Any]
Resolve = Callable[[str], Schema]

DIRECTIVE, RETAIN = "$patch", "$retainKeys"
ORDER, DELETE = "$setElementOrder/", "$deleteFromPrimitiveList/"


def strategic_merge(target: Any, patch: Any, schema: Schema, resolve: Resolve) -> Any:
    """`target` changed by `patch`; neither is changed, the result may share parts with both. resolve: a schema by the
    name in its ref. BadRequest: a directive that means nothing."""
    return _Merge(resolve).value(target, patch, schema)


class _Merge:
    def __init__(self, resolve: Resolve) -> None:
        self._resolve = resolve

    def value(self, target: Any, patch: Any, schema: Schema) -> Any:
        if isinstance(patch, dict):
            return self.merge_map(target if isinstance(target, dict) else {}, patch, self._open(schema))
        if isinstance(patch, list):
            return [_clean(item) for item in patch]
        return patch

    def merge_map(self, target: dict[str, Any], patch: dict[str, Any], schema: Schema) -> dict[str, Any]:
        directive = patch.get(DIRECTIVE)
        if directive == "replace":
            return {key: _clean(value) for key, value in patch.items() if key != DIRECTIVE}
        if directive == "delete":
            return {}
        if directive not in (None, "merge"):
            raise BadRequest(f"unknown {DIRECTIVE} directive {str(directive)[:64]!r}")
        merged = dict(target)
        if RETAIN in patch:
            merged = {key: value for key, value in merged.items() if key in _listed(patch[RETAIN], RETAIN)}
        for key, value in patch.items():
            if key.startswith("$"):
                self._prune(merged, key, value)
            elif value is None:
                merged.pop(key, None)
            else:
                self._field(merged, key, value, patch.get(ORDER + key), self._property(schema, key))
        self._order_only(merged, patch, schema)
        return merged

    def _field(self, merged: dict[str, Any], key: str, value: Any, order: Any, schema: Schema) -> None:
        strategy = schema.get("x-kubernetes-patch-strategy", "")
        if isinstance(value, list) and "merge" in strategy:
            old = merged.get(key)
            merged[key] = self.merge_list(old if isinstance(old, list) else [], value, order, schema)
        elif isinstance(value, dict) and value.get(DIRECTIVE) == "delete":
            merged.pop(key, None)
        elif isinstance(value, dict) and "replace" in strategy:
            merged[key] = _clean(value)
        else:
            merged[key] = self.value(merged.get(key), value, schema)

    def merge_list(self, target: list[Any], patch: list[Any], order: Any, schema: Schema) -> list[Any]:
        key = schema.get("x-kubernetes-patch-merge-key")
        if key is None:
            added = [item for item in patch if item not in target]
            return _ordered([*target, *added], target, order, None)
        if any(isinstance(item, dict) and item.get(DIRECTIVE) == "replace" for item in patch):
            return [_clean(item) for item in patch if not (isinstance(item, dict) and item.get(DIRECTIVE) == "replace")]
        merged = list(target)
        for item in patch:
            self._item(merged, item, key, schema["items"])
        return _ordered(merged, target, order, key)

    def _item(self, merged: list[Any], item: Any, key: str, schema: Schema) -> None:
        if not isinstance(item, dict) or key not in item:
            raise BadRequest(f"each item of a list that is merged by {key} must be an object that has it")
        here = [i for i, old in enumerate(merged) if isinstance(old, dict) and old.get(key) == item[key]]
        if item.get(DIRECTIVE) == "delete":
            for index in reversed(here):
                del merged[index]
        elif here:
            merged[here[0]] = self.value(merged[here[0]], item, schema)
        else:
            merged.append(self.value({}, item, schema))

    def _prune(self, merged: dict[str, Any], directive: str, value: Any) -> None:
        if directive.startswith(DELETE):
            field, gone = directive.removeprefix(DELETE), _listed(value, directive)
            if isinstance(merged.get(field), list):
                merged[field] = [item for item in merged[field] if item not in gone]
        elif directive not in (DIRECTIVE, RETAIN) and not directive.startswith(ORDER):
            raise BadRequest(f"unknown directive {directive[:64]!r} in the patch")

    def _order_only(self, merged: dict[str, Any], patch: dict[str, Any], schema: Schema) -> None:
        """An order given for a list that is not patched otherwise."""
        for directive, order in patch.items():
            field = directive.removeprefix(ORDER)
            if directive.startswith(ORDER) and field not in patch and isinstance(merged.get(field), list):
                key = self._property(schema, field).get("x-kubernetes-patch-merge-key")
                merged[field] = _ordered(merged[field], merged[field], order, key)

    def _property(self, schema: Schema, key: str) -> Schema:
        found = schema.get("properties", {}).get(key) or schema.get("additionalProperties") or {}
        return found if isinstance(found, dict) else {}

    def _open(self, schema: Schema) -> Schema:
        while "$ref" in schema:
            schema = self._resolve(schema["$ref"].removeprefix(PREFIX))
        return schema


def _listed(value: Any, directive: str) -> list[Any]:
    if not isinstance(value, list):
        raise BadRequest(f"{directive[:64]} must be a list")
    return value


def _ordered(items: list[Any], before: list[Any], order: Any, key: str | None) -> list[Any]:
    """Items named in `order` in that order; the others keep their place among those that were there before."""
    if order is None:
        return items
    wanted = [_key_of(item, key) for item in _listed(order, ORDER)]
    named = sorted((i for i in items if _key_of(i, key) in wanted), key=lambda i: wanted.index(_key_of(i, key)))
    others = [item for item in items if _key_of(item, key) not in wanted]
    place = {repr(_key_of(item, key)): index for index, item in enumerate(before)}
    merged: list[Any] = []
    for item in named:
        mine = place.get(repr(_key_of(item, key)))
        while mine is not None and others and place.get(repr(_key_of(others[0], key)), len(before)) < mine:
            merged.append(others.pop(0))
        merged.append(item)
    return [*merged, *others]


def _key_of(item: Any, key: str | None) -> Any:
    return item.get(key) if key is not None and isinstance(item, dict) else item


def _clean(value: Any) -> Any:
    """A value of the patch that has nothing to merge with: nulls and directives mean nothing."""
    if isinstance(value, dict):
        return {k: _clean(v) for k, v in value.items() if v is not None and not k.startswith("$")}
    if isinstance(value, list):
        return [_clean(item) for item in value]
    return value
