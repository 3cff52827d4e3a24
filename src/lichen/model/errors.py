# SPDX-License-Identifier: Apache-2.0
"""The one error tree. Each dialect maps it once.

LichenError
├── ApiError                  a refusal that a caller sees: code, reason, message, causes
│   ├── BadRequest            400  the request cannot be read
│   ├── Unauthorized          401  no valid credential
│   ├── Forbidden             403  a valid credential without the right
│   ├── NotFound              404
│   ├── MethodNotAllowed      405
│   ├── NotAcceptable         406
│   ├── AlreadyExists         409  the name is taken
│   ├── Conflict              409  the object moved on since it was read, or its state forbids the call
│   ├── Expired               410  the revision was compacted: list again
│   ├── TooLarge              413
│   ├── UnsupportedMediaType  415
│   ├── Invalid               422  the object breaks its schema or a rule; `causes` name the fields
│   ├── TooManyRequests       429
│   ├── InternalError         500
│   ├── Unavailable           503
│   ├── TimedOut              504
│   └── InsufficientStorage   507  the disk is full: nothing was written
├── Temporary                 a reconciler should try again, after `delay` seconds
└── Permanent                 a reconciler must not try again: becomes a condition with `reason`
"""

from __future__ import annotations

import os
from typing import Any, ClassVar, NamedTuple


class LichenError(Exception):
    """Whatever Lichen raises on purpose."""


class Cause(NamedTuple):
    """One field's fault: its path (`spec.ports[0].port`), the Kubernetes cause reason, and a sentence."""

    field: str
    message: str
    reason: str = "FieldValueInvalid"


class ApiError(LichenError):
    """A refusal with an HTTP code and a stable reason (Kubernetes' StatusReason)."""

    code: ClassVar[int] = 500
    reason: ClassVar[str] = "InternalError"

    def __init__(
        self,
        message: str,
        *,
        causes: tuple[Cause, ...] = (),
        kind: str = "",
        group: str = "",
        name: str = "",
        retry_after: int | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.causes = causes
        self.kind = kind
        self.group = group
        self.name = name
        self.retry_after = retry_after


class BadRequest(ApiError):
    code, reason = 400, "BadRequest"


class Unauthorized(ApiError):
    code, reason = 401, "Unauthorized"


class Forbidden(ApiError):
    code, reason = 403, "Forbidden"


class NotFound(ApiError):
    code, reason = 404, "NotFound"


class MethodNotAllowed(ApiError):
    code, reason = 405, "MethodNotAllowed"


class NotAcceptable(ApiError):
    code, reason = 406, "NotAcceptable"


class AlreadyExists(ApiError):
    code, reason = 409, "AlreadyExists"


class Conflict(ApiError):
    code, reason = 409, "Conflict"


class Expired(ApiError):
    """continue_token: with it a list goes on all the same, with objects as they are by now."""

    code, reason = 410, "Expired"

    def __init__(self, message: str, *, continue_token: str = "", **about: Any) -> None:
        super().__init__(message, **about)
        self.continue_token = continue_token


class TooLarge(ApiError):
    code, reason = 413, "RequestEntityTooLarge"


class UnsupportedMediaType(ApiError):
    code, reason = 415, "UnsupportedMediaType"


class Invalid(ApiError):
    code, reason = 422, "Invalid"


class TooManyRequests(ApiError):
    code, reason = 429, "TooManyRequests"


class InternalError(ApiError):
    code, reason = 500, "InternalError"


class Unavailable(ApiError):
    code, reason = 503, "ServiceUnavailable"


class TimedOut(ApiError):
    code, reason = 504, "Timeout"


class InsufficientStorage(ApiError):
    code, reason = 507, "InsufficientStorage"


class Temporary(LichenError):
    """Try again after `delay` seconds (None: the engine's back-off)."""

    def __init__(self, message: str, *, delay: float | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.delay = delay


class Permanent(LichenError):
    """Do not try again: `reason` is a stable CamelCase word, `message` a sentence a person can act on."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


def every_api_error() -> dict[str, type[ApiError]]:
    """All API errors by reason, so that a client can raise again what a server refused with."""
    return {c.reason: c for c in ApiError.__subclasses__()}


def in_words(error: Exception) -> str:
    """What went wrong, for whoever reads it: of an error of the system its own words (`connection refused`), without
    a number and without how Python spells it."""
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno).lower()
    return str(error) or type(error).__name__
