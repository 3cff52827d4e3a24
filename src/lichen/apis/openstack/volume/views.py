# SPDX-License-Identifier: Apache-2.0
"""Volumes, snapshots and types as Cinder shows them, at each microversion. Pure."""

from __future__ import annotations

from typing import Any

from lichen.apis.openstack.request import Request
from lichen.model.data import Object
from lichen.model.meta import is_deleting, namespace_of

Json = dict[str, Any]
_PHASES = {"Creating": "creating", "Extending": "extending", "Deleting": "deleting", "Error": "error"}


def links(req: Request, resource: str, id: str) -> list[Json]:
    project = req.caller.project_id
    return [
        {"rel": "self", "href": req.url(f"/v3/{project}/{resource}/{id}")},
        {"rel": "bookmark", "href": req.url(f"/{project}/{resource}/{id}")},
    ]


def when(text: str) -> str | None:
    """RFC 3339 as Cinder writes times."""
    return f"{text[:19]}.000000" if text else None


def updated_at(obj: Object) -> str | None:
    """The newest moment that anything of the object is known to have changed at, None: never since it was made."""
    meta, status = obj["metadata"], obj.get("status") or {}
    times = [entry.get("time", "") for entry in meta.get("managedFields") or []]
    times += [condition.get("lastTransitionTime", "") for condition in status.get("conditions") or []]
    return when(max((t[:19] for t in times if t), default=""))


def volume_status(volume: Object, attachment: Object | None) -> str:
    """Cinder's one word for what a volume is and who has it."""
    phase = (volume.get("status") or {}).get("phase") or "Creating"
    if is_deleting(volume):
        return "deleting"
    if phase != "Available":
        return _PHASES.get(phase, "creating")
    if attachment is None:
        return "available"
    if is_deleting(attachment):
        return "detaching"
    attached = (attachment.get("status") or {}).get("phase") == "Attached"
    return "in-use" if attached else "attaching"


def snapshot_status(snapshot: Object) -> str:
    phase = (snapshot.get("status") or {}).get("phase") or "Creating"
    if is_deleting(snapshot):
        return "deleting"
    return "available" if phase == "Available" else _PHASES.get(phase, "creating")


def shown_metadata(spec: Object) -> dict[str, str]:
    """The user's pairs, and whether the volume may be written to, once that was said."""
    said = {} if spec.get("readOnly") is None else {"readonly": str(bool(spec["readOnly"]))}
    return {**(spec.get("metadata") or {}), **said}


def volume_view(
    req: Request, volume: Object, attachment: Object | None, project_id: str, types: dict[str, str]
) -> Json:
    """A volume in full. types: their names as written, by handle."""
    spec = volume["spec"]
    view: Json = {
        "id": spec["id"],
        "name": spec.get("displayName") or "",
        "description": spec.get("description"),
        "status": volume_status(volume, attachment),
        "size": spec.get("size", 0),
        "availability_zone": spec.get("availabilityZone") or "nova",
        "created_at": when(volume["metadata"].get("creationTimestamp", "")),
        "updated_at": updated_at(volume),
        "volume_type": types.get(spec.get("type", ""), spec.get("type") or None),
        "snapshot_id": spec.get("snapshotId") or None,
        "source_volid": spec.get("sourceId") or None,
        "metadata": shown_metadata(spec),
        "user_id": spec.get("userId", ""),
        "bootable": str(bool(spec.get("bootable"))).lower(),
        "encrypted": False,
        "multiattach": False,
        "replication_status": None,
        "consistencygroup_id": None,
        "attachments": [attached_view(req, attachment)] if attachment is not None else [],
        "links": links(req, "volumes", spec["id"]),
        "os-vol-tenant-attr:tenant_id": project_id,
    }
    if spec.get("imageMetadata"):
        view["volume_image_metadata"] = spec["imageMetadata"]
    return {**view, **_since(req, spec)}


def written_view(view: Json) -> Json:
    """What the answer of a write shows: not whose it is, nor where."""
    return {key: value for key, value in view.items() if not key.startswith("os-") and key != "volume_image_metadata"}


