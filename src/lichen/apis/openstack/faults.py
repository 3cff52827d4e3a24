# SPDX-License-Identifier: Apache-2.0
"""How a refusal is said: the one error tree, mapped once into each service's own fault document."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from http import HTTPStatus

from lichen.apis.openstack.reply import Reply
from lichen.model.errors import ApiError, Invalid

Fault = Callable[[ApiError], Reply]

NOVA_NAMES = {
    400: "badRequest",
    401: "unauthorized",
    403: "forbidden",
    404: "itemNotFound",
    405: "badMethod",
    409: "conflictingRequest",
    413: "overLimit",
    415: "badMediaType",
    429: "overLimit",
    501: "notImplemented",
    503: "serviceUnavailable",
}
NEUTRON_TYPES = {
    400: "HTTPBadRequest",
    403: "PolicyNotAuthorized",
    404: "HTTPNotFound",
    405: "HTTPMethodNotAllowed",
    409: "Conflict",
    413: "HTTPRequestEntityTooLarge",
    415: "HTTPUnsupportedMediaType",
    429: "OverQuota",
    503: "HTTPServiceUnavailable",
}


def status_of(error: ApiError) -> int:
    """The HTTP status in OpenStack: what breaks a schema is 400 there."""
    return 400 if isinstance(error, Invalid) else error.code


def title_of(status: int) -> str:
    return HTTPStatus(status).phrase


def keystone(error: ApiError) -> Reply:
    status = status_of(error)
    return Reply({"error": {"code": status, "message": error.message, "title": title_of(status)}}, status)


def nova(error: ApiError) -> Reply:
    status = status_of(error)
    return Reply({NOVA_NAMES.get(status, "computeFault"): {"code": status, "message": error.message}}, status)


def neutron(error: ApiError) -> Reply:
    status = status_of(error)
    named = error.kind + "NotFound" if status == 404 and error.kind else ""
    fault = named or getattr(error, "openstack_type", "") or NEUTRON_TYPES.get(status, "HTTPInternalServerError")
    return Reply({"NeutronError": {"type": fault, "message": error.message, "detail": ""}}, status)


def glance(error: ApiError) -> Reply:
    """Glance answers in HTML, which clients strip."""
    status = status_of(error)
    title = f"{status} {title_of(status)}"
    page = (
        f"<html>\n <head>\n  <title>{title}</title>\n </head>\n <body>\n  <h1>{title}</h1>\n"
        f"  {escape(error.message)}<br /><br />\n </body>\n</html>"
    )
    return Reply(page.encode(), status, content_type="text/html; charset=UTF-8")
