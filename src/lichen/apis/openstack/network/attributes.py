# SPDX-License-Identifier: Apache-2.0
"""Neutron's attributes to a spec and back to a refusal: names and types come from the kind's own declaration."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

import msgspec

from lichen.apis.openstack.request import Request
from lichen.model.data import Data, Object, camel
from lichen.model.errors import ApiError, BadRequest

BULK_LIMIT = 500


def typed(error: ApiError, fault: str) -> ApiError:
    """The same error under one of Neutron's own names (`OverlappingAllocationPools`)."""
    error.openstack_type = fault  # type: ignore[attr-defined]
    return error


def invalid(message: str) -> ApiError:
    return typed(BadRequest(f"Invalid input for operation: {message}."), "InvalidInput")


async def bodies(req: Request, singular: str, plural: str) -> tuple[list[Object], bool]:
    """What is to be created, and whether it came as a bulk: `{"network": {…}}` or `{"networks": [{…}, …]}`."""
    document = await req.document()
    if singular in document:
        return [_resource(document[singular], singular)], False
    items = document.get(plural)
    if not isinstance(items, list) or not items:
        raise BadRequest(f"Resource body required: '{singular}'")
    if len(items) > BULK_LIMIT:
        raise BadRequest(f"A bulk of {len(items)} is over the limit of {BULK_LIMIT}")
    return [_resource(item, singular) for item in items], True


async def one_body(req: Request, singular: str) -> Object:
    """What is to be changed: `{"network": {…}}`."""
    document = await req.document()
    if singular not in document:
        raise BadRequest(f"Resource body required: '{singular}'")
    return _resource(document[singular], singular)


def _resource(value: Any, singular: str) -> Object:
    if not isinstance(value, dict):
        raise BadRequest(f"Unable to parse body: '{singular}' must be an object")
    return value


def to_spec(
    attributes: Object, spec_type: type[Data], *, apart: Iterable[str] = (), read_only: Iterable[str] = ()
) -> Object:
    """A spec from the attributes that the kind declares (`field(openstack=…)`), checked by its types.

    apart: attributes that the caller treats by itself. read_only: declared ones that may not be given.
    BadRequest: an unknown attribute, a wrong type, a text too long.
    """
    types = _types(spec_type)
    known = {i.openstack: n for n, i in spec_type.declared_fields.items() if i.openstack and i.openstack != "id"}
    apart, read_only = set(apart), set(read_only)
    unknown = sorted(set(attributes) - set(known) - apart)
    if unknown:
        raise BadRequest(f"Unrecognized attribute(s) '{', '.join(unknown)}'")
    fixed = sorted(set(attributes) & read_only)
    if fixed:
        raise typed(BadRequest(f"Attribute '{fixed[0]}' is read-only"), "HTTPBadRequest")
    spec: Object = {}
    for name in set(attributes) & set(known) - apart:
        info = spec_type.declared_fields[known[name]]
        limit = info.max_length or (255 if name in ("name", "device_id", "device_owner") else None)
        spec[info.wire or camel(known[name])] = _checked(name, attributes[name], types[known[name]], limit)
    return spec


@cache
def _types(spec_type: type[Data]) -> dict[str, Any]:
    """The type of each field. Working out what annotations mean takes longer than all the rest of a request."""
    return {field.name: field.type for field in msgspec.structs.fields(spec_type)}


def _checked(name: str, value: Any, type_: Any, limit: int | None) -> Any:
    try:
        converted = msgspec.to_builtins(msgspec.convert(value, type_, strict=False))
    except msgspec.ValidationError as error:
        raise invalid(f"{name}: {error}") from None
    if limit is not None and isinstance(converted, str) and len(converted) > limit:
        raise invalid(f"'{converted[:40]}…' of {name} exceeds maximum length of {limit}")
    return converted
