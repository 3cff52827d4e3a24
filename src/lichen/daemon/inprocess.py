# SPDX-License-Identifier: Apache-2.0
"""A Cloud for a dialect that shares the kernel's process: no socket between them."""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import msgspec

from lichen.apis.kubernetes.app import CALLER
from lichen.kernel.kernel import Kernel
from lichen.model.errors import InternalError, every_api_error
from lichen.model.names import DIALECT
from lichen.model.state import Caller, State
from lichen.model.tracing import AUDIT_ID, REQUEST_ID


class InProcess:
    """Implements `lichen.model.state.Cloud`. app: the Kubernetes API of the same kernel, for logs and consoles."""

    def __init__(self, kernel: Kernel, app: Any) -> None:
        self._kernel = kernel
        self._app = app

    async def authenticate(self, token: str) -> Caller:
        return replace(await self._kernel.authenticate(token), through=DIALECT)

    def acting(self, caller: Caller) -> State:
        return self._kernel.acting(caller)

    async def read(self, caller: Caller, path: str) -> bytes:
        """A GET through the app itself, as the caller."""
        parts = urlsplit(path)
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "https",
            "path": parts.path,
            "raw_path": parts.path.encode(),
            "query_string": parts.query.encode(),
            "headers": [(AUDIT_ID.lower().encode(), REQUEST_ID.get().encode())],
            CALLER: caller,
            "client": None,
            "server": None,
        }
        answer = _Answer()
        await self._app(scope, answer.receive, answer.send)
        body = b"".join(answer.chunks)
        if answer.status >= 400:
            raise _refusal(body)
        return body


class _Answer:
    """Collects what an ASGI app sends."""

    def __init__(self) -> None:
        self.status = 500
        self.chunks: list[bytes] = []

    async def receive(self) -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(self, message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        else:
            self.chunks.append(message.get("body", b""))


def _refusal(body: bytes) -> Exception:
    status = msgspec.json.decode(body)
    return every_api_error().get(status.get("reason", ""), InternalError)(status.get("message", ""))
