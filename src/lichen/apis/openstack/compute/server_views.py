# SPDX-License-Identifier: Apache-2.0
"""Servers as Nova shows them, at each microversion. Pure: what a view needs besides the object is in `Names`."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, field
from typing import Any

from lichen.apis.openstack.compute.server_state import has_no_host, server_state
from lichen.model.data import Object
from lichen.model.meta import find_condition

Json = dict[str, Any]
Version = tuple[int, int]
DEFAULT_ZONE = "nova"


@dataclass(frozen=True, slots=True)
class Names:
    """What the objects that servers refer to are called.

    base: the service's URL. flavors: handle → name as written. keypairs, images: (namespace, handle) → name as
    written, and (namespace, handle) → properties. projects: namespace → project id. zones: node → zone.
    volumes: server id → its attachments.
    """

    base: str
    admin: bool = False
    flavors: dict[str, str] = field(default_factory=dict)
    keypairs: dict[tuple[str, str], str] = field(default_factory=dict)
    image_properties: dict[str, dict[str, str]] = field(default_factory=dict)
    projects: dict[str, str] = field(default_factory=dict)
    zones: dict[str, str] = field(default_factory=dict)
    volumes: dict[str, list[Object]] = field(default_factory=dict)


def links(base: str, resource: str, id: str) -> list[Json]:
    """Nova's two links: the one with the version in it and the one that never changes."""
    root = base.rsplit("/v2.1", 1)[0]
    return [
        {"rel": "self", "href": f"{base}/{resource}/{id}"},
        {"rel": "bookmark", "href": f"{root}/{resource}/{id}"},
    ]


def server_summary(obj: Object, names: Names) -> Json:
    """A server in a short list."""
    spec = obj["spec"]
    return {"id": spec["id"], "name": display_name(obj), "links": links(names.base, "servers", spec["id"])}


def server_view(obj: Object, names: Names, version: Version, *, single: bool = False) -> Json:
    """A server in full. single: it is shown alone (some attributes are left out of lists)."""
    spec = obj["spec"]
    view = {
        **server_summary(obj, names),
        **_states(obj),
        **_identity(obj, names),
        "metadata": spec.get("metadata") or {},
        "image": image_ref(spec, names, version),
        "flavor": flavor_ref(spec, names, version),
        "addresses": addresses(obj),
        "accessIPv4": spec.get("accessIPv4", ""),
        "accessIPv6": spec.get("accessIPv6", ""),
        "OS-DCF:diskConfig": spec.get("diskConfig", "MANUAL"),
        "config_drive": "True" if spec.get("configDrive", True) else "",
        "os-extended-volumes:volumes_attached": _volumes(spec["id"], names, version),
        **_times(obj),
        **_placement(obj, names),
        **_since(obj, names, version, single),
    }
    groups = (obj.get("status") or {}).get("securityGroups") or []
    if groups:
        view["security_groups"] = [{"name": name} for name in groups]
    fault = _fault(obj, names)
    if fault:
        view["fault"] = fault
    if view["status"] == "ACTIVE" or view["status"] == "BUILD":
        view["progress"] = 100 if view["status"] == "ACTIVE" else 0
    return view


_LATE = {
    "OS-EXT-STS:vm_state", "OS-EXT-STS:task_state", "OS-EXT-STS:power_state", "OS-EXT-AZ:availability_zone",
    "OS-SRV-USG:launched_at", "OS-SRV-USG:terminated_at", "os-extended-volumes:volumes_attached", "key_name",
    "config_drive", "security_groups", "host_status",
}  # fmt: skip


def written_view(view: Json, version: Version) -> Json:
    """What the answer of a change shows: until 2.75 less than a server shown does."""
    if version >= (2, 75):
        return view
    short = {k: v for k, v in view.items() if k not in _LATE and not k.startswith("OS-EXT-SRV-ATTR")}
    plain = {n: [{"addr": a["addr"], "version": a["version"]} for a in some] for n, some in view["addresses"].items()}
    return {**short, "addresses": plain}


def display_name(obj: Object) -> str:
    name: str = obj["spec"].get("displayName") or obj["metadata"]["name"]
    return name


def host_id(project_id: str, node: str) -> str:
    """Tells a project which of its servers share a host, without naming it; each project sees another value."""
    return hashlib.sha224(f"{project_id}{node}".encode()).hexdigest() if node else ""


def addresses(obj: Object) -> Json:
    """By network name: `{"net": [{"addr", "version", "OS-EXT-IPS:type", "OS-EXT-IPS-MAC:mac_addr"}]}`."""
    by_network: dict[str, list[Json]] = {}
    for address in (obj.get("status") or {}).get("addresses") or []:
        by_network.setdefault(address["network"], []).append(
            {
                "addr": address["ip"],
                "version": address.get("version", 4),
                "OS-EXT-IPS:type": address.get("type", "fixed"),
                "OS-EXT-IPS-MAC:mac_addr": address.get("mac", ""),
            }
        )
    return by_network


def image_ref(spec: Object, names: Names, version: Version) -> Json | str:
    image_id = spec.get("imageId", "")
    if not image_id:
        return ""
    ref: Json = {"id": image_id, "links": links(names.base, "images", image_id)[1:]}
    if version >= (2, 98):
        ref["properties"] = names.image_properties.get(image_id, {})
    return ref


