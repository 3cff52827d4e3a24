# SPDX-License-Identifier: Apache-2.0
"""Where volumes are: nodes as Cinder's services and pools; zones; attachments; what else clients ask for first."""

from __future__ import annotations

from lichen.apis.openstack.nodes import heard_at, is_enabled, is_ready, nodes_and_leases, zone_of
from lichen.apis.openstack.projects import project_ids, quantity
from lichen.apis.openstack.reply import Reply
from lichen.apis.openstack.request import Request
from lichen.apis.openstack.volume import common
from lichen.apis.openstack.volume.views import Json, attachment_view, pool_of
from lichen.apis.openstack.zones import usable_zones
from lichen.kinds.builtin import NODE
from lichen.kinds.volume.volume import Volume
from lichen.model.data import Object
from lichen.model.errors import NotFound
from lichen.model.meta import name_of, namespace_of

FILTERS = {
    "volume": ["name", "status", "metadata", "bootable", "availability_zone", "description", "volume_type"],
    "snapshot": ["name", "status", "volume_id", "metadata", "description"],
    "attachment": ["volume_id", "status"],
}


EXTENDED = "2026-01-01T00:00:00+00:00"
EXTENSIONS = (
    ("AvailabilityZones", "os-availability-zone", "Zones that volumes can be in."),
    ("ExtendedSnapshotAttributes", "os-extended-snapshot-attributes", "Whose a snapshot is."),
    ("Hosts", "os-hosts", "Hosts that keep volumes, for the cloud's admin."),
    ("Quotas", "os-quota-sets", "What a project may have."),
    ("Services", "os-services", "Nodes as services, for the cloud's admin."),
    ("TypesExtraSpecs", "os-types-extra-specs", "Properties of volume types."),
    ("VolumeActions", "os-volume-actions", "Verbs on volumes."),
    ("VolumeImageMetadata", "os-vol-image-meta", "What a volume's image said of itself."),
    ("VolumeTenantAttribute", "os-vol-tenant-attr", "Whose a volume is."),
)
"""Name, alias, description."""


async def list_services(req: Request) -> Reply:
    services = await _services(req)
    host, binary = req.arg("host"), req.arg("binary")
    kept = [s for s in services if host in ("", s["host"]) and binary in ("", s["binary"])]
    return Reply({"services": kept})


async def list_pools(req: Request) -> Reply:
    volumes = (await req.state.list(Volume.KIND)).items
    pools: list[Json] = []
    for node in await _nodes(req):
        pool: Json = {"name": pool_of(name_of(node))}
        if req.flag("detail", False):
            pool["capabilities"] = _capabilities(node, volumes)
        pools.append(pool)
    return Reply({"pools": pools})


async def list_zones(req: Request) -> Reply:
    zones = (await usable_zones(req)).items()
    return Reply({"availabilityZoneInfo": [{"zoneName": zone, "zoneState": {"available": up}} for zone, up in zones]})


async def list_attachments(req: Request) -> Reply:
    return await _attachments(req, detailed=False)


async def list_attachments_detail(req: Request) -> Reply:
    return await _attachments(req, detailed=True)


async def show_attachment(req: Request, id: str) -> Reply:
    for attachment in await common.attachments(req, everywhere=req.caller.is_admin):
        if attachment["spec"].get("id") == id:
            return Reply({"attachment": attachment_view(req, attachment)})
    raise NotFound(f"Volume attachment could not be found with filter: attachment_id = {id}.")


async def list_filters(req: Request) -> Reply:
    wanted = req.arg("resource")
    found = [{"resource": name, "filters": names} for name, names in FILTERS.items() if wanted in ("", name)]
    return Reply({"resource_filters": found})


async def list_extensions(req: Request) -> Reply:
    """Everything is built in; these are the names that older clients look for."""
    shown = [{"name": n, "alias": a, "description": d, "updated": EXTENDED, "links": []} for n, a, d in EXTENSIONS]
    return Reply({"extensions": shown})


async def list_hosts(req: Request) -> Reply:
    rows = [(s, s["host"]) for s in await _services(req)]
    shown = [
        {
            "host_name": host,
            "service": s["binary"],
            "zone": s["zone"],
            "service-status": "available" if s["state"] == "up" else "unavailable",
            "service-state": s["status"],
            "last-update": s["updated_at"],
        }
        for s, host in rows
    ]
    return Reply({"hosts": shown})


async def show_host(req: Request, id: str) -> Reply:
    node = next((n for n, lease in await nodes_and_leases(req) if _service(n, lease)["host"] == id), None)
    if node is None:
        raise NotFound(f"Host {id} could not be found.")
    volumes = [v for v in (await req.state.list(Volume.KIND)).items if v["spec"].get("node") == name_of(node)]
    projects = await project_ids(req, volumes)
    rows = [_resource(id, "(total)", volumes)]
    for project in sorted(set(projects.values()) if volumes else ()):
        rows.append(_resource(id, project, [v for v in volumes if projects.get(namespace_of(v)) == project]))
    return Reply({"host": rows})


def _resource(host: str, project: str, volumes: list[Object]) -> Json:
    gib = sum(volume["spec"].get("size", 0) for volume in volumes)
    counts = {"volume_count": str(len(volumes)), "total_volume_gb": str(gib)}
    return {"resource": {"host": host, "project": project, **counts, "snapshot_count": "0", "total_snapshot_gb": "0"}}


async def _attachments(req: Request, *, detailed: bool) -> Reply:
    found = await common.attachments(req, everywhere=common.all_tenants(req))
    views = [attachment_view(req, a) for a in found]
    views = [v for v in views if req.arg("volume_id", v["volume_id"]) == v["volume_id"]]
    short = ("id", "volume_id", "instance", "status")
    return Reply({"attachments": views if detailed else [{key: view[key] for key in short} for view in views]})


async def _services(req: Request) -> list[Json]:
    return [_service(node, lease) for node, lease in await nodes_and_leases(req)]


def _service(node: Object, lease: Object | None) -> Json:
    return {
        "binary": "cinder-volume",
        "host": pool_of(name_of(node)).partition("#")[0],
        "zone": zone_of(node),
        "status": "enabled" if is_enabled(node) else "disabled",
        "state": "up" if is_ready(node) else "down",
        "updated_at": heard_at(node, lease).replace(" ", "T") + ".000000",
        "disabled_reason": None,
        "cluster": None,
        "backend_state": "up" if is_ready(node) else "down",
    }


def _capabilities(node: Object, volumes: list[Object]) -> Json:
    capacity = (node.get("status") or {}).get("capacity") or {}
    total = int(quantity(str(capacity.get("ephemeral-storage", "0"))) / (1 << 30))
    given = sum(v["spec"].get("size", 0) for v in volumes if v["spec"].get("node") == name_of(node))
    return {
        "pool_name": "files",
        "volume_backend_name": "files",
        "storage_protocol": "file",
        "vendor_name": "Lichen",
        "driver_version": "1",
        "total_capacity_gb": total,
        "allocated_capacity_gb": given,
        "provisioned_capacity_gb": given,
        "free_capacity_gb": max(0, total - given),
        "reserved_percentage": 0,
        "thin_provisioning_support": True,
        "max_over_subscription_ratio": "1.0",
        "multiattach": False,
        "QoS_support": False,
    }


async def _nodes(req: Request) -> list[Object]:
    return sorted((await req.state.list(NODE)).items, key=name_of)
