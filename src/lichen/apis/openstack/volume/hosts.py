# SPDX-License-Identifier: Apache-2.0
"""Where volumes are: nodes as Cinder's services and pools; zones; attachments; what else clients ask for first."""

from __future__ import annotations

from lichen.apis.openstack.nodes import DEFAULT_ZONE, heard_at, is_enabled, is_ready, zone_of
from lichen.apis.openstack.projects import quantity
from lichen.apis.openstack.reply import Reply
from lichen.apis.openstack.request import Request
from lichen.apis.openstack.volume import common
from lichen.apis.openstack.volume.views import Json, attachment_view, pool_of
from lichen.kinds.builtin import NODE
from lichen.kinds.volume.volume import Volume
from lichen.model.data import Object
from lichen.model.errors import Forbidden, NotFound
from lichen.model.meta import name_of

FILTERS = {
    "volume": ["name", "status", "metadata", "bootable", "availability_zone", "description", "volume_type"],
    "snapshot": ["name", "status", "volume_id", "metadata", "description"],
    "attachment": ["volume_id", "status"],
}


async def list_services(req: Request) -> Reply:
    services = [_service(node) for node in await _nodes(req)]
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
    """Who may not know the nodes is told the default zone only."""
    try:
        nodes = await _nodes(req)
    except Forbidden:
        return Reply({"availabilityZoneInfo": [{"zoneName": DEFAULT_ZONE, "zoneState": {"available": True}}]})
    usable: dict[str, bool] = {}
    for node in nodes:
        usable[zone_of(node)] = usable.get(zone_of(node), False) or is_ready(node)
    zones = [{"zoneName": zone, "zoneState": {"available": up}} for zone, up in sorted(usable.items())]
    return Reply({"availabilityZoneInfo": zones})


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
    """Everything is built in; nothing is an extension any more."""
    return Reply({"extensions": []})


async def _attachments(req: Request, *, detailed: bool) -> Reply:
    found = await common.attachments(req, everywhere=common.all_tenants(req))
    views = [attachment_view(req, a) for a in found]
    views = [v for v in views if req.arg("volume_id", v["volume_id"]) == v["volume_id"]]
    short = ("id", "volume_id", "instance", "status")
    return Reply({"attachments": views if detailed else [{key: view[key] for key in short} for view in views]})


def _service(node: Object) -> Json:
    return {
        "binary": "cinder-volume",
        "host": pool_of(name_of(node)).partition("#")[0],
        "zone": zone_of(node),
        "status": "enabled" if is_enabled(node) else "disabled",
        "state": "up" if is_ready(node) else "down",
        "updated_at": heard_at(node).replace(" ", "T") + ".000000",
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
