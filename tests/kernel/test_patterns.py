# SPDX-License-Identifier: Apache-2.0
"""Expressions that people bring."""

from __future__ import annotations

import time

import pytest

from lichen.kernel.patterns import compiled_pattern


def test_no_expression_takes_long_over_a_text() -> None:
    pattern = compiled_pattern("^(a+)+$")
    started = time.perf_counter()
    assert pattern is not None and pattern.search("a" * 10_000 + "b") is None
    assert time.perf_counter() - started < 1.0, "Python's re takes longer than the universe has"


def test_they_are_of_the_dialect_of_kubernetes() -> None:
    letters = compiled_pattern(r"\pL+\d")
    assert letters is not None
    found = letters.search("an ä1")
    assert found is not None and found[0] == "ä1"
    assert [match[0] for match in letters.finditer("a1 b2")] == ["a1", "b2"]


@pytest.mark.parametrize("text", ["(", r"(?=x)", r"(a)\1", "((a{100}){100}){100}", "\ud800"])
def test_what_is_none_is_told_from_what_is_one(text: str) -> None:
    assert compiled_pattern(text) is None
