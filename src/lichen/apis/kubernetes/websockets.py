# SPDX-License-Identifier: Apache-2.0
"""WebSockets from browsers: the credential among the subprotocols, since a browser lets no page set a header.

A client offers `base64url.bearer.authorization.k8s.io.<token in base64url without padding>` and at least one other
subprotocol; the credential is never the one that is chosen. As upstream.
"""

from __future__ import annotations

import base64
import binascii

from lichen.apis.kubernetes.request import Request, Scope
from lichen.model.errors import BadRequest, Unauthorized

BEARER = "base64url.bearer.authorization.k8s.io."


def offered_token(scope: Scope) -> str:
    """The token that a WebSocket's subprotocols bear; "" if none. Unauthorized: it cannot be read."""
    borne = [name.removeprefix(BEARER) for name in scope.get("subprotocols") or () if name.startswith(BEARER)]
    if not borne:
        return ""
    if len(borne) > 1 or len(scope["subprotocols"]) < 2:
        raise Unauthorized("Unauthorized")
    try:
        return base64.b64decode(borne[0] + "=" * (-len(borne[0]) % 4), altchars=b"-_", validate=True).decode("ascii")
    except (binascii.Error, ValueError):
        raise Unauthorized("Unauthorized") from None


def without_token(scope: Scope) -> Scope:
    """The same handshake as others may see it: the credential is no subprotocol."""
    kept = [name for name in scope.get("subprotocols") or () if not name.startswith(BEARER)]
    offered = [(b"sec-websocket-protocol", ", ".join(kept).encode("latin-1"))] if kept else []
    headers = [(name, value) for name, value in scope["headers"] if name != b"sec-websocket-protocol"]
    return {**scope, "subprotocols": kept, "headers": headers + offered}


async def accept_watch(request: Request) -> None:
    """Accept a WebSocket that only listens, with the first subprotocol it offers."""
    if (await request.receive())["type"] != "websocket.connect":
        raise BadRequest("the client went away before its watch began")
    request.code = 101
    chosen = next(iter(request.scope.get("subprotocols") or ()), None)
    await request.send({"type": "websocket.accept", "subprotocol": chosen})
