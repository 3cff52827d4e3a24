# SPDX-License-Identifier: Apache-2.0
"""Kubernetes quantities: 500m, 2, 1.5, 1Gi, 12e6. Exact, as whole billionths."""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache
from math import ceil

_QUANTITY = re.compile(r"([+-]?)(\d+\.?\d*|\.\d+)(?:([KMGTPE]i)|([numkMGTPE])|[eE]([+-]?\d{1,2}))?", re.ASCII)
_BINARY = {f"{letter}i": 1024**power for power, letter in enumerate("KMGTPE", start=1)}
_DECIMAL = {
    "n": Fraction(1, 10**9), "u": Fraction(1, 10**6), "m": Fraction(1, 1000), "": Fraction(1),
    "k": Fraction(10**3), "M": Fraction(10**6), "G": Fraction(10**9), "T": Fraction(10**12), "P": Fraction(10**15),
    "E": Fraction(10**18),
}  # fmt: skip


@lru_cache(4096)
def parse(text: str) -> Fraction:
    """Its exact value, rounded up to a billionth. ValueError: not a quantity."""
    match = _QUANTITY.fullmatch(text) if len(text) <= 64 else None
    if match is None:
        raise ValueError(f"{text!r} is not a quantity")
    sign, digits, binary, decimal, exponent = match.groups()
    value = Fraction("0" + digits if digits.startswith(".") else digits.rstrip("."))
    if binary:
        value *= _BINARY[binary]
    elif exponent is not None:
        value *= Fraction(10) ** int(exponent)
    else:
        value *= _DECIMAL[decimal or ""]
    value = Fraction(ceil(value * 10**9), 10**9)
    return -value if sign == "-" else value


@lru_cache(4096)
def canonical(text: str) -> str:
    """The one way to write it: no fraction, the largest suffix of its family (0.5 → 500m, 1024Mi → 1Gi)."""
    value = parse(text)
    if not value:
        return "0"
    sign, value = ("-", -value) if value < 0 else ("", value)
    if "i" in text and value.denominator == 1:
        return sign + _with_largest(value, [("", Fraction(1)), *((s, Fraction(n)) for s, n in _BINARY.items())])
    if "e" in text.lower().removesuffix("e") and text[-1:] != "E":
        return sign + _with_exponent(value)
    return sign + _with_largest(value, list(_DECIMAL.items()))


def _with_largest(value: Fraction, units: list[tuple[str, Fraction]]) -> str:
    suffix, unit = next((s, u) for s, u in reversed(units) if (value / u).denominator == 1)
    return f"{value / unit}{suffix}"


def _with_exponent(value: Fraction) -> str:
    power = max(p for p in range(-9, 19, 3) if (value / Fraction(10) ** p).denominator == 1)
    return f"{value / Fraction(10) ** power}" + (f"e{power}" if power else "")


@lru_cache(4096)
def millis(text: str) -> int:
    """Thousandths, rounded up: what CPU is counted in."""
    return ceil(parse(text) * 1000)


@lru_cache(4096)
def whole(text: str) -> int:
    """Whole units, rounded up: bytes, counts."""
    return ceil(parse(text))
