# SPDX-License-Identifier: Apache-2.0
"""Nodes as every service sees them: zone, readiness, when they were last heard of."""

from __future__ import annotations

from lichen.apis.openstack.request import Request
from lichen.kinds.builtin import LEASE, NODE
from lichen.model.data import Object
from lichen.model.meta import find_condition, labels_of, name_of

ZONE_LABEL = "topology.kubernetes.io/zone"
DEFAULT_ZONE = "nova"
"""What OpenStack calls the zone of a host that has none."""
NODE_LEASES = "kube-node-lease"


async def nodes_and_leases(req: Request) -> list[tuple[Object, Object | None]]:
    """All nodes by name, each with the Lease that it renews, if it has one."""
    leases = {name_of(lease): lease for lease in (await req.state.list(LEASE, NODE_LEASES)).items}
    nodes = sorted((await req.state.list(NODE)).items, key=name_of)
    return [(node, leases.get(name_of(node))) for node in nodes]


def zone_of(node: Object) -> str:
    return labels_of(node).get(ZONE_LABEL) or DEFAULT_ZONE


def is_ready(node: Object) -> bool:
    return (find_condition(node, "Ready") or {}).get("status") == "True"


def is_enabled(node: Object) -> bool:
    return not (node.get("spec") or {}).get("unschedulable", False)


def heard_at(node: Object, lease: Object | None = None) -> str:
    """When the node last gave a sign of life, as `2026-01-01 00:00:00`: its Lease's renewal, else its condition's."""
    renewed = ((lease or {}).get("spec") or {}).get("renewTime") or ""
    beat = (find_condition(node, "Ready") or {}).get("lastHeartbeatTime") or ""
    newest = max(renewed[:19], beat[:19]) or node["metadata"].get("creationTimestamp", "")[:19]
    return newest.replace("T", " ")
