# SPDX-License-Identifier: Apache-2.0
"""The id of the request that is being answered, or made true: what joins the lines that several processes log of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from lichen.model.data import Object
from lichen.model.meta import annotations_of
from lichen.model.names import ASKED_BY

REQUEST_ID: ContextVar[str] = ContextVar("request_id", default="")
"""`req-<uuid>` if the request came in OpenStack's dialect, else what the client or the kernel chose; "" outside of a
request. No secret."""
AUDIT_ID = "Audit-Id"
"""The header by which it goes to the kernel, as upstream names it."""


_FORM = re.compile(r"req-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_SAFE = re.compile(r"[!-~]{1,64}")


def is_request_id(text: str) -> bool:
    """Whether it may stand in headers and logs, whoever wrote it."""
    return _FORM.fullmatch(text) is not None


@contextmanager
def on_behalf_of(obj: Object | None) -> Iterator[None]:
    """What is logged and asked for within is part of the request that last changed what is wanted of `obj`."""
    before = REQUEST_ID.set(_asked_by(obj))
    try:
        yield
    finally:
        REQUEST_ID.reset(before)


def follow(obj: Object | None) -> None:
    """The same from here on to the end of this task."""
    REQUEST_ID.set(_asked_by(obj))


def _asked_by(obj: Object | None) -> str:
    """It goes into headers: what is none is not believed, though only the kernel writes it."""
    given = annotations_of(obj).get(ASKED_BY, "") if obj is not None else ""
    return given if _SAFE.fullmatch(given) else ""
