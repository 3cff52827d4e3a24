# SPDX-License-Identifier: Apache-2.0
"""Limits and use of a project: its ResourceQuotas in Cinder's words. -1 is unlimited."""

from __future__ import annotations

from typing import Any

from lichen.apis.openstack.projects import (
    UNLIMITED,
    checked_limits,
    hard_limits,
    limit,
    namespace_of_project,
    set_hard,
)
from lichen.apis.openstack.reply import Reply
from lichen.apis.openstack.request import Request
from lichen.apis.openstack.volume.views import Json
from lichen.kinds.volume.snapshot import VolumeSnapshot
from lichen.kinds.volume.volume import Volume
from lichen.model.errors import BadRequest

_RESOURCES: dict[str, tuple[str, float]] = {
    "volumes": (f"count/{Volume.KIND.resource}", 1),
    "snapshots": (f"count/{VolumeSnapshot.KIND.resource}", 1),
    "gigabytes": ("requests.storage", 1 << 30),
}
"""What a ResourceQuota can bound: its name there, and Cinder's unit."""
_FIXED = {"per_volume_gigabytes": UNLIMITED, "backups": 0, "backup_gigabytes": 0, "groups": 0}
"""There are no backups and no groups."""


async def show_quota(req: Request, quota_project_id: str) -> Reply:
    namespace = await namespace_of_project(req, quota_project_id)
    most = _of_project(await hard_limits(req, namespace))
    if not req.flag("usage", False):
        return Reply({"quota_set": {"id": quota_project_id, **most}})
    used = await _used(req, namespace)
    detail = {name: {"limit": value, "in_use": used.get(name, 0), "reserved": 0} for name, value in most.items()}
    return Reply({"quota_set": {"id": quota_project_id, **detail}})


async def update_quota(req: Request, quota_project_id: str) -> Reply:
    """Writes the project's ResourceQuota: gigabytes are those of volumes and claims together."""
    wanted = await req.json("quota_set", dict[str, Any])
    rest = {key: most for key, most in wanted.items() if key not in ("tenant_id", "force", "skip_validation")}
    given = checked_limits(rest, {*_RESOURCES, *_FIXED})
    fixed = sorted(name for name, most in given.items() if name in _FIXED and most not in (UNLIMITED, _FIXED[name]))
    if fixed:
        raise BadRequest(f"This quota cannot be set on this cloud: {', '.join(fixed)}.")
    kept = {name: most for name, most in given.items() if name in _RESOURCES}
    message = f"Project {quota_project_id} could not be found."
    namespace = await set_hard(req, quota_project_id, _hard(kept), message)
    return Reply({"quota_set": _of_project(await hard_limits(req, namespace))})


async def delete_quota(req: Request, quota_project_id: str) -> Reply:
    """Back to the defaults: no limit."""
    message = f"Project {quota_project_id} could not be found."
    await set_hard(req, quota_project_id, _hard(dict.fromkeys(_RESOURCES, UNLIMITED)), message)
    return Reply()


def _hard(limits: dict[str, int]) -> dict[str, str | None]:
    """As a ResourceQuota says it; unlimited is no entry."""
    unit = {"gigabytes": "Gi"}
    return {_RESOURCES[n][0]: None if m == UNLIMITED else f"{m}{unit.get(n, '')}" for n, m in limits.items()}


async def show_defaults(req: Request, quota_project_id: str) -> Reply:
    return Reply({"quota_set": {"id": quota_project_id, **_of_project({})}})


async def show_limits(req: Request) -> Reply:
    most = _of_project(await hard_limits(req, req.namespace))
    used = await _used(req, req.namespace)
    absolute: Json = {
        "maxTotalVolumes": most["volumes"],
        "maxTotalSnapshots": most["snapshots"],
        "maxTotalVolumeGigabytes": most["gigabytes"],
        "maxTotalBackups": 0,
        "maxTotalBackupGigabytes": 0,
        "totalVolumesUsed": used["volumes"],
        "totalSnapshotsUsed": used["snapshots"],
        "totalGigabytesUsed": used["gigabytes"],
        "totalBackupsUsed": 0,
        "totalBackupGigabytesUsed": 0,
    }
    return Reply({"limits": {"rate": [], "absolute": absolute}})


def _of_project(hard: dict[str, float]) -> dict[str, int]:
    return {name: limit(hard, resource, unit) for name, (resource, unit) in _RESOURCES.items()} | _FIXED


async def _used(req: Request, namespace: str | None) -> dict[str, int]:
    volumes = (await req.state.list(Volume.KIND, namespace)).items if namespace else []
    snapshots = (await req.state.list(VolumeSnapshot.KIND, namespace)).items if namespace else []
    gigabytes = sum(volume["spec"].get("size", 0) for volume in volumes)
    return {"volumes": len(volumes), "snapshots": len(snapshots), "gigabytes": gigabytes}
