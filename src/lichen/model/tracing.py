# SPDX-License-Identifier: Apache-2.0
"""The id of the request that is being answered: what joins the lines that several processes log of it."""

from __future__ import annotations

from contextvars import ContextVar

REQUEST_ID: ContextVar[str] = ContextVar("request_id", default="")
"""`req-<uuid>` if the request came in OpenStack's dialect; "" outside of a request. No secret."""
AUDIT_ID = "Audit-Id"
"""The header by which it goes to the kernel, as upstream names it."""
