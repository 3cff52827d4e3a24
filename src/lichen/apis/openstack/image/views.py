# SPDX-License-Identifier: Apache-2.0
"""Images as Glance shows them, and which of their attributes may be written. Pure."""

from __future__ import annotations

from typing import Any

from lichen.model.data import Object

Json = dict[str, Any]

WRITABLE = {
    "name": "displayName",
    "disk_format": "diskFormat",
    "container_format": "containerFormat",
    "visibility": "visibility",
    "protected": "protected",
    "os_hidden": "hidden",
    "min_disk": "minDisk",
    "min_ram": "minRam",
    "tags": "tags",
    "owner": "ownerId",
}
"""Glance's base attributes that a client may set, and where they are in the spec."""

READ_ONLY = frozenset(
    {
        "id", "status", "size", "virtual_size", "checksum", "os_hash_algo", "os_hash_value", "created_at", "updated_at",
        "self", "file", "schema", "direct_url", "first", "deleted", "deleted_at",
    }
)  # fmt: skip
DISK_FORMATS = ("ami", "ari", "aki", "vhd", "vhdx", "vmdk", "raw", "qcow2", "vdi", "ploop", "iso")
CONTAINER_FORMATS = ("ami", "ari", "aki", "bare", "ovf", "ova", "docker", "compressed")


def image_view(obj: Object, project_id: str) -> Json:
    """project_id: of the image's namespace, for images whose owner was not recorded."""
    meta, spec, status = obj["metadata"], obj.get("spec") or {}, obj.get("status") or {}
    return {
        **(spec.get("properties") or {}),
        "id": spec["id"],
        "name": spec.get("displayName") or None,
        "status": status.get("phase") or "queued",
        "visibility": spec.get("visibility", "shared"),
        "protected": spec.get("protected", False),
        "os_hidden": spec.get("hidden", False),
        "owner": spec.get("ownerId") or project_id or None,
        "disk_format": spec.get("diskFormat") or None,
        "container_format": spec.get("containerFormat") or None,
        "min_disk": spec.get("minDisk", 0),
        "min_ram": spec.get("minRam", 0),
        "size": status.get("size"),
        "virtual_size": status.get("virtualSize"),
        "checksum": status.get("checksum"),
        "os_hash_algo": status.get("hashAlgo"),
        "os_hash_value": status.get("hashValue"),
        "tags": list(spec.get("tags") or []),
        "created_at": meta.get("creationTimestamp", ""),
        "updated_at": updated_at(obj),
        "self": f"/v2/images/{spec['id']}",
        "file": f"/v2/images/{spec['id']}/file",
        "schema": "/v2/schemas/image",
    }


def updated_at(obj: Object) -> str:
    """When the record was last written: the newest of its managers' times, if they are kept, else its creation."""
    meta = obj["metadata"]
    newest: str = max(
        [meta.get("creationTimestamp", ""), *(entry.get("time", "") for entry in meta.get("managedFields") or [])]
    )
    return newest
