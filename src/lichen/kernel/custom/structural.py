# SPDX-License-Identifier: Apache-2.0
"""Schemas of installed kinds, compiled into closures that check, prune and default an object in one pass.

The closures are those of `kernel.schema`; here, unlike there, a value of a wrong type is a fault of a field (422), and
all of OpenAPI's bounds hold.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from lichen.kernel.checking import Path, Run, text_of
from lichen.kernel.custom.values import TYPES, Rule, rules_of_values, wrong_type

Schema = dict[str, Any]
Check = Callable[[Any, Path, Run], Any]

PRESERVE, EMBEDDED, INT_OR_STRING = (
    "x-kubernetes-preserve-unknown-fields",
    "x-kubernetes-embedded-resource",
    "x-kubernetes-int-or-string",
)


def compile_kind(schema: Schema, metadata: Check, *, bare: bool = False) -> Check:
    """The check of whole objects. metadata: the check of theirs. bare: nothing is filled in or required."""
    properties = {k: v for k, v in (schema.get("properties") or {}).items() if k != "metadata"}
    compiler = _Compiler(metadata, bare=bare)
    root = {**schema, "properties": {**properties, "metadata": {}}}
    return compiler.struct(root, extra_checks={"metadata": metadata})


def compile_value(schema: Schema, metadata: Check) -> Check:
    """The check of a single value, such as a default in a schema."""
    return _Compiler(metadata).compile(schema)


class _Compiler:
    def __init__(self, metadata: Check, *, bare: bool = False, logical: bool = False) -> None:
        self._metadata = metadata
        self._bare = bare
        self._logical = logical

    def compile(self, schema: Schema) -> Check:
        inner = self._typed(schema)
        rules = [] if self._bare else [*rules_of_values(schema), *self._combined(schema)]
        if schema.get("nullable"):
            inner = _nullable(inner)
        return _ruled(inner, rules, nullable=bool(schema.get("nullable"))) if rules else inner

    def _typed(self, schema: Schema) -> Check:
        if schema.get(INT_OR_STRING):
            return _int_or_string
        match schema.get("type"):
            case "object":
                return self.struct(schema)
            case "array":
                return _array(self.compile(schema.get("items") or {}))
            case None:
                return self.struct(schema, typed=False) if schema.get("properties") else _anything
            case name:
                return _scalar(name)

    def struct(self, schema: Schema, *, extra_checks: dict[str, Check] | None = None, typed: bool = True) -> Check:
        properties: dict[str, Schema] = schema.get("properties") or {}
        given = extra_checks or {}
        if schema.get(EMBEDDED):
            given = {"metadata": self._metadata, "apiVersion": _scalar("string"), "kind": _scalar("string"), **given}
        checks = {key: self.compile(sub) for key, sub in properties.items() if key not in given} | given
        extra = schema.get("additionalProperties")
        others = self.compile(extra) if isinstance(extra, dict) else _anything if extra else None
        if others is None and (schema.get(PRESERVE) or self._logical):
            others = _anything
        required = () if self._bare else tuple(schema.get("required") or ())
        if schema.get(EMBEDDED) and not self._bare:
            required = tuple(dict.fromkeys((*required, "apiVersion", "kind")))
        defaults = () if self._bare or self._logical else _defaults(properties, checks)
        inner = _struct(checks, others, required, defaults, typed=typed)
        if not extra_checks or self._bare:
            return inner
        rules = [*rules_of_values(schema), *self._combined(schema)]
        return _ruled(inner, rules, nullable=False) if rules else inner

    def _combined(self, schema: Schema) -> list[Rule]:
        if schema.get(INT_OR_STRING):
            schema = {k: v for k, v in schema.items() if k not in ("anyOf", "allOf")}
        compiler = _Compiler(self._metadata, logical=True)
        rules: list[Rule] = []
        for name, make in (("allOf", _all_of), ("anyOf", _any_of), ("oneOf", _one_of)):
            if schema.get(name):
                rules.append(make([compiler.compile(part) for part in schema[name]]))
        if schema.get("not"):
            rules.append(_none_of(compiler.compile(schema["not"])))
        return rules


def _defaults(properties: dict[str, Schema], checks: dict[str, Check]) -> tuple[tuple[str, Any, Check], ...]:
    return tuple(
        (key, sub["default"], checks[key])
        for key, sub in properties.items()
        if isinstance(sub, dict) and sub.get("default") is not None
    )


def _anything(value: Any, path: Path, run: Run) -> Any:
    return value


def _int_or_string(value: Any, path: Path, run: Run) -> Any:
    return value if type(value) in (int, str) else wrong_type(path, "integer,string", value, run)


def _scalar(name: str) -> Check:
    types = TYPES[name]

    def check(value: Any, path: Path, run: Run) -> Any:
        if type(value) in types:
            return value
        if name == "integer" and type(value) is float and value.is_integer():
            return int(value)
        return wrong_type(path, name, value, run)

    return check


def _nullable(inner: Check) -> Check:
    return lambda value, path, run: None if value is None else inner(value, path, run)


def _ruled(inner: Check, rules: list[Rule], *, nullable: bool) -> Check:
    def check(value: Any, path: Path, run: Run) -> Any:
        before = len(run.faults)
        kept = inner(value, path, run)
        if len(run.faults) == before and not (nullable and kept is None):
            for rule in rules:
                rule(kept, path, run)
        return kept

    return check


def _array(inner: Check) -> Check:
    def check(value: Any, path: Path, run: Run) -> Any:
        if type(value) is not list:
            return wrong_type(path, "array", value, run)
        return [inner(item, (path, index), run) for index, item in enumerate(value)]

    return check


def _struct(
    checks: dict[str, Check],
    others: Check | None,
    required: tuple[str, ...],
    defaults: tuple[tuple[str, Any, Check], ...],
    *,
    typed: bool,
) -> Check:
    find = checks.get
    replaced = frozenset(key for key, _, inner in defaults if _failures(inner, None, None).faults)

    def check(value: Any, path: Path, run: Run) -> Any:
        if type(value) is not dict:
            return wrong_type(path, "object", value, run) if typed else value
        out = {}
        for key, item in value.items():
            inner = find(key, others)
            if inner is None:
                run.unknown.append((path, key))
            elif item is not None or key not in replaced:
                out[key] = inner(item, (path, key), run)
        for key, default, inner in defaults:
            if key not in out:
                out[key] = inner(copy.deepcopy(default), (path, key), run)
        for key in required:
            if key not in out:
                run.faults.required(text_of((path, key)))
        return out

    return check


def _failures(check: Check, value: Any, path: Path) -> Run:
    run = Run()
    check(value, path, run)
    return run


def _all_of(checks: list[Check]) -> Rule:
    def rule(value: Any, path: Path, run: Run) -> None:
        for check in checks:
            run.faults.extend(_failures(check, value, path).faults)

    return rule


def _any_of(checks: list[Check]) -> Rule:
    def rule(value: Any, path: Path, run: Run) -> None:
        if all(_failures(check, value, path).faults for check in checks):
            name = text_of(path)
            run.faults.invalid(name, value, f"{name} in body must validate at least one schema (anyOf)")

    return rule


def _one_of(checks: list[Check]) -> Rule:
    def rule(value: Any, path: Path, run: Run) -> None:
        fitting = sum(not _failures(check, value, path).faults for check in checks)
        if fitting != 1:
            name = text_of(path)
            said = f"must validate one and only one schema (oneOf). Found {fitting or 'none'} valid"
            run.faults.invalid(name, value, f"{name} in body {said}")

    return rule


def _none_of(check: Check) -> Rule:
    def rule(value: Any, path: Path, run: Run) -> None:
        if not _failures(check, value, path).faults:
            name = text_of(path)
            run.faults.invalid(name, value, f"{name} in body must not validate the schema (not)")

    return rule
