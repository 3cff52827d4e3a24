# SPDX-License-Identifier: Apache-2.0
"""Which servers a list shows, in which order. Works on full views."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from lichen.apis.openstack.compute.server_state import NOVA_STATUSES
from lichen.apis.openstack.compute.server_views import Json
from lichen.apis.openstack.request import Request
from lichen.model.errors import BadRequest

_PLAIN: dict[str, Callable[[Json], Any]] = {
    "flavor": lambda v: v["flavor"].get("id") or v["_flavor_id"],
    "image": lambda v: v["image"]["id"] if v["image"] else "",
    "host": lambda v: v["_host"],
    "node": lambda v: v["_host"],
    "project_id": lambda v: v["tenant_id"],
    "tenant_id": lambda v: v["tenant_id"],
    "user_id": lambda v: v["user_id"],
    "uuid": lambda v: v["id"],
    "key_name": lambda v: v["key_name"],
    "availability_zone": lambda v: v["OS-EXT-AZ:availability_zone"],
    "vm_state": lambda v: v["OS-EXT-STS:vm_state"],
    "task_state": lambda v: v["OS-EXT-STS:task_state"],
    "power_state": lambda v: str(v["OS-EXT-STS:power_state"]),
    "description": lambda v: v.get("description"),
    "config_drive": lambda v: str(bool(v["config_drive"])),
    "locked": lambda v: str(v.get("locked", False)),
}
_ADMIN_ONLY = frozenset({"host", "node"})
_KNOWN = frozenset(_PLAIN) | {
    "name", "status", "ip", "ip6", "deleted", "all_tenants", "changes-since", "changes-before", "limit", "marker",
    "sort_key", "sort_dir", "tags", "tags-any", "not-tags", "not-tags-any", "reservation_id", "hostname",
    "access_ip_v4", "access_ip_v6", "auto_disk_config", "created_at", "display_description", "display_name",
    "instance_name", "kernel_id", "launch_index", "launched_at", "progress", "ramdisk_id", "root_device_name",
    "terminated_at", "block_device_mapping", "services", "metadata", "system_metadata", "info_cache",
    "security_groups", "soft_deleted", "pci_devices", "fault", "changes_before", "changes_since",
}  # fmt: skip
_TAGS: dict[str, Callable[[set[str], set[str]], bool]] = {
    "tags": lambda has, wanted: wanted <= has,
    "tags-any": lambda has, wanted: bool(has & wanted),
    "not-tags": lambda has, wanted: not wanted <= has,
    "not-tags-any": lambda has, wanted: not has & wanted,
}
_SORT = {
    "created_at": "created", "updated_at": "updated", "display_name": "name", "name": "name", "uuid": "id",
    "vm_state": "OS-EXT-STS:vm_state", "task_state": "OS-EXT-STS:task_state", "user_id": "user_id",
    "power_state": "OS-EXT-STS:power_state", "project_id": "tenant_id", "key_name": "key_name", "host": "_host",
    "availability_zone": "OS-EXT-AZ:availability_zone", "launched_at": "OS-SRV-USG:launched_at",
    "display_description": "description", "config_drive": "config_drive", "locked": "locked",
}  # fmt: skip


def selected(req: Request, views: list[Json]) -> list[Json]:
    """Views (with `_flavor_id` and `_host`) that pass every filter of the query, sorted. BadRequest."""
    unknown = sorted(set(req.query) - _KNOWN)
    if unknown and req.since(2, 75):
        raise BadRequest(f"Additional properties are not allowed ('{unknown[0]}' was unexpected)")
    if req.flag("deleted", False) and req.caller.is_admin:
        return []
    tests = [test for name in req.query for test in _tests(req, name)]
    return _sorted(req, [view for view in views if all(test(view) for test in tests)])


def _tests(req: Request, name: str) -> list[Callable[[Json], bool]]:
    values = req.query[name]
    if name in _ADMIN_ONLY and not req.caller.is_admin:
        return []
    if name in _PLAIN:
        read = _PLAIN[name]
        if name in ("locked", "config_drive"):
            values = [str(req.flag(name, False))]
        return [lambda view: str(read(view) or "") in values]
    if name in ("name", "display_name"):
        pattern = _pattern(name, values[-1])
        return [lambda view: pattern.search(view["name"]) is not None]
    if name in ("ip", "ip6"):
        return [_address_test(_pattern(name, values[-1]), 4 if name == "ip" else 6)]
    if name == "status":
        return [_status_test(req, values)]
    if name in _TAGS and req.since(2, 26):
        test, wanted = _TAGS[name], set(values[-1].split(","))
        return [lambda view: test(set(view["tags"]), wanted)]
    if name in ("changes-since", "changes-before"):
        return [_change_test(name, values[-1])]
    return []


def _pattern(name: str, text: str) -> re.Pattern[str]:
    """Nova matches names and addresses by regular expression. Only short ones without nested repetition are taken,
    so that no pattern can hold up the service."""
    if len(text) > 255 or re.search(r"[*+}]\)?[*+{]|\([^)]*[*+{][^)]*\)[*+{]|\\\d", text):
        return re.compile(re.escape(text))
    try:
        return re.compile(text, re.IGNORECASE)
    except re.error:
        raise BadRequest(f"Invalid input for query parameters {name}. Value: {text}. It is not a regex.") from None


def _address_test(pattern: re.Pattern[str], version: int) -> Callable[[Json], bool]:
    def test(view: Json) -> bool:
        every = (a for addresses in view["addresses"].values() for a in addresses)
        return any(a["version"] == version and pattern.search(a["addr"]) for a in every)

    return test


def _status_test(req: Request, values: list[str]) -> Callable[[Json], bool]:
    wanted = {value.upper() for value in values}
    if wanted & {"DELETED", "SOFT_DELETED"} and not req.caller.is_admin:
        wanted -= {"DELETED", "SOFT_DELETED"}
    known = wanted & NOVA_STATUSES
    return lambda view: view["status"] in known


def _change_test(name: str, text: str) -> Callable[[Json], bool]:
    try:
        moment = datetime.fromisoformat(text.replace(" ", "+"))
    except ValueError:
        raise BadRequest(f"Invalid input for query parameters {name}. Value: {text}. It is not ISO 8601.") from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)

    def test(view: Json) -> bool:
        updated = datetime.fromisoformat(view["updated"])
        return updated >= moment if name == "changes-since" else updated <= moment

    return test


def _sorted(req: Request, views: list[Json]) -> list[Json]:
    keys, directions = req.query.get("sort_key", []), req.query.get("sort_dir", [])
    if any(direction not in ("asc", "desc") for direction in directions):
        raise BadRequest("Invalid input for query parameters sort_dir: it must be asc or desc.")
    if len(directions) > max(len(keys), 1):
        raise BadRequest("Sort direction size exceeds sort key size")
    keys = [*keys, *(key for key in ("created_at", "uuid") if key not in keys)]
    last = directions[-1] if directions else "desc"
    directions = [*directions, *[last] * (len(keys) - len(directions))]
    for key, direction in reversed(list(zip(keys, directions, strict=True))):
        if key not in _SORT:
            raise BadRequest(f"Invalid input for query parameters sort_key. Value: {key}.")
        views.sort(key=lambda v, k=_SORT[key]: _sortable(v.get(k)), reverse=direction == "desc")  # type: ignore[misc]
    return views


def _sortable(value: Any) -> tuple[int, Any]:
    return (0, value) if isinstance(value, int) else (1, "" if value is None else str(value))
