# SPDX-License-Identifier: Apache-2.0
"""Image attributes as clients write them, checked, and as the Image's spec has them. Pure."""

from __future__ import annotations

import uuid
from typing import Any

from lichen.apis.openstack.image.views import CONTAINER_FORMATS, DISK_FORMATS, READ_ONLY, WRITABLE
from lichen.model.data import Object
from lichen.model.errors import BadRequest, Forbidden
from lichen.model.state import Caller

VISIBILITIES = ("public", "private", "shared", "community")
MOST_TAGS = 128
MOST_PROPERTIES = 128
MOST_NUMBER = 2**31 - 1


def spec_of(attributes: Object, caller: Caller) -> Object:
    """A whole spec from a create's body. BadRequest, Forbidden."""
    image_id = attributes.get("id")
    rest = {name: value for name, value in attributes.items() if name != "id"}
    spec = spec_changes(rest, caller)
    if image_id is not None:
        spec["id"] = _uuid(image_id)
    return spec


def spec_changes(attributes: Object, caller: Caller) -> Object:
    """The spec's fields for some attributes; what is not a base attribute is a property."""
    spec: Object = {}
    properties: dict[str, str] = {}
    for name, value in attributes.items():
        if name in READ_ONLY:
            raise Forbidden(f"Attribute '{name}' is read-only.")
        if name in WRITABLE:
            spec[WRITABLE[name]] = checked(name, value, caller)
        else:
            properties[name] = checked_property(name, value)
    if len(properties) > MOST_PROPERTIES:
        raise BadRequest(f"{len(properties)} properties are over the limit of {MOST_PROPERTIES}.")
    return {**spec, "properties": properties} if properties else spec


def checked(name: str, value: Any, caller: Caller) -> Any:
    """A base attribute's value as the spec has it (null is "not set"). BadRequest, Forbidden."""
    if name in ("protected", "os_hidden"):
        return _typed(name, value, bool, "a boolean")
    if name in ("min_disk", "min_ram"):
        return _number(name, value)
    if name == "tags":
        return _tags(value)
    if name == "visibility":
        return _visibility(value, caller)
    if name == "owner":
        return _owner(value, caller)
    if value is None:
        return ""
    text = _text(name, value)
    allowed = {"disk_format": DISK_FORMATS, "container_format": CONTAINER_FORMATS}.get(name)
    if allowed and text not in allowed:
        raise BadRequest(f"Invalid {name} '{text}' for image: it must be one of {', '.join(allowed)}.")
    return text


def checked_property(name: str, value: Any) -> str:
    """The value of an additional property. BadRequest, Forbidden."""
    if not 0 < len(name) <= 255:
        raise BadRequest("A property's name must have 1 to 255 characters.")
    if name.startswith("os_glance"):
        raise Forbidden(f"Attribute '{name}' is reserved.")
    if not isinstance(value, str):
        raise BadRequest(f"Provided object does not match schema 'image': {name} is not a string.")
    if len(value) > 65535:
        raise BadRequest(f"The value of {name} is over 65535 characters.")
    return value


def checked_tag(tag: Any) -> str:
    if not isinstance(tag, str) or not 0 < len(tag) <= 255:
        raise BadRequest("A tag must be a text of 1 to 255 characters.")
    return tag


def _typed(name: str, value: Any, type_: type, what: str) -> Any:
    if not isinstance(value, type_):
        raise BadRequest(f"Provided object does not match schema 'image': {name} is not {what}.")
    return value


def _text(name: str, value: Any) -> str:
    text: str = _typed(name, value, str, "a string")
    if len(text) > 255:
        raise BadRequest(f"Provided object does not match schema 'image': {name} is over 255 characters.")
    return text


def _number(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MOST_NUMBER:
        raise BadRequest(
            f"Provided object does not match schema 'image': {name} is not an integer from 0 to {MOST_NUMBER}."
        )
    return value


def _tags(value: Any) -> list[str]:
    tags = list(dict.fromkeys(checked_tag(tag) for tag in _typed("tags", value, list, "a list")))
    if len(tags) > MOST_TAGS:
        raise BadRequest(f"{len(tags)} tags are over the limit of {MOST_TAGS}.")
    return tags


def _visibility(value: Any, caller: Caller) -> str:
    if value not in VISIBILITIES:
        raise BadRequest(f"Invalid visibility: it must be one of {', '.join(VISIBILITIES)}.")
    if value == "public" and not caller.is_admin:
        raise Forbidden("You are not authorized to complete publicize_image action.")
    return str(value)


def _owner(value: Any, caller: Caller) -> str:
    if value != caller.project_id and not caller.is_admin:
        raise Forbidden(f"You are not permitted to create images owned by '{value}'.")
    return _text("owner", value)


def _uuid(value: Any) -> str:
    try:
        if str(uuid.UUID(value)) == value:
            return str(value)
    except (ValueError, AttributeError, TypeError):
        pass
    raise BadRequest("Invalid image id format: it must be a UUID.")