def flavor_ref(spec: Object, names: Names, version: Version) -> Json:
    if version < (2, 47):
        flavor_id = spec.get("flavorId", "")
        return {"id": flavor_id, "links": links(names.base, "flavors", flavor_id)[1:]}
    size = spec.get("resources") or {}
    return {
        "original_name": names.flavors.get(spec.get("flavor", ""), spec.get("flavor", "")),
        "vcpus": size.get("vcpus", 0),
        "ram": size.get("memory", 0),
        "disk": size.get("disk", 0),
        "ephemeral": size.get("ephemeral", 0),
        "swap": size.get("swap", 0),
        "extra_specs": size.get("extraSpecs") or {},
    }


def _volumes(server_id: str, names: Names, version: Version) -> list[Json]:
    views = []
    for attachment in names.volumes.get(server_id, ()):
        view: Json = {"id": attachment["spec"].get("volumeId", "")}
        if version >= (2, 3):
            view["delete_on_termination"] = bool(attachment["spec"].get("deleteOnTermination"))
        views.append(view)
    return views


def _identity(obj: Object, names: Names) -> Json:
    spec, namespace = obj["spec"], obj["metadata"]["namespace"]
    project_id = names.projects.get(namespace, "")
    keypair = spec.get("keypair", "")
    return {
        "tenant_id": project_id,
        "user_id": spec.get("userId", ""),
        "hostId": host_id(project_id, spec.get("node", "")),
        "key_name": names.keypairs.get((namespace, keypair), keypair) or None,
    }


def _states(obj: Object) -> Json:
    state = server_state(obj)
    return {
        "status": state.status,
        "OS-EXT-STS:vm_state": state.vm_state,
        "OS-EXT-STS:task_state": state.task,
        "OS-EXT-STS:power_state": state.power,
    }


def updated_at(obj: Object) -> str:
    """The newest moment that anything of the object is known to have changed at."""
    meta, status = obj["metadata"], obj.get("status") or {}
    times = [entry.get("time", "") for entry in meta.get("managedFields") or []]
    times += [condition.get("lastTransitionTime", "") for condition in status.get("conditions") or []]
    times += [status.get("startedAt", ""), status.get("launchedAt", ""), meta.get("deletionTimestamp") or ""]
    newest: str = max([meta.get("creationTimestamp", ""), *(t[:19] + "Z" for t in times if t)])
    return newest


def _times(obj: Object) -> Json:
    launched = (obj.get("status") or {}).get("launchedAt", "")
    return {
        "created": obj["metadata"].get("creationTimestamp", ""),
        "updated": updated_at(obj),
        "OS-SRV-USG:launched_at": f"{launched[:19]}.000000" if launched else None,
        "OS-SRV-USG:terminated_at": None,
    }


def _placement(obj: Object, names: Names) -> Json:
    spec = obj["spec"]
    node = spec.get("node", "")
    told = (obj.get("status") or {}).get("zone") or spec.get("availabilityZone") or DEFAULT_ZONE
    zone = names.zones.get(node, told) if node else spec.get("availabilityZone", "")
    view: Json = {"OS-EXT-AZ:availability_zone": zone}
    if names.admin:
        view |= {
            "OS-EXT-SRV-ATTR:host": node or None,
            "OS-EXT-SRV-ATTR:hypervisor_hostname": node or None,
            "OS-EXT-SRV-ATTR:instance_name": f"instance-{spec['id'][:8]}",
        }
    return view


def _since(obj: Object, names: Names, version: Version, single: bool) -> Json:
    spec = obj["spec"]
    view: Json = {}
    if version >= (2, 3) and names.admin:
        view |= {
            "OS-EXT-SRV-ATTR:reservation_id": f"r-{spec['id'][:8]}",
            "OS-EXT-SRV-ATTR:launch_index": 0,
            "OS-EXT-SRV-ATTR:kernel_id": "",
            "OS-EXT-SRV-ATTR:ramdisk_id": "",
            "OS-EXT-SRV-ATTR:root_device_name": "/dev/vda",
            "OS-EXT-SRV-ATTR:user_data": None,
        }
    if version >= (2, 90) or (version >= (2, 3) and names.admin):
        view["OS-EXT-SRV-ATTR:hostname"] = obj["metadata"]["name"]
    if version >= (2, 9):
        view["locked"] = bool(spec.get("locked"))
    if version >= (2, 16) and names.admin:
        view["host_status"] = "UP" if spec.get("node") else ""
    if version >= (2, 19):
        view["description"] = spec.get("description")
    if version >= (2, 26):
        view["tags"] = list(spec.get("tags") or [])
    if version >= (2, 63):
        view["trusted_image_certificates"] = None
    if version >= (2, 71) and single:
        view["server_groups"] = [spec["groupId"]] if spec.get("groupId") else []
    if version >= (2, 73):
        view["locked_reason"] = spec.get("lockedReason") or None
    if version >= (2, 96):
        view["pinned_availability_zone"] = spec.get("availabilityZone") or None
    if version >= (2, 100):
        view["scheduler_hints"] = {}
    return view


def _fault(obj: Object, names: Names) -> Json | None:
    status = obj.get("status") or {}
    if has_no_host(obj, time.time()):
        placed = find_condition(obj, "Scheduled") or {}
        message = f"No valid host was found. {placed.get('message', '')}"
        return {"code": 500, "created": placed.get("lastTransitionTime"), "message": message}
    if status.get("phase") != "Error":
        return None
    ready = find_condition(obj, "Ready") or {}
    message = status.get("fault") or ready.get("message") or "The server is in error."
    when = ready.get("lastTransitionTime") or updated_at(obj)
    return {"code": 500, "created": when, "message": message}
