# SPDX-License-Identifier: Apache-2.0
"""Regular expressions that people bring (in schemas, in rules): RE2, whose time is linear in the text, whatever the
expression, and whose dialect is the one that Kubernetes' clients write. Python's `re` is for our own."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Protocol

MOST_MEMORY = 4 << 20
"""Bytes that a compiled expression and its cache may have."""


class Match(Protocol):
    """Where an expression matched."""

    def __getitem__(self, group: int) -> str: ...


class Pattern(Protocol):
    """A compiled expression."""

    def search(self, text: str) -> Match | None: ...

    def finditer(self, text: str) -> Iterator[Match]: ...


@lru_cache(maxsize=1024)
def compiled_pattern(pattern: str) -> Pattern | None:
    """None: it is no expression, or one of a dialect (look-ahead, back references) that is not understood here."""
    import re2

    options = re2.Options()
    options.log_errors = False
    options.max_mem = MOST_MEMORY
    try:
        compiled: Pattern = re2.compile(pattern, options)
    except (re2.error, UnicodeEncodeError):
        return None
    return compiled
