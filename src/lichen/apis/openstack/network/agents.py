# SPDX-License-Identifier: Apache-2.0
"""Nodes as Neutron's agents, their zones, and how full networks are."""

from __future__ import annotations

import ipaddress

from lichen.apis.openstack.network.common import see, visible
from lichen.apis.openstack.network.filters import Json, listing
from lichen.apis.openstack.nodes import heard_at, is_enabled, is_ready, nodes_and_leases, zone_of
from lichen.apis.openstack.projects import project_ids
from lichen.apis.openstack.reply import Reply
from lichen.apis.openstack.request import Request
from lichen.apis.openstack.zones import usable_zones
from lichen.kinds.network.network import Network
from lichen.kinds.network.port import Port
from lichen.kinds.network.subnet import Subnet
from lichen.model.data import Object
from lichen.model.errors import NotFound
from lichen.model.meta import name_of, namespace_of, uid_of

ATTRIBUTES = frozenset({"id", "agent_type", "binary", "host", "alive", "admin_state_up", "topic", "availability_zone"})


async def list_agents(req: Request) -> Reply:
    return listing(req, "agents", await _agents(req), ATTRIBUTES)


async def show_agent(req: Request, id: str) -> Reply:
    agent = next((a for a in await _agents(req) if a["id"] == id), None)
    if agent is None:
        raise NotFound(f"Agent {id} could not be found", kind="Agent")
    return Reply({"agent": agent})


async def list_zones(req: Request) -> Reply:
    views = [
        {"name": name, "resource": resource, "state": "available" if usable else "unavailable"}
        for name, usable in (await usable_zones(req)).items()
        for resource in ("network", "router")
    ]
    return listing(req, "availability_zones", views, frozenset({"name", "resource", "state"}))


async def list_ip_availabilities(req: Request) -> Reply:
    networks = await visible(req, Network.KIND)
    return Reply({"network_ip_availabilities": await _availabilities(req, networks)})


async def show_ip_availability(req: Request, id: str) -> Reply:
    shown = await _availabilities(req, [await see(req, Network.KIND, id)])
    return Reply({"network_ip_availability": shown[0]})


async def _agents(req: Request) -> list[Json]:
    return [_agent(node, lease) for node, lease in await nodes_and_leases(req)]


def _agent(node: Object, lease: Object | None) -> Json:
    created = node["metadata"].get("creationTimestamp", "")[:19].replace("T", " ")
    return {
        "id": uid_of(node),
        "agent_type": "Node agent",
        "binary": "lichen-agent",
        "host": name_of(node),
        "topic": "N/A",
        "alive": is_ready(node),
        "admin_state_up": is_enabled(node),
        "availability_zone": zone_of(node),
        "created_at": created,
        "started_at": created,
        "heartbeat_timestamp": heard_at(node, lease),
        "description": None,
        "configurations": {},
    }


async def _availabilities(req: Request, networks: list[Object]) -> list[Json]:
    projects = await project_ids(req, networks)
    subnets = (await req.state.list(Subnet.KIND)).items
    ports = (await req.state.list(Port.KIND)).items
    used: dict[str, int] = {}
    for port in ports:
        for ip in port["spec"].get("fixedIps") or []:
            used[ip.get("subnetId", "")] = used.get(ip.get("subnetId", ""), 0) + 1
    return [_availability(n, subnets, used, projects[namespace_of(n)]) for n in networks]


def _availability(network: Object, subnets: list[Object], used: dict[str, int], project_id: str) -> Json:
    spec = network["spec"]
    rows = [_subnet_row(s, used) for s in subnets if s["spec"].get("networkId") == spec["id"]]
    return {
        "network_id": spec["id"],
        "network_name": spec.get("displayName", name_of(network)),
        "tenant_id": project_id,
        "project_id": project_id,
        "subnet_ip_availability": rows,
        "total_ips": sum(row["total_ips"] for row in rows),
        "used_ips": sum(row["used_ips"] for row in rows),
    }


def _subnet_row(subnet: Object, used: dict[str, int]) -> Json:
    spec = subnet["spec"]
    return {
        "subnet_id": spec["id"],
        "subnet_name": spec.get("displayName", name_of(subnet)),
        "cidr": spec["cidr"],
        "ip_version": 6 if ":" in spec["cidr"] else 4,
        "total_ips": sum(_size(pool) for pool in spec.get("allocationPools") or []),
        "used_ips": used.get(spec["id"], 0),
    }


def _size(pool: Object) -> int:
    return int(ipaddress.ip_address(pool["end"])) - int(ipaddress.ip_address(pool["start"])) + 1