def _since(req: Request, spec: Object) -> Json:
    view: Json = {}
    if req.caller.is_admin:
        view["os-vol-host-attr:host"] = pool_of(spec.get("node", "")) or None
        view["os-vol-mig-status-attr:migstat"] = view["os-vol-mig-status-attr:name_id"] = None
    if req.since(3, 13):
        view["group_id"] = None
    if req.since(3, 21) and req.caller.is_admin:
        view["provider_id"] = None
    if req.since(3, 48):
        view |= {"service_uuid": None, "shared_targets": False}
    if req.since(3, 61) and req.caller.is_admin:
        view["cluster_name"] = None
    if req.since(3, 63):
        view["volume_type_id"] = spec.get("typeId") or None
    if req.since(3, 64):
        view["encryption_key_id"] = None
    if req.since(3, 65):
        view["consumes_quota"] = True
    return view


def attached_view(req: Request, attachment: Object) -> Json:
    """Who has a volume, inside of its view."""
    spec, status = attachment["spec"], attachment.get("status") or {}
    return {
        "id": spec.get("volumeId", ""),
        "volume_id": spec.get("volumeId", ""),
        "attachment_id": spec.get("id", ""),
        "server_id": spec.get("serverId") or None,
        "host_name": spec.get("node") or None if req.caller.is_admin or not spec.get("server") else None,
        "device": spec.get("device") or None,
        "attached_at": when(status.get("attachedAt", "")),
    }


def attachment_view(req: Request, attachment: Object) -> Json:
    """An attachment of its own (API since 3.27)."""
    spec, status = attachment["spec"], attachment.get("status") or {}
    return {
        "id": spec.get("id", ""),
        "volume_id": spec.get("volumeId", ""),
        "instance": spec.get("serverId") or None,
        "status": {"Attached": "attached", "Detaching": "detaching"}.get(status.get("phase", ""), "attaching"),
        "attach_mode": "ro" if spec.get("readOnly") else "rw",
        "attached_at": when(status.get("attachedAt", "")),
        "detached_at": None,
        "connection_info": {},
    }


def snapshot_view(req: Request, snapshot: Object, project_id: str, *, detailed: bool = True) -> Json:
    """detailed: False in the answer of a write."""
    spec = snapshot["spec"]
    view: Json = {
        "id": spec["id"],
        "name": spec.get("displayName") or "",
        "description": spec.get("description"),
        "volume_id": spec.get("volumeId", ""),
        "status": snapshot_status(snapshot),
        "size": spec.get("size", 0),
        "created_at": when(snapshot["metadata"].get("creationTimestamp", "")),
        "updated_at": updated_at(snapshot),
        "metadata": spec.get("metadata") or {},
    }
    if detailed:
        view |= {
            "os-extended-snapshot-attributes:project_id": project_id,
            "os-extended-snapshot-attributes:progress": "100%" if snapshot_status(snapshot) == "available" else "0%",
        }
    if req.since(3, 14):
        view["group_snapshot_id"] = None
    if req.since(3, 41):
        view["user_id"] = spec.get("userId", "")
    if req.since(3, 65):
        view["consumes_quota"] = True
    return view


def type_view(req: Request, type_: Object) -> Json:
    spec = type_["spec"]
    view: Json = {
        "id": spec["id"],
        "name": spec.get("displayName") or type_["metadata"]["name"],
        "description": spec.get("description"),
        "is_public": spec.get("public", True),
        "os-volume-type-access:is_public": spec.get("public", True),
        "extra_specs": spec.get("extraSpecs") or {},
    }
    if req.caller.is_admin:
        view["qos_specs_id"] = None
    return view


def pool_of(node: str) -> str:
    """What Cinder calls the place of a volume: host@backend#pool."""
    return f"{node}@files#files" if node else ""


def key_of(obj: Object) -> tuple[str, str]:
    """(namespace, name) of the volume that an attachment is of."""
    return namespace_of(obj), obj["spec"].get("volume", "")
