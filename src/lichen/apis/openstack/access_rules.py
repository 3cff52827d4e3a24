# SPDX-License-Identifier: Apache-2.0
"""Whether a call is one of those that an application credential is limited to. Pure."""

from __future__ import annotations

import re
from functools import lru_cache


def allowed(rules: tuple[str, ...], method: str, service: str, path: str) -> bool:
    """rules: `METHOD service path`, in whose path `*` and `{name}` are one segment and `**` is any rest."""
    return any(_matches(rule, method, service, path) for rule in rules)


def _matches(rule: str, method: str, service: str, path: str) -> bool:
    verb, kind, pattern = rule.split(" ", 2)
    return verb == method and kind == service and _pattern(pattern).fullmatch(path) is not None


@lru_cache(maxsize=512)
def _pattern(text: str) -> re.Pattern[str]:
    parts = re.split(r"(\*\*|\*|\{[^/}]*\})", text)
    return re.compile("".join(".*" if p == "**" else "[^/]+" if p[:1] in ("*", "{") else re.escape(p) for p in parts))
