# SPDX-License-Identifier: Apache-2.0
"""The rules that a CustomResourceDefinition's schema has in CEL (x-kubernetes-validations): compiled once, evaluated
for each value that they stand beside. `self` is the value, `oldSelf` the one it replaces."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from lichen.kernel.cel import budget
from lichen.kernel.cel.language import Failure, Language, Mistake, Program, TooCostly, duration, timestamp
from lichen.kinds.faults import Faults, show
from lichen.model.errors import Cause

Schema = dict[str, Any]
Convert = Callable[[Any], Any]

VALIDATIONS = "x-kubernetes-validations"
LANGUAGE = Language(("self", "oldSelf", "replaces"))
_ELSEWHERE = re.compile(r"undeclared reference to '(?:\w+\.)?(transform\w+|format|sort\w*|range|flatten)'")
"""Functions that upstream has and the library has not."""
_KEYWORDS = frozenset(
    (
        "true", "false", "null", "in", "as", "break", "const", "continue", "else", "for", "function", "if", "import",
        "let", "loop", "package", "namespace", "return", "var", "void", "while",
    )
)  # fmt: skip
_ESCAPED = (("__", "__underscores__"), (".", "__dot__"), ("-", "__dash__"), ("/", "__slash__"))
_REASONS = {
    "FieldValueForbidden": "Forbidden",
    "FieldValueRequired": "Required value",
    "FieldValueDuplicate": "Duplicate value",
}
_PARTS, _DURATION = re.compile(r"([0-9]+)([hms])"), re.compile(r"(?:[0-9]+[hms])+")
_NOTHING = object()


def told_faults(rules: Any, path: str, faults: Faults) -> list[str]:
    """What is wrong with rules as they are written; returns warnings of those that cannot be enforced here."""
    warnings: list[str] = []
    for index, rule in enumerate(rules if isinstance(rules, list) else ()):
        here = f"{path}.{VALIDATIONS}[{index}]"
        for key, wanted in (("rule", "BOOL"), ("messageExpression", "STRING")):
            if key == "rule" and not str(rule.get("rule") or "").strip():
                faults.required(f"{here}.rule", "rule is not specified")
            elif rule.get(key):
                _told(rule, key, wanted, here, faults, warnings)
    return warnings


def _told(rule: Schema, key: str, wanted: str, here: str, faults: Faults, warnings: list[str]) -> None:
    try:
        program = _compiled(rule, key)
    except Mistake as error:
        if _ELSEWHERE.search(str(error)):
            warnings.append(f"{here}.{key}: not enforced: {error}".replace("\n", " "))
        else:
            faults.invalid(f"{here}.{key}", rule[key], str(error))
        return
    if program.returns not in (wanted, "DYN"):
        faults.invalid(f"{here}.{key}", rule[key], f"must evaluate to {wanted.lower()}")


def _compiled(rule: Schema, key: str) -> Program:
    text = rule[key]
    if rule.get("optionalOldSelf"):
        text = f"cel.bind(oldSelf, replaces ? optional.of(oldSelf) : optional.none(), ({text}))"
    return LANGUAGE.compile(text)


@dataclass(slots=True)
class Rule:
    """path: below the value, where a fault is told (`.spec.a`)."""

    text: str
    test: Program
    message: str
    says: Program | None
    reason: str
    path: str
    needs_old: bool
    knows_old: bool


@dataclass(slots=True)
class Ruled:
    """A place in a schema that has rules, or has places below that have some. broken: what is said of rules that do not
    compile."""

    convert: Convert | None
    broken: list[str] = field(default_factory=list)
    rules: list[Rule] = field(default_factory=list)
    properties: dict[str, Ruled] = field(default_factory=dict)
    items: Ruled | None = None
    others: Ruled | None = None
    keys: tuple[str, ...] = ()


def compile_rules(schema: Schema) -> Ruled | None:
    """None: there are no rules in it."""
    made = Ruled(converter(schema))
    for rule in schema.get(VALIDATIONS) or ():
        try:
            made.rules.append(_rule(rule))
        except Mistake as error:
            if not _ELSEWHERE.search(str(error)):  # else its definition was answered with a warning
                made.broken.append(f"rule compile error: {error}")
    for name, inner in (schema.get("properties") or {}).items():
        below = compile_rules(inner) if isinstance(inner, dict) else None
        if below is not None:
            made.properties[name] = below
    if isinstance(schema.get("items"), dict):
        made.items = compile_rules(schema["items"])
        if schema.get("x-kubernetes-list-type") == "map":
            made.keys = tuple(schema.get("x-kubernetes-list-map-keys") or ())
    if isinstance(schema.get("additionalProperties"), dict):
        made.others = compile_rules(schema["additionalProperties"])
    return made if made.rules or made.broken or made.properties or made.items or made.others else None


def _rule(rule: Schema) -> Rule:
    knows = bool(rule.get("optionalOldSelf"))
    return Rule(
        rule["rule"],
        _compiled(rule, "rule"),
        (rule.get("message") or "").strip() or f"failed rule: {rule['rule'].strip()}",
        _compiled(rule, "messageExpression") if rule.get("messageExpression") else None,
        rule.get("reason") or "FieldValueInvalid",
        rule.get("fieldPath") or "",
        not knows and re.search(r"\boldSelf\b", rule["rule"]) is not None,
        knows,
    )


class _Over(Exception):
    """What was told ends the judging: it cost too much."""


def judge(ruled: Ruled, value: Any, old: Any, faults: Faults) -> None:
    """Collect the rules that do not hold of a value. old: what it replaces, or `nothing()`. What was so before and has
    not changed is let be."""
    with budget.altogether(), suppress(_Over):
        _check(ruled, value, old, "", faults)


def _check(ruled: Ruled, value: Any, old: Any, path: str, faults: Faults) -> None:
    if value is None or (old is not _NOTHING and value == old):
        return
    faults.extend(Cause(path, f"Invalid value: {_shown(value)}: {said}") for said in ruled.broken)
    if ruled.rules:
        _check_here(ruled, value, old, path, faults)
    if isinstance(value, dict):
        for name, item in value.items():
            below = ruled.properties.get(name) or (None if name in ruled.properties else ruled.others)
            if below is not None:
                before = old.get(name, _NOTHING) if isinstance(old, dict) else _NOTHING
                inner = f"{path}.{name}" if name in ruled.properties else f"{path}[{name}]"
                _check(below, item, before, inner.lstrip("."), faults)
    elif isinstance(value, list) and ruled.items is not None:
        held = {_key(item, ruled.keys): item for item in old} if ruled.keys and isinstance(old, list) else {}
        for index, item in enumerate(value):
            _check(ruled.items, item, held.get(_key(item, ruled.keys), _NOTHING), f"{path}[{index}]", faults)


def nothing() -> Any:
    """Instead of an old value where there is none."""
    return _NOTHING


def _key(item: Any, keys: tuple[str, ...]) -> tuple[Any, ...]:
    return tuple(item.get(key) for key in keys) if isinstance(item, dict) else ()


def _check_here(ruled: Ruled, value: Any, old: Any, path: str, faults: Faults) -> None:
    convert = ruled.convert or (lambda same: same)
    before = None if old is _NOTHING else convert(old)
    try:
        bound = LANGUAGE.bind({"self": convert(value), "oldSelf": before, "replaces": old is not _NOTHING})
    except Failure as error:
        faults.append(Cause(path, f"Invalid value: {_shown(value)}: {error}"))
        return
    for rule in ruled.rules:
        if rule.needs_old and old is _NOTHING:
            continue
        try:
            if rule.test.value(bound) is True:
                continue
            said = _said(rule, bound)
        except TooCostly as error:
            _tell(rule, value, _costly(error, rule), path, faults)
            raise _Over from None
        except Failure as error:
            said = f"rule evaluation error: {error}: evaluating rule: {rule.text}"
        _tell(rule, value, said, path, faults)


def _costly(error: TooCostly, rule: Rule) -> str:
    if str(error) == budget.OUT:
        return budget.OUT
    return f"'{error}': no further validation rules will be run due to call cost exceeds limit for rule: {rule.text}"


def _said(rule: Rule, bound: Any) -> str:
    if rule.says is not None:
        try:
            said = rule.says.value(bound)
        except Failure:
            said = ""
        if isinstance(said, str) and said.strip() and "\n" not in said:
            return said.strip()
    return rule.message


def _tell(rule: Rule, value: Any, said: str, path: str, faults: Faults) -> None:
    where = (path + rule.path).lstrip(".")
    lead = _REASONS.get(rule.reason) or f"Invalid value: {_shown(value)}"
    if rule.reason == "FieldValueDuplicate":
        lead = f"Duplicate value: {_shown(value)}"
    faults.append(Cause(where, f"{lead}: {said}", rule.reason))


def _shown(value: Any) -> str:
    return '"object"' if isinstance(value, dict) else '"array"' if isinstance(value, list) else show(value)


def converter(schema: Schema) -> Convert | None:
    """From JSON to what CEL sees: times and durations, whole numbers that are doubles, names that CEL can say. None:
    it is the same."""
    type_, format_ = schema.get("type"), schema.get("format")
    if type_ == "number":
        return float
    if type_ == "string":
        return {"date-time": _time, "date": _time, "duration": _duration, "byte": _bytes}.get(format_ or "")
    if type_ == "array" and isinstance(schema.get("items"), dict):
        item = converter(schema["items"])
        return None if item is None else lambda value: [item(i) for i in value] if isinstance(value, list) else value
    extra = schema.get("additionalProperties")
    if isinstance(extra, dict):
        other = converter(extra)
        return None if other is None else lambda value: _mapped(value, {}, {}, other)
    properties = {k: v for k, v in (schema.get("properties") or {}).items() if isinstance(v, dict)}
    inner = {key: found for key, sub in properties.items() if (found := converter(sub)) is not None}
    names = {key: escaped(key) for key in properties if escaped(key) != key}
    return (lambda value: _mapped(value, names, inner, None)) if inner or names else None


def _mapped(value: Any, names: dict[str, str], inner: dict[str, Convert], other: Convert | None) -> Any:
    if not isinstance(value, dict):
        return value
    out = {}
    for key, item in value.items():
        convert = inner.get(key) or other
        out[names.get(key, key)] = item if convert is None or item is None else convert(item)
    return out


def escaped(name: str) -> str:
    """A property's name as an identifier of CEL."""
    if name in _KEYWORDS:
        return f"__{name}__"
    for found, instead in _ESCAPED:
        name = name.replace(found, instead)
    return name


def _time(text: Any) -> Any:
    try:
        return timestamp(datetime.fromisoformat(text))
    except (ValueError, TypeError):
        return text


def _duration(text: Any) -> Any:
    if not isinstance(text, str) or _DURATION.fullmatch(text) is None:
        return text
    parts = _PARTS.findall(text)
    unit = {"h": 3600, "m": 60, "s": 1}
    try:
        return duration(timedelta(seconds=sum(int(number) * unit[name] for number, name in parts)))
    except (ValueError, OverflowError):
        return text


def _bytes(text: Any) -> Any:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError, TypeError):
        return text
