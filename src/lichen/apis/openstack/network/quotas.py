# SPDX-License-Identifier: Apache-2.0
"""Limits of a project on networks, subnets and ports: its ResourceQuotas, in Neutron's words. -1 is unlimited."""

from __future__ import annotations

from typing import Any

from lichen.apis.openstack.network.filters import Json
from lichen.apis.openstack.projects import (
    UNLIMITED,
    checked_limits,
    hard_limits,
    limit,
    namespace_of_project,
    set_hard,
)
from lichen.apis.openstack.reply import Reply, no_content
from lichen.apis.openstack.request import Request
from lichen.kinds.builtin import NAMESPACE, RESOURCE_QUOTA
from lichen.kinds.network.floatingip import FloatingIP
from lichen.kinds.network.network import Network
from lichen.kinds.network.port import Port
from lichen.kinds.network.router import Router
from lichen.kinds.network.securitygroup import SecurityGroup
from lichen.kinds.network.subnet import Subnet
from lichen.kinds.network.subnetpool import SubnetPool
from lichen.model.kind import Kind
from lichen.model.meta import labels_of, name_of, namespace_of
from lichen.model.names import PROJECT_ID

_RESOURCES: dict[str, Kind] = {
    "network": Network.KIND, "subnet": Subnet.KIND, "port": Port.KIND, "security_group": SecurityGroup.KIND,
    "router": Router.KIND, "floatingip": FloatingIP.KIND,
    "subnetpool": SubnetPool.KIND,
}  # fmt: skip


async def show_quota(req: Request, project_id: str) -> Reply:
    limits = await hard_limits(req, await namespace_of_project(req, project_id))
    return Reply({"quota": _limits(limits)})


async def show_defaults(req: Request, project_id: str) -> Reply:
    await namespace_of_project(req, project_id)
    return Reply({"quota": dict.fromkeys(_RESOURCES, UNLIMITED)})


async def show_details(req: Request, project_id: str) -> Reply:
    namespace = await namespace_of_project(req, project_id)
    limits = _limits(await hard_limits(req, namespace))
    return Reply({"quota": {n: await _detail(req, k, namespace, limits[n]) for n, k in _RESOURCES.items()}})


async def update_quota(req: Request, project_id: str) -> Reply:
    wanted = await req.json("quota", dict[str, Any])
    rest = {key: most for key, most in wanted.items() if key not in ("project_id", "tenant_id", "check_limit", "force")}
    given = checked_limits(rest, _RESOURCES)
    hard = {f"count/{_RESOURCES[n].resource}": None if m == UNLIMITED else str(m) for n, m in given.items()}
    namespace = await set_hard(req, project_id, hard, f"Project {project_id} could not be found.")
    return Reply({"quota": _limits(await hard_limits(req, namespace))})


async def delete_quota(req: Request, project_id: str) -> Reply:
    """Back to the defaults: no limit."""
    hard: dict[str, str | None] = {f"count/{kind.resource}": None for kind in _RESOURCES.values()}
    await set_hard(req, project_id, hard, f"Project {project_id} could not be found.")
    return no_content()


async def list_quotas(req: Request) -> Reply:
    """Those of the projects that have any (for the cloud's admin)."""
    quotas = (await req.state.list(RESOURCE_QUOTA)).items
    with_quota = {namespace_of(q) for q in quotas}
    shown = []
    for namespace in (await req.state.list(NAMESPACE)).items:
        if name_of(namespace) in with_quota:
            project_id = labels_of(namespace).get(PROJECT_ID, "")
            limits = _limits(await hard_limits(req, name_of(namespace)))
            shown.append({"project_id": project_id, "tenant_id": project_id, **limits})
    return Reply({"quotas": shown})


def _limits(limits: dict[str, float]) -> dict[str, int]:
    return {name: limit(limits, f"count/{kind.resource}") for name, kind in _RESOURCES.items()}


async def _detail(req: Request, kind: Kind, namespace: str | None, most: int) -> Json:
    used = len((await req.state.list(kind, namespace)).items) if namespace else 0
    return {"limit": most, "used": used, "reserved": 0}
