# SPDX-License-Identifier: Apache-2.0
"""What an evaluation costs is counted while it goes on, and ends it when it is too much."""

from __future__ import annotations

import time
from typing import Any

import pytest

from lichen.kernel.cel import budget
from lichen.kernel.cel.language import Failure, Language, Mistake, TooCostly

LANGUAGE = Language(("self",))
TEXT = "a" * 3_000_000
MANY = list(range(9_000))
TWICE_OVER = "cel.bind(b, self.t + self.t, cel.bind(c, b + b, cel.bind(d, c + c, cel.bind(e, d + d, e + e))))"


def value(expression: str, self: Any) -> Any:
    return LANGUAGE.compile(expression).value(LANGUAGE.bind({"self": self}))


@pytest.mark.parametrize(
    "expression",
    [
        "self.l.all(x, self.l.indexOf(x) >= 0)",
        "self.l.all(x, x in self.l)",
        "self.l.all(x, self.l == self.l)",
        "self.l.all(x, self.t == self.t)",
        "self.l.all(x, self.t < self.t || true)",
        "self.l.all(x, self.t.size() > 0)",
        "self.l.all(x, self.t.contains('b') || true)",
        "self.l.exists(x, self.t.startsWith('b') && false)",
        "self.l.all(x, self.t.matches('a$'))",
        "self.t.matches('(a|b|c|d|e|f)*$')",
        "self.l.all(x, [self.t].size() == 1)",
        "self.l.all(x, {'k': self.t}.size() == 1)",
        "self.l.all(x, (x >= 0 ? self.t : '').size() > 0)",
        "self.l.all(x, self.?t.orValue('').size() > 0)",
        "self.l.map(x, self.t).size() > 0",
        "self.l.map(x, x).size() > 0",
        "self.l.filter(x, true).size() > 0",
        "self.t.replace('a', self.t) == ''",
        "self.t.replace('', self.t, 1000) == ''",
        "self.l.map(x, 'x').join(self.t) == ''",
        f"{TWICE_OVER}.size() > 0",
        "[1, 2, 3, 4].map(x, self.t.reverse()).size() > 0",
    ],
)
def test_what_looks_at_too_much_is_broken_off(expression: str) -> None:
    began = time.thread_time()
    with pytest.raises(TooCostly, match=r"^operation cancelled: actual cost limit exceeded$"):
        value(expression, {"l": MANY, "t": TEXT})
    assert time.thread_time() - began < 5


def test_after_the_end_nothing_is_looked_at() -> None:
    began = time.thread_time()
    with pytest.raises(TooCostly):
        value(" || ".join(["self.sum() == 1"] * 500), list(range(300_000)))
    assert time.thread_time() - began < 5


def test_what_takes_long_is_broken_off_though_nothing_was_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter(range(1_000))
    monkeypatch.setattr(budget, "_clock", lambda: next(times))
    with pytest.raises(TooCostly):
        value("self.all(x, x >= 0)", MANY)


@pytest.mark.parametrize(
    ("expression", "result"),
    [
        ("self.n == 1 && uint(self.n) == 1u", True),
        ("uint(self.n) + 1u == 2u", True),
        ("[uint(self.n)].all(x, type(x) == uint)", True),
        ("timestamp(self.when) + duration('1h') > timestamp(self.when)", True),
        ("self.l.map(x, x * 2).filter(x, x > 2) == [4, 6]", True),
        ("self.l.map(x, {'k': string(x)})[1].k", "2"),
        ("self.?none.orValue(self.t) + self.t", "aAaA"),
        ("self.t.replace('a', '-') + 'aaa'.replace('a', 'b', 2) + 'ab'.replace('', '.')", "-Abba.a.b."),
        ("self.t.split('A').join('+') + ['x', 'y'].join()", "a+xy"),
        ("self.t.matches('^a') && matches(self.t, 'A$') && !self.t.matches('^A')", True),
        ("self.t.indexOf('A') + self.l.indexOf(3) + self.l.lastIndexOf(9)", 2),
        ("'t' in self && self.t in [self.t] && !(4 in self.l)", True),
        ("self.l.exists_one(x, x == 2) && cel.bind(y, self.l, y.size() == 3 && y == self.l)", True),
        ("optional.of(self.t).optMap(x, x.size()).orValue(0) + size(self.l) + size('abc')", 8),
        ("has(self.t) && !has(self.none) ? [self.t, null, 1.5, b'x'][2] : 0", 1.5),
    ],
)
def test_what_is_counted_has_the_value_that_it_has_in_cel(expression: str, result: Any) -> None:
    sample = {"n": 1, "t": "aA", "l": [1, 2, 3], "when": "2026-01-01T00:00:00Z"}
    assert value(expression, sample) == result


def test_an_error_is_told_in_the_words_of_what_was_written() -> None:
    with pytest.raises(Failure, match=r"^no such overload: \(string\)\.matches\(int64\)$"):
        value("self.t.matches(self.n)", {"t": "a", "n": 1})
    with pytest.raises(Failure, match=r"^no such key: b$"):
        value("self.b.size() > 0", {"a": 1})


@pytest.mark.parametrize(
    ("expression", "result"),
    [
        (" + ".join(["self"] * 30), "a" * 30),
        ("self" + ".replace('a', 'a')" * 20, "a"),
        ("self == '' ? 1 : " * 25 + "2", 2),
        ("".join(f"[self].all(x{n}, " for n in range(10)) + "true" + ")" * 10, True),
    ],
)
def test_expressions_may_be_nested(expression: str, result: Any) -> None:
    assert value(expression, "a") == result


def test_an_expression_that_is_nested_too_deeply_does_not_compile() -> None:
    with pytest.raises(Mistake, match=r"^compilation failed: the expression is nested too deeply$"):
        LANGUAGE.compile("[" * 30 + "self" + "]" * 30)


def test_what_one_write_costs_is_bounded_too() -> None:
    with budget.altogether(), pytest.raises(TooCostly, match=r"^validation failed due to running out of cost budget"):
        for _ in range(100):
            assert value("self.isSorted()", list(range(450_000))) is True
    assert value("self.isSorted()", list(range(450_000))) is True, "the next write has a budget of its own"
