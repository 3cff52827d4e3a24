# SPDX-License-Identifier: Apache-2.0
"""In place of the library's functions whose cost is not that of what they are given: what they make may be much larger,
or a pattern is looked for. `metering` has them called."""

from __future__ import annotations

from typing import Any

from lichen.kernel.patterns import Pattern, compiled_pattern


def add_costly(add: Any, cel: Any) -> None:
    """Declare them. add: (name, parameters, returns, impl, member=True, price=None)."""
    text, number = cel.Type.STRING, cel.Type.INT
    add("@replace", [text, text, text], text, lambda value, old, new: value.replace(old, new), price=_grown)
    add(
        "@replace",
        [text, text, text, number],
        text,
        lambda value, old, new, n: value.replace(old, new, n),
        price=_grown,
    )
    add("@join", [cel.Type.LIST], text, lambda items: "".join(items))
    add("@join", [cel.Type.LIST, text], text, lambda items, between: between.join(items), price=_between)
    for member in (True, False):
        add(
            "@matches",
            [text, text],
            cel.Type.BOOL,
            lambda value, pattern: pattern_of(pattern).search(value) is not None,
            member=member,
            price=searched,
        )


def _grown(value: str, old: str, new: str, most: int = -1) -> int:
    times = value.count(old)
    return (times if most < 0 else min(times, most)) * len(new) // 10


def _between(items: list[Any], between: str) -> int:
    return len(items) * len(between) // 10


def searched(value: str, pattern: str, *_: Any) -> int:
    """As upstream: a pattern's length counts for a quarter, times that of the text."""
    return len(pattern) + len(value) * len(pattern) // 40


def pattern_of(text: str) -> Pattern:
    """ValueError."""
    found = compiled_pattern(text)
    if found is None:
        raise ValueError(f"{text!r} is not a regular expression that is understood here")
    return found
