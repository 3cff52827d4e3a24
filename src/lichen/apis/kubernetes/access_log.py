# SPDX-License-Identifier: Apache-2.0
"""One structured line per request, gathered and written a few times a second, off the hot path."""

from __future__ import annotations

import asyncio
import logging
from contextvars import Context

from lichen.apis.kubernetes.request import Request
from lichen.apis.kubernetes.wire import encode

log = logging.getLogger("lichen.access")
_EVERY = 0.25
_PART = 64
"""Lines that are written before others have their turn."""


class AccessLog:
    """Lines as JSON on logger `lichen.access`, level INFO; costs nothing where that is off."""

    def __init__(self) -> None:
        self._held: list[tuple[str, str, str, str, int, int, float, str]] = []

    def note(self, request: Request, took: float) -> None:
        """took: seconds."""
        if not log.isEnabledFor(logging.INFO):
            return
        caller = request.caller.name if request.caller else ""
        if not self._held:
            asyncio.get_running_loop().call_later(_EVERY, self._flush_some, context=Context())
        self._held.append(
            (request.id, request.method, request.path, caller, request.code, request.length, took, request.agent())
        )

    def _flush_some(self) -> None:
        """Write a part, and the rest after others had their turn. In no request's context: each line has its own id."""
        rest = self._held[_PART:]
        del self._held[_PART:]
        self.flush()
        self._held = rest
        if rest:
            asyncio.get_running_loop().call_soon(self._flush_some, context=Context())

    def flush(self) -> None:
        """Write what is held."""
        held, self._held = self._held, []
        for id_, method, path, caller, code, length, took, agent in held:
            line = {
                "id": id_,
                "verb": method,
                "path": path,
                "user": caller,
                "code": code,
                "bytes": length,
                "ms": round(took * 1000, 3),
                "agent": agent,
            }
            log.info("%s", encode(line).decode(), extra={"request": id_})
