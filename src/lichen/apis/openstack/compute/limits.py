# SPDX-License-Identifier: Apache-2.0
"""Limits and use of a project: its ResourceQuotas in Nova's words. -1 is unlimited, which is what no quota means."""

from __future__ import annotations

from fractions import Fraction
from math import ceil
from typing import Any

from lichen.apis.openstack.compute.server_views import Json
from lichen.apis.openstack.projects import (
    UNLIMITED,
    checked_limits,
    hard_limits,
    limit,
    namespace_of_project,
    set_hard,
)
from lichen.apis.openstack.reply import Reply, accepted
from lichen.apis.openstack.request import Request
from lichen.kernel.admission.charges import charge
from lichen.kinds.builtin import POD
from lichen.kinds.compute.keypair import Keypair
from lichen.kinds.compute.server import Server
from lichen.kinds.compute.servergroup import ServerGroup
from lichen.model.errors import BadRequest

_MIB = 1 << 20
_RESOURCES: dict[str, tuple[str, float]] = {
    "instances": (f"count/{Server.KIND.resource}", 1),
    "cores": ("requests.cpu", 1),
    "ram": ("requests.memory", _MIB),
    "key_pairs": (f"count/{Keypair.KIND.resource}", 1),
    "server_groups": (f"count/{ServerGroup.KIND.resource}", 1),
}
"""What a ResourceQuota can bound: its name there, and Nova's unit."""
_FIXED = {"metadata_items": 128, "server_group_members": UNLIMITED}
"""What the dialect itself bounds."""
_INJECTED = {"injected_files": 0, "injected_file_content_bytes": 0, "injected_file_path_bytes": 0}
_NETWORK = dict.fromkeys(("fixed_ips", "floating_ips", "security_groups", "security_group_rules"), UNLIMITED)


async def show_quota(req: Request, project_id: str) -> Reply:
    limits = await hard_limits(req, await namespace_of_project(req, project_id))
    return Reply({"quota_set": {"id": project_id, **_shown(req, _of_project(limits))}})


async def show_defaults(req: Request, project_id: str) -> Reply:
    await namespace_of_project(req, project_id)
    return Reply({"quota_set": {"id": project_id, **_shown(req, _of_project({}))}})


async def show_detail(req: Request, project_id: str) -> Reply:
    namespace = await namespace_of_project(req, project_id)
    shown = _shown(req, _of_project(await hard_limits(req, namespace)))
    used = await _used(req, namespace)
    detail = {name: {"limit": most, "in_use": used.get(name, 0), "reserved": 0} for name, most in shown.items()}
    return Reply({"quota_set": {"id": project_id, **detail}})


async def update_quota(req: Request, project_id: str) -> Reply:
    """Writes the project's ResourceQuota: its cores and memory are those of servers and pods together."""
    wanted = await req.json("quota_set", dict[str, Any])
    force = wanted.pop("force", False)
    wanted.pop("tenant_id", None)
    given = checked_limits(wanted, {*_RESOURCES, *_FIXED, *_INJECTED, *_NETWORK})
    kept = {name: most for name, most in given.items() if name in _RESOURCES}
    ignored = sorted(name for name, most in given.items() if name not in kept and most != UNLIMITED)
    if ignored:
        raise BadRequest(f"This quota is not compute's to set on this cloud: {', '.join(ignored)}.")
    used = await _used(req, await namespace_of_project(req, project_id))
    for name, most in kept.items():
        if force is not True and UNLIMITED < most < used.get(name, 0):
            raise BadRequest(
                f"Quota limit {most} for {name} must be greater than or equal to already used {used[name]}."
            )
    namespace = await set_hard(req, project_id, _hard(kept), f"Project {project_id} could not be found.")
    return Reply({"quota_set": _shown(req, _of_project(await hard_limits(req, namespace)))})


async def delete_quota(req: Request, project_id: str) -> Reply:
    """Back to the defaults: no limit."""
    await set_hard(req, project_id, _hard(dict.fromkeys(_RESOURCES, UNLIMITED)), f"Project {project_id} not found.")
    return accepted()


def _hard(limits: dict[str, int]) -> dict[str, str | None]:
    """As a ResourceQuota says it; unlimited is no entry."""
    hard: dict[str, str | None] = {}
    for name, most in limits.items():
        resource = _RESOURCES[name][0]
        hard[resource] = None if most == UNLIMITED else f"{most}Mi" if name == "ram" else str(most)
    return hard


async def show_limits(req: Request) -> Reply:
    namespace = await _asked_for(req)
    limits = _of_project(await hard_limits(req, namespace))
    used = await _used(req, namespace)
    absolute: Json = {
        "maxTotalInstances": limits["instances"],
        "maxTotalCores": limits["cores"],
        "maxTotalRAMSize": limits["ram"],
        "maxTotalKeypairs": limits["key_pairs"],
        "maxServerMeta": _FIXED["metadata_items"],
        "maxServerGroups": limits["server_groups"],
        "maxServerGroupMembers": _FIXED["server_group_members"],
        "totalInstancesUsed": used["instances"],
        "totalCoresUsed": used["cores"],
        "totalRAMUsed": used["ram"],
        "totalServerGroupsUsed": 0,
    }
    if not req.since(2, 39):
        absolute["maxImageMeta"] = 128
    if not req.since(2, 57):
        absolute |= {"maxPersonality": 0, "maxPersonalitySize": 0}
    if not req.since(2, 36):
        absolute |= {
            "maxTotalFloatingIps": UNLIMITED,
            "totalFloatingIpsUsed": 0,
            "maxSecurityGroups": UNLIMITED,
            "maxSecurityGroupRules": UNLIMITED,
            "totalSecurityGroupsUsed": 0,
        }
    return Reply({"limits": {"rate": [], "absolute": absolute}})


async def _asked_for(req: Request) -> str | None:
    """The namespace of `tenant_id`, else the caller's own."""
    wanted = req.arg("tenant_id")
    return await namespace_of_project(req, wanted) if wanted else req.namespace


def _of_project(hard: dict[str, float]) -> dict[str, int]:
    return {name: limit(hard, resource, unit) for name, (resource, unit) in _RESOURCES.items()} | _FIXED


def _shown(req: Request, limits: dict[str, int]) -> dict[str, int]:
    more = {} if req.since(2, 57) else _INJECTED
    return {**limits, **more, **({} if req.since(2, 36) else _NETWORK)}


async def _used(req: Request, namespace: str | None) -> dict[str, int]:
    """What a quota counts: cores and memory of servers and of pods together, each rounded up."""
    servers = (await req.state.list(Server.KIND, namespace)).items if namespace else []
    pods = (await req.state.list(POD, namespace)).items if namespace else []
    taken = [charge(Server.KIND, server) for server in servers] + [charge(POD, pod) for pod in pods]
    return {
        "instances": len(servers),
        "cores": ceil(sum(amounts.get("requests.cpu", Fraction(0)) for amounts in taken)),
        "ram": ceil(sum(amounts.get("requests.memory", Fraction(0)) for amounts in taken) / _MIB),
    }
