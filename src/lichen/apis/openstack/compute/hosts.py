# SPDX-License-Identifier: Apache-2.0
"""Nodes as Nova's hypervisors, services and availability zones."""

from __future__ import annotations

import re
from typing import Any

from lichen.apis.openstack import projects
from lichen.apis.openstack.compute.server_views import Json
from lichen.apis.openstack.nodes import heard_at, is_enabled, is_ready, nodes_and_leases, zone_of
from lichen.apis.openstack.paging import nova_links, page
from lichen.apis.openstack.reply import Reply
from lichen.apis.openstack.request import Request
from lichen.apis.openstack.zones import usable_zones
from lichen.kinds.builtin import LEASE, NODE
from lichen.kinds.compute.server import Server
from lichen.model.data import Object
from lichen.model.errors import BadRequest, NotFound
from lichen.model.meta import annotations_of, name_of, uid_of
from lichen.model.names import SYSTEM_NAMESPACE

DISABLED_REASON = "lichen.dev/disabled-reason"
"""Annotation of a Node: why an operator closed it to new workloads."""


async def list_hypervisors(req: Request) -> Reply:
    return await _list(req, detailed=False)


async def list_hypervisors_detail(req: Request) -> Reply:
    return await _list(req, detailed=True)


async def show_hypervisor(req: Request, id: str) -> Reply:
    nodes = await _nodes(req)
    number = {uid_of(node): index + 1 for index, node in enumerate(nodes)}
    for node in nodes:
        if id == (uid_of(node) if req.since(2, 53) else str(number[uid_of(node)])):
            servers = await _servers(req)
            return Reply({"hypervisor": _hypervisor(req, node, servers, number, detailed=True, single=True)})
    raise NotFound(f"Hypervisor with ID '{id}' could not be found.")


async def hypervisor_statistics(req: Request) -> Reply:
    servers = await _servers(req)
    rows = [_figures(node, servers) for node in await _nodes(req)]
    return Reply({"hypervisor_statistics": {"count": len(rows), **_sums(rows)}})


async def list_services(req: Request) -> Reply:
    found = [_node_service(req, n, i + 1, lease) for i, (n, lease) in enumerate(await nodes_and_leases(req))]
    found += [_part_service(req, lease, len(found) + i + 1) for i, lease in enumerate(await _part_leases(req))]
    binary, host = req.arg("binary"), req.arg("host")
    kept = [s for s in found if binary in ("", s["binary"]) and host in ("", s["host"])]
    return Reply({"services": kept})


async def update_service(req: Request, id: str) -> Reply:
    """Opens or closes a node to new workloads."""
    wanted = await req.document()
    status, reason = wanted.get("status"), wanted.get("disabled_reason")
    if set(wanted) - {"status", "disabled_reason"} or status not in ("enabled", "disabled"):
        raise BadRequest("A service can be enabled or disabled, with a disabled_reason; nothing else can be changed.")
    if reason is not None and (status == "enabled" or not isinstance(reason, str) or not 0 < len(reason) <= 255):
        raise BadRequest("A disabled_reason is a text of 1 to 255 characters, and comes with status disabled.")
    for index, (node, lease) in enumerate(await nodes_and_leases(req)):
        if uid_of(node) == id:
            patch = {
                "spec": {"unschedulable": True if status == "disabled" else None},
                "metadata": {"annotations": {DISABLED_REASON: reason}},
            }
            changed = await req.state.patch(NODE, name_of(node), "", patch)
            return Reply({"service": _node_service(req, changed, index + 1, lease)})
    raise NotFound(f"Service {id} could not be found.")


async def list_zones(req: Request) -> Reply:
    return Reply(
        {"availabilityZoneInfo": [_zone(name, usable, None) for name, usable in (await usable_zones(req)).items()]}
    )


async def list_zones_detail(req: Request) -> Reply:
    hosts: dict[str, Json] = {}
    usable: dict[str, bool] = {}
    for node, lease in await nodes_and_leases(req):
        zone, ready = zone_of(node), is_ready(node)
        usable[zone] = usable.get(zone, False) or (ready and is_enabled(node))
        beat = heard_at(node, lease).replace(" ", "T") + ".000000"
        state = {"available": ready, "active": is_enabled(node), "updated_at": beat}
        hosts.setdefault(zone, {})[name_of(node)] = {"nova-compute": state}
    return Reply({"availabilityZoneInfo": [_zone(name, usable[name], hosts[name]) for name in sorted(hosts)]})


# --- hypervisors ---


async def _list(req: Request, *, detailed: bool) -> Reply:
    nodes = await _nodes(req)
    number = {uid_of(node): index + 1 for index, node in enumerate(nodes)}
    pattern = req.arg("hypervisor_hostname_pattern")
    if pattern and req.since(2, 53):
        nodes = [node for node in nodes if pattern in name_of(node)]
        if not nodes:
            raise NotFound(f"No hypervisor matching '{pattern}' could be found.")
    servers = await _servers(req)
    views = [_hypervisor(req, node, servers, number, detailed=detailed) for node in nodes]
    if not req.since(2, 33):
        return Reply({"hypervisors": views})
    shown, marker = page(req, views, lambda v: str(v["id"]))
    return Reply({"hypervisors": shown, **nova_links(req, "hypervisors", marker)})


