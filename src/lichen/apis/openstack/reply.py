# SPDX-License-Identifier: Apache-2.0
"""What a handler returns: a status, a JSON body or a stream of bytes, headers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import msgspec

JSON_TYPE = "application/json"
_ENCODER = msgspec.json.Encoder()


@dataclass(slots=True)
class Reply:
    """An answer. body: anything msgspec encodes as JSON, or bytes sent as they are; None: no body.
    stream: chunks, sent as they come (give content-length in headers if it is known)."""

    body: Any = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str = JSON_TYPE
    stream: AsyncIterator[bytes] | None = None

    def payload(self) -> bytes:
        if self.body is None:
            return b""
        return self.body if isinstance(self.body, bytes) else _ENCODER.encode(self.body)


def created(body: Any, **headers: str) -> Reply:
    """201 with a body."""
    return Reply(body, status=201, headers=headers)


def accepted(body: Any = None, **headers: str) -> Reply:
    """202: the work goes on."""
    return Reply(body, status=202, headers=headers)


def no_content() -> Reply:
    return Reply(status=204)
