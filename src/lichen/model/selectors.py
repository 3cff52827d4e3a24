# SPDX-License-Identifier: Apache-2.0
"""Label and field selectors in Kubernetes' syntax, parsed once into matchers. Pure.

    wanted = parse_labels("app=web,tier in (front,back),!canary")
    wanted(pod)                                       # an object
    wanted.matches({"app": "web", "tier": "front"})   # bare labels
    parse_fields("spec.nodeName=n1,status.phase!=Failed")(pod)

A selector that cannot be read raises BadRequest.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from lichen.model.data import Object
from lichen.model.errors import BadRequest

Matcher = Callable[[Object], bool]
"""Does an object match?"""

_NAME = r"[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?"
_KEY = re.compile(rf"(?:[a-z0-9](?:[-a-z0-9.]{{0,251}}[a-z0-9])?/)?{_NAME}")
_VALUE = re.compile(rf"(?:{_NAME})?")
_SET = re.compile(r"(\S+)\s+(in|notin)\s*\((.*)\)", re.DOTALL)
_COMPARE = re.compile(r"([^\s=!<>]+)\s*(==|=|!=|<|>)\s*(\S*)")
_SPECIAL = re.compile(r"[\\,=]")
_COMMA = re.compile(r",(?![^(]*\))")
_SPECIAL, _ESCAPED = re.compile(r"([,=\\])"), r"\\\1"
_OPERATORS = {"In": "in", "NotIn": "notin", "Exists": "exists", "DoesNotExist": "absent"}


@dataclass(frozen=True, slots=True)
class Requirement:
    """One term. operator: in, notin, exists, absent, gt or lt (the last two on whole numbers)."""

    key: str
    operator: str
    values: frozenset[str] = frozenset()

    def holds(self, labels: Mapping[str, str]) -> bool:
        value = labels.get(self.key)
        match self.operator:
            case "in":
                return value is not None and value in self.values
            case "notin":
                return value is None or value not in self.values
            case "exists":
                return value is not None
            case "absent":
                return value is None
            case _:
                return _compares(value, self.operator, next(iter(self.values)))


def _compares(value: str | None, operator: str, bound: str) -> bool:
    if value is None or not _is_integer(value):
        return False
    return int(value) > int(bound) if operator == "gt" else int(value) < int(bound)


def _is_integer(text: str) -> bool:
    return re.fullmatch(r"-?[0-9]{1,18}", text) is not None


@dataclass(frozen=True, slots=True)
class LabelSelector:
    """All requirements must hold; none at all match everything."""

    requirements: tuple[Requirement, ...] = ()

    def __call__(self, obj: Object) -> bool:
        return self.matches(obj["metadata"].get("labels") or {})

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Does an object with these labels match?"""
        return all(r.holds(labels) for r in self.requirements)


@dataclass(frozen=True, slots=True)
class FieldTerm:
    """One term. The first of the paths that leads to a value counts; where none does, the field is `absent`."""

    paths: tuple[tuple[str, ...], ...]
    value: str
    negated: bool
    absent: str = ""

    def holds(self, obj: Object) -> bool:
        found = next((value for path in self.paths if (value := field_value(obj, path))), self.absent)
        return (found == self.value) is not self.negated

    @property
    def label(self) -> str:
        """What is on the left side: dotted paths, `|` between them, and what is absent in quotes."""
        return "|".join((*(".".join(path) for path in self.paths), *([f"'{self.absent}'"] if self.absent else [])))

    def __str__(self) -> str:
        return f"{self.label}{'!=' if self.negated else '='}{_SPECIAL.sub(_ESCAPED, self.value)}"


@dataclass(frozen=True, slots=True)
class FieldSelector:
    """All terms must hold. An absent field equals the empty text, if the term does not say what else it is."""

    terms: tuple[FieldTerm, ...] = ()

    def __call__(self, obj: Object) -> bool:
        return all(t.holds(obj) for t in self.terms)

    @property
    def paths(self) -> tuple[str, ...]:
        """The dotted paths that are looked at."""
        return tuple(".".join(path) for term in self.terms for path in term.paths)


NOTHING: Matcher = lambda obj: False  # noqa: E731
"""What a selector that is absent (null) selects."""


@lru_cache(maxsize=4096)
def parse_labels(text: str) -> LabelSelector:
    """`a=b,c!=d,e in (x,y),f notin (z),g,!h,i>1` as a matcher; "" matches everything."""
    terms = [term.strip() for term in _COMMA.split(text)]
    if terms == [""]:
        return LabelSelector()
    return LabelSelector(tuple(_requirement(term) for term in terms))


