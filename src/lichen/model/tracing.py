# SPDX-License-Identifier: Apache-2.0
"""The id of the request that is being answered: what joins the lines that several processes log of it."""

from __future__ import annotations

import re
from contextvars import ContextVar

REQUEST_ID: ContextVar[str] = ContextVar("request_id", default="")
"""`req-<uuid>` if the request came in OpenStack's dialect; "" outside of a request. No secret."""
AUDIT_ID = "Audit-Id"
"""The header by which it goes to the kernel, as upstream names it."""


_FORM = re.compile(r"req-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def is_request_id(text: str) -> bool:
    """Whether it may stand in headers and logs, whoever wrote it."""
    return _FORM.fullmatch(text) is not None
