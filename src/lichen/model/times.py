# SPDX-License-Identifier: Apache-2.0
"""Time as Kubernetes writes it: RFC 3339 in UTC, in whole seconds."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache


def rfc3339(seconds: float) -> str:
    """Unix seconds as a `metav1.Time`."""
    return _text(int(seconds))


@lru_cache(maxsize=64)
def _text(second: int) -> str:
    """A busy cloud writes the same second a thousand times."""
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
