# SPDX-License-Identifier: Apache-2.0
"""What a client may ask about the image service itself: import methods, schemas."""

from __future__ import annotations

from lichen.apis.openstack.image.attributes import VISIBILITIES
from lichen.apis.openstack.image.views import CONTAINER_FORMATS, DISK_FORMATS, READ_ONLY, WRITABLE, Json
from lichen.apis.openstack.reply import Reply
from lichen.apis.openstack.request import Request

_TEXT: Json = {"type": ["null", "string"], "maxLength": 255}
_INTEGER: Json = {"type": "integer", "minimum": 0}
_PROPERTIES: Json = {
    "id": {"type": "string", "pattern": "^([0-9a-fA-F]){8}-(([0-9a-fA-F]){4}-){3}([0-9a-fA-F]){12}$"},
    "name": _TEXT,
    "status": {"type": "string", "enum": ["queued", "saving", "active", "killed", "deactivated"]},
    "visibility": {"type": "string", "enum": list(VISIBILITIES)},
    "protected": {"type": "boolean"},
    "os_hidden": {"type": "boolean"},
    "owner": _TEXT,
    "disk_format": {"type": ["null", "string"], "enum": [None, *DISK_FORMATS]},
    "container_format": {"type": ["null", "string"], "enum": [None, *CONTAINER_FORMATS]},
    "min_disk": _INTEGER,
    "min_ram": _INTEGER,
    "size": {"type": ["null", "integer"]},
    "virtual_size": {"type": ["null", "integer"]},
    "checksum": {"type": ["null", "string"], "maxLength": 32},
    "os_hash_algo": {"type": ["null", "string"], "maxLength": 64},
    "os_hash_value": {"type": ["null", "string"], "maxLength": 128},
    "tags": {"type": "array", "items": {"type": "string", "maxLength": 255}},
    "created_at": {"type": "string"},
    "updated_at": {"type": "string"},
    "self": {"type": "string"},
    "file": {"type": "string"},
    "schema": {"type": "string"},
}


async def import_methods(req: Request) -> Reply:
    """Images come by upload only, so no import method is offered."""
    return Reply({"import-methods": {"description": "Import methods available.", "type": "array", "value": []}})


async def list_tasks(req: Request) -> Reply:
    """Tasks are how imports are followed, which are not offered."""
    return Reply({"tasks": [], "first": "/v2/tasks", "schema": "/v2/schemas/tasks"})


async def image_schema(req: Request) -> Reply:
    return Reply(_image())


async def images_schema(req: Request) -> Reply:
    properties = {
        "images": {"type": "array", "items": _image()},
        "first": {"type": "string"},
        "next": {"type": "string"},
        "schema": {"type": "string"},
    }
    links = [{"rel": "first", "href": "{first}"}, {"rel": "next", "href": "{next}"}]
    return Reply({"name": "images", "properties": properties, "links": links})


def _image() -> Json:
    properties = {
        name: {**shape, "readOnly": True} if name in READ_ONLY and name not in WRITABLE else shape
        for name, shape in _PROPERTIES.items()
    }
    links = [
        {"rel": "self", "href": "{self}"},
        {"rel": "enclosure", "href": "{file}"},
        {"rel": "describedby", "href": "{schema}"},
    ]
    return {"name": "image", "properties": properties, "additionalProperties": {"type": "string"}, "links": links}