def label_selector(selector: Object | None) -> Matcher:
    """The object form (matchLabels, matchExpressions): {} matches everything, None nothing."""
    return NOTHING if selector is None else selector_of(selector)


def selector_of(selector: Object) -> LabelSelector:
    """The object form, as what it asks of labels."""
    pairs = [_checked(Requirement(k, "in", frozenset([v]))) for k, v in (selector.get("matchLabels") or {}).items()]
    expressions = [_expression(e) for e in selector.get("matchExpressions") or []]
    return LabelSelector((*pairs, *expressions))


@lru_cache(maxsize=4096)
def parse_fields(text: str) -> FieldSelector:
    r"""`metadata.name=x,spec.nodeName!=y` as a matcher; `\,` `\=` `\\` in values stand for themselves.

    `a.b|c|'none'=x` names several paths, and what the field is where none of them leads to a value.
    """
    terms = [t for t in re.findall(r"(?:\\.|[^,\\])+", text) if t.strip()]
    if text.count("\\") and re.sub(r"\\[,=\\]", "", text).count("\\"):
        raise BadRequest(f"invalid field selector {text!r}: a backslash must be followed by a comma, = or a backslash")
    return FieldSelector(tuple(_field_term(term) for term in terms))


def equal(path: str, value: str) -> str:
    """The field selector that asks for that value."""
    escaped = _SPECIAL.sub(r"\\\g<0>", value)
    return f"{path}={escaped}"


def equalities(fields: str) -> dict[str, str]:
    """What a field selector says fields must be, by their paths; none of one that is not valid."""
    try:
        terms = parse_fields(fields).terms
    except BadRequest:
        return {}
    return {term.label: term.value for term in terms if not term.negated}


def field_value(obj: Object, path: tuple[str, ...]) -> str:
    """A field as selectors compare it: as text, "" if it is absent."""
    value: Any = obj
    for step in path:
        value = value.get(step) if isinstance(value, dict) else None
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def _requirement(term: str) -> Requirement:
    if found := _SET.fullmatch(term):
        key, operator, values = found.groups()
        return _checked(Requirement(key, operator, frozenset(v.strip() for v in values.split(","))))
    if found := _COMPARE.fullmatch(term):
        key, operator, value = found.groups()
        name = {"=": "in", "==": "in", "!=": "notin", ">": "gt", "<": "lt"}[operator]
        return _checked(Requirement(key, name, frozenset([value])))
    if term.startswith("!"):
        return _checked(Requirement(term[1:].strip(), "absent"))
    return _checked(Requirement(term, "exists"))


def _expression(expression: Object) -> Requirement:
    operator, values = expression.get("operator"), expression.get("values") or []
    if operator not in _OPERATORS:
        raise BadRequest(f"{operator!r} is not a valid label selector operator")
    if (operator in ("In", "NotIn")) is not bool(values):
        raise BadRequest(f"label selector operator {operator} must {'' if not values else 'not '}have values")
    return _checked(Requirement(expression.get("key", ""), _OPERATORS[operator], frozenset(values)))


def _checked(requirement: Requirement) -> Requirement:
    name = requirement.key.rpartition("/")[2]
    if _KEY.fullmatch(requirement.key) is None or len(name) > 63:
        raise BadRequest(f"unable to parse requirement: {requirement.key!r} is not a valid label key")
    for value in requirement.values:
        if requirement.operator in ("gt", "lt"):
            if not _is_integer(value):
                raise BadRequest(f"unable to parse requirement: {value!r} is not a whole number")
        elif len(value) > 63 or _VALUE.fullmatch(value) is None:
            raise BadRequest(f"unable to parse requirement: {value!r} is not a valid label value")
    return requirement


def _field_term(term: str) -> FieldTerm:
    found = re.fullmatch(r"([^=!\\]+)(!=|==|=)((?:\\.|[^=\\])*)", term, re.DOTALL)
    if found is None:
        raise BadRequest(f"invalid field selector {term!r}: can't understand it; want path=value or path!=value")
    path, operator, value = found.groups()
    *paths, last = path.strip().split("|")
    absent = last[1:-1] if paths and last.startswith("'") else ""
    kept = paths if absent else [*paths, last]
    unescaped = re.sub(r"\\(.)", r"\1", value)
    return FieldTerm(tuple(tuple(one.split(".")) for one in kept), unescaped, operator == "!=", absent)
