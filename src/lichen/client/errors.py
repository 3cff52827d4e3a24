# SPDX-License-Identifier: Apache-2.0
"""From a server's Status to the error that it stands for."""

from __future__ import annotations

from typing import Any

import msgspec

from lichen.model.errors import (
    ApiError,
    BadRequest,
    Cause,
    Expired,
    InternalError,
    TimedOut,
    TooManyRequests,
    Unavailable,
    every_api_error,
)

_BY_REASON = {**every_api_error(), "Gone": Expired, "ServerTimeout": TimedOut}
_BY_CODE = {e.code: e for e in reversed(every_api_error().values())} | {502: Unavailable}
_SHOWN = 300


def error_from(code: int, body: bytes) -> ApiError:
    """What an answer of 400 and more means; bodies that are no Status are told by their code."""
    try:
        status = msgspec.json.decode(body)
    except msgspec.MsgspecError:
        status = None
    if isinstance(status, dict) and status.get("kind") == "Status":
        return error_of_status({"code": code, **status})
    return _class_for("", code)(body[:_SHOWN].decode(errors="replace").strip() or f"the server answered {code}")


def error_of_status(status: dict[str, Any]) -> ApiError:
    """A Status object as the error of its reason, else of its code."""
    details = status.get("details") or {}
    causes = tuple(
        Cause(c.get("field") or "", c.get("message") or "", c.get("reason") or "") for c in details.get("causes") or []
    )
    return _class_for(status.get("reason") or "", int(status.get("code") or 500))(
        status.get("message") or status.get("reason") or "the server refused without saying why",
        causes=causes,
        kind=details.get("kind") or "",
        group=details.get("group") or "",
        name=details.get("name") or "",
        retry_after=details.get("retryAfterSeconds"),
    )


def _class_for(reason: str, code: int) -> type[ApiError]:
    found = _BY_REASON.get(reason) or _BY_CODE.get(code)
    if found is None:
        return BadRequest if 400 <= code < 500 else InternalError
    return TooManyRequests if code == TooManyRequests.code else found
