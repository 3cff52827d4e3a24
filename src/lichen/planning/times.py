# SPDX-License-Identifier: Apache-2.0
"""Time as it is written on the wire, RFC 3339 in UTC, and as planners count it, unix seconds."""

from __future__ import annotations

from datetime import UTC, datetime

from lichen.model import times


def rfc3339(seconds: float) -> str:
    """Whole seconds, as Kubernetes writes `metav1.Time`; "" for 0, which stands for never."""
    return times.rfc3339(seconds) if seconds else ""


def rfc3339_micro(seconds: float) -> str:
    """Microseconds, as Kubernetes writes `metav1.MicroTime`."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def seconds_of(text: str | None) -> float:
    """Unix seconds of an RFC 3339 text; 0.0 for none or for what is no time."""
    if not text:
        return 0.0
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return 0.0


def backoff(count: int, *, base: float = 10.0, limit: float = 300.0) -> float:
    """Seconds to wait before the try that follows `count` failures: 0, then `base` doubling up to `limit`."""
    return 0.0 if count <= 0 else min(limit, base * 2.0 ** min(count - 1, 30))
