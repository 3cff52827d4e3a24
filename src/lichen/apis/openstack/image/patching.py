# SPDX-License-Identifier: Apache-2.0
"""Glance's JSON patches (`application/openstack-images-v2.1-json-patch`, and v2.0's older form) on an image. Pure."""

from __future__ import annotations

from typing import Any, NamedTuple

from lichen.apis.openstack.image.views import READ_ONLY, WRITABLE, Json
from lichen.model.errors import BadRequest, Conflict, Forbidden, UnsupportedMediaType

MEDIA_TYPES = {
    "application/openstack-images-v2.1-json-patch": 10,
    "application/openstack-images-v2.0-json-patch": 4,
}
_OPERATIONS = ("add", "replace", "remove")


class Operation(NamedTuple):
    op: str
    path: list[str]
    value: Any


def operations(content_type: str, changes: Any) -> list[Operation]:
    """The operations of a patch's body. UnsupportedMediaType, BadRequest, Forbidden."""
    media = content_type.partition(";")[0].strip().lower()
    if media not in MEDIA_TYPES:
        raise UnsupportedMediaType(f"Unsupported content type: use one of {', '.join(MEDIA_TYPES)}.")
    if not isinstance(changes, list):
        raise BadRequest("Request body must be a JSON array of operation objects.")
    old_form = MEDIA_TYPES[media] == 4
    return [_operation(change, old_form) for change in changes]


def apply(document: Json, changes: list[Operation]) -> Json:
    """The image's writable attributes and properties after the changes. Conflict: a replaced or removed property is
    not there. Forbidden: the attribute may not be written, or is one that cannot be removed."""
    result = {**document, "tags": list(document["tags"])}
    for change in changes:
        if change.path[0] == "tags" and len(change.path) == 2:
            _change_tag(result["tags"], change)
        else:
            _change(result, change)
    return result


def _operation(change: Any, old_form: bool) -> Operation:
    if not isinstance(change, dict):
        raise BadRequest("Operations must be JSON objects.")
    op = next((o for o in _OPERATIONS if o in change), None) if old_form else change.get("op")
    if op not in _OPERATIONS:
        raise BadRequest(f"Operations must be one of {', '.join(_OPERATIONS)}.")
    pointer = change.get(op) if old_form else change.get("path")
    if op != "remove" and "value" not in change:
        raise BadRequest(f'Operation "{op}" requires a member named "value".')
    return Operation(op, _path(pointer), change.get("value"))


def _path(pointer: Any) -> list[str]:
    if not isinstance(pointer, str) or not pointer.startswith("/") or pointer.endswith("/") or "//" in pointer:
        raise BadRequest(f"Pointer `{pointer}` is not a JSON pointer to an attribute.")
    parts = [part.replace("~1", "/").replace("~0", "~") for part in pointer[1:].split("/")]
    if parts[0] == "locations":
        raise Forbidden("It's not allowed to change locations: images are uploaded.")
    if len(parts) > (2 if parts[0] == "tags" else 1):
        raise BadRequest(f"Pointer `{pointer}` contains more than one path element.")
    if parts[0] in READ_ONLY:
        raise Forbidden(f"Attribute '{parts[0]}' is read-only.")
    return parts


def _change(document: Json, change: Operation) -> None:
    name = change.path[0]
    if change.op != "add" and name not in document:
        raise Conflict(f"Property {name} does not exist.")
    if change.op != "remove":
        document[name] = change.value
    elif name in WRITABLE:
        raise Forbidden(f"Property {name} may not be removed.")
    else:
        del document[name]


def _change_tag(tags: list[Any], change: Operation) -> None:
    place = change.path[1]
    if place == "-" and change.op == "add":
        tags.append(change.value)
        return
    if not place.isdigit() or int(place) > len(tags) - (change.op != "add"):
        raise BadRequest(f"There is no tag at index {place}.")
    if change.op == "add":
        tags.insert(int(place), change.value)
    elif change.op == "replace":
        tags[int(place)] = change.value
    else:
        del tags[int(place)]
