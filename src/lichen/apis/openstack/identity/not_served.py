# SPDX-License-Identifier: Apache-2.0
"""What Keystone has and Lichen does not: each says so in words, and what does the same instead."""

from __future__ import annotations

from lichen.apis.openstack.reply import Reply
from lichen.apis.openstack.request import Request
from lichen.apis.openstack.routing import Handler, Route
from lichen.model.errors import NotFound

METHODS = ("GET", "PUT", "POST", "PATCH", "DELETE")
FEDERATION = (
    "Federation (OS-FEDERATION: identity providers, mappings, protocols, service providers) is not served: users come "
    "from Lichen's own directory."
)
OAUTH = "OAuth 1.0a (OS-OAUTH1) is not served: application credentials and trusts do what it was for."
_FEDERATION = tuple(
    f"/v3/OS-FEDERATION/{path}"
    for path in (
        "identity_providers", "identity_providers/{id}", "identity_providers/{id}/protocols",
        "identity_providers/{id}/protocols/{protocol}", "mappings", "mappings/{id}", "service_providers",
        "service_providers/{id}",
    )
)  # fmt: skip


def _saying(text: str) -> Handler:
    async def refuse(req: Request, **_: str) -> Reply:
        raise NotFound(text)

    return refuse


def _routes(paths: tuple[str, ...], text: str) -> tuple[Route, ...]:
    return tuple(Route(method, path, _saying(text)) for path in paths for method in METHODS)


_OAUTH = (
    "/v3/OS-OAUTH1/consumers", "/v3/OS-OAUTH1/consumers/{id}", "/v3/OS-OAUTH1/request_token",
    "/v3/OS-OAUTH1/access_token", "/v3/OS-OAUTH1/authorize/{id}", "/v3/users/{user_id}/OS-OAUTH1/access_tokens",
    "/v3/users/{user_id}/OS-OAUTH1/access_tokens/{id}",
)  # fmt: skip
ROUTES = (*_routes(_FEDERATION, FEDERATION), *_routes(_OAUTH, OAUTH))