def _hypervisor(
    req: Request, node: Object, servers: list[Object], number: dict[str, int], *, detailed: bool, single: bool = False
) -> Json:
    view: Json = {
        "id": uid_of(node) if req.since(2, 53) else number[uid_of(node)],
        "hypervisor_hostname": name_of(node),
        "state": "up" if is_ready(node) else "down",
        "status": "enabled" if is_enabled(node) else "disabled",
    }
    if req.since(2, 53) and req.flag("with_servers", False):
        mine = [s for s in servers if s["spec"].get("node") == name_of(node)]
        view["servers"] = [{"uuid": s["spec"]["id"], "name": s["spec"].get("displayName", "")} for s in mine]
    if not detailed:
        return view
    info = (node.get("status") or {}).get("nodeInfo") or {}
    view |= {
        "hypervisor_type": "QEMU",
        "hypervisor_version": _version_number(str(annotations_of(node).get("lichen.dev/qemu-version", ""))),
        "host_ip": _host_ip(node),
        "service": {"id": view["id"], "host": name_of(node), "disabled_reason": _reason(node)},
    }
    if not req.since(2, 88):
        view |= _figures(node, servers)
        view["cpu_info"] = {"arch": info.get("architecture", "")} if req.since(2, 28) else ""
    elif single or detailed:
        view["uptime"] = None
    return view


def _figures(node: Object, servers: list[Object]) -> Json:
    """What a node has and what servers were promised of it, in Nova's units: MiB and GiB."""
    capacity = (node.get("status") or {}).get("capacity") or {}
    mine = [s for s in servers if s["spec"].get("node") == name_of(node)]
    sizes = [s["spec"].get("resources") or {} for s in mine]
    memory = int(projects.quantity(str(capacity.get("memory", "0"))) / (1 << 20))
    disk = int(projects.quantity(str(capacity.get("ephemeral-storage", "0"))) / (1 << 30))
    memory_used = sum(s.get("memory", 0) for s in sizes)
    disk_used = sum(s.get("disk", 0) + s.get("ephemeral", 0) for s in sizes)
    return {
        "vcpus": int(projects.quantity(str(capacity.get("cpu", "0")))),
        "vcpus_used": sum(s.get("vcpus", 0) for s in sizes),
        "memory_mb": memory,
        "memory_mb_used": memory_used,
        "free_ram_mb": memory - memory_used,
        "local_gb": disk,
        "local_gb_used": disk_used,
        "free_disk_gb": disk - disk_used,
        "disk_available_least": disk - disk_used,
        "running_vms": len(mine),
        "current_workload": sum(1 for s in mine if (s.get("status") or {}).get("task")),
    }


def _sums(rows: list[Json]) -> Json:
    names = _figures({"metadata": {"name": ""}}, [])
    return {name: sum(row[name] for row in rows) for name in names}


def _version_number(text: str) -> int:
    """`7.2.11` as Nova writes it: 7002011; 0 if it is not known."""
    match = re.match(r"(\d+)\.(\d+)(?:\.(\d+))?", text)
    return int(match[1]) * 1_000_000 + int(match[2]) * 1000 + int(match[3] or 0) if match else 0


def _host_ip(node: Object) -> str:
    addresses = (node.get("status") or {}).get("addresses") or []
    return next((a["address"] for a in addresses if a.get("type") == "InternalIP"), "")


def _reason(node: Object) -> str | None:
    return None if is_enabled(node) else annotations_of(node).get(DISABLED_REASON)


# --- services and zones ---


def _node_service(req: Request, node: Object, number: int, lease: Object | None) -> Json:
    view: Json = {
        "id": uid_of(node) if req.since(2, 53) else number,
        "binary": "nova-compute",
        "host": name_of(node),
        "zone": zone_of(node),
        "status": "enabled" if is_enabled(node) else "disabled",
        "state": "up" if is_ready(node) else "down",
        "updated_at": heard_at(node, lease).replace(" ", "T") + ".000000",
        "disabled_reason": _reason(node),
    }
    return {**view, "forced_down": False} if req.since(2, 11) else view


def _part_service(req: Request, lease: Object, number: int) -> Json:
    """A part of the control plane that holds a Lease of its own."""
    spec = lease.get("spec") or {}
    view: Json = {
        "id": uid_of(lease) if req.since(2, 53) else number,
        "binary": name_of(lease),
        "host": spec.get("holderIdentity") or "",
        "zone": "internal",
        "status": "enabled",
        "state": "up" if spec.get("holderIdentity") else "down",
        "updated_at": (spec.get("renewTime") or "")[:19] + ".000000" if spec.get("renewTime") else None,
        "disabled_reason": None,
    }
    return {**view, "forced_down": False} if req.since(2, 11) else view


def _zone(name: str, usable: bool, hosts: Any) -> Json:
    return {"zoneName": name, "zoneState": {"available": usable}, "hosts": hosts}


async def _nodes(req: Request) -> list[Object]:
    return sorted((await req.state.list(NODE)).items, key=name_of)


async def _servers(req: Request) -> list[Object]:
    return (await req.state.list(Server.KIND)).items


async def _part_leases(req: Request) -> list[Object]:
    return (await req.state.list(LEASE, SYSTEM_NAMESPACE)).items
