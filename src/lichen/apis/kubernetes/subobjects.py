# SPDX-License-Identifier: Apache-2.0
"""Subresources that are objects: status, scale, binding, eviction, token."""

from __future__ import annotations

from typing import Any

from lichen.apis.kubernetes import writes
from lichen.apis.kubernetes.negotiation import form_of
from lichen.apis.kubernetes.options import write_options
from lichen.apis.kubernetes.request import Request
from lichen.apis.kubernetes.respond import send_object, warnings_of
from lichen.apis.kubernetes.routing import Target
from lichen.apis.kubernetes.subresources import resource_of_subresource
from lichen.model.errors import MethodNotAllowed

Session = Any


async def get(request: Request, session: Session, target: Target) -> None:
    """GET of a subresource."""
    spoken = resource_of_subresource(target.kind, target.subresource)
    if "get" not in spoken.verbs:
        raise _not_allowed(target)
    form = form_of(request.header(b"accept"))
    obj = await session.get(target.kind, target.name, target.namespace or "", subresource=target.subresource)
    await send_object(request, obj, form)


async def create(request: Request, session: Session, target: Target) -> None:
    """POST to a subresource: a binding, an eviction, a request for a token."""
    spoken = resource_of_subresource(target.kind, target.subresource)
    if "create" not in spoken.verbs:
        raise _not_allowed(target)
    body = await writes.object_of(request)
    options = write_options(request)
    writes.fit(body, target)
    made = await session.create(target.kind, body, options, subresource=target.subresource)
    await send_object(request, made, form_of(request.header(b"accept")), 201, warnings_of(options.warnings))


def _not_allowed(target: Target) -> MethodNotAllowed:
    return MethodNotAllowed("the server does not allow this method on the requested resource", kind=target.kind.plural)
