# SPDX-License-Identifier: Apache-2.0
"""Instants as text: RFC 3339 in UTC with microseconds, as OpenStack writes them."""

from __future__ import annotations

from datetime import UTC, datetime


def to_text(seconds: float) -> str:
    """`2026-01-31T12:00:00.000000Z`."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def to_seconds(text: str) -> float:
    """Unix seconds; 0 for no text, and for what is no instant."""
    try:
        return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() if text else 0.0
    except ValueError:
        return 0.0
