# SPDX-License-Identifier: Apache-2.0
"""os-simple-tenant-usage: hours that servers existed in a span of time. Of servers that are gone nothing is known."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from lichen.apis.openstack.compute.server_state import server_state
from lichen.apis.openstack.compute.server_views import Json, display_name
from lichen.apis.openstack.projects import namespace_of_project, project_ids
from lichen.apis.openstack.reply import Reply
from lichen.apis.openstack.request import Request
from lichen.kinds.compute.server import Server
from lichen.model.data import Object
from lichen.model.errors import BadRequest
from lichen.model.meta import namespace_of


async def list_usages(req: Request) -> Reply:
    start, end = _span(req)
    servers = (await req.state.list(Server.KIND)).items
    ids = await project_ids(req, servers)
    by_project: dict[str, list[Object]] = {}
    for server in servers:
        by_project.setdefault(ids[namespace_of(server)], []).append(server)
    detailed = bool(req.flag("detailed", False))
    usages = [_usage(project, held, start, end, detailed) for project, held in sorted(by_project.items())]
    return Reply({"tenant_usages": usages})


async def show_usage(req: Request, project_id: str) -> Reply:
    start, end = _span(req)
    namespace = await namespace_of_project(req, project_id)
    servers = (await req.state.list(Server.KIND, namespace)).items if namespace else []
    return Reply({"tenant_usage": _usage(project_id, servers, start, end, True) if servers else {}})


def _usage(project_id: str, servers: list[Object], start: datetime, end: datetime, detailed: bool) -> Json:
    rows = [_row(project_id, server, start, end) for server in servers]
    usage: Json = {
        "tenant_id": project_id,
        "start": start.replace(tzinfo=None).isoformat(),
        "stop": end.replace(tzinfo=None).isoformat(),
        "total_hours": sum(r["hours"] for r in rows),
        "total_vcpus_usage": sum(r["hours"] * r["vcpus"] for r in rows),
        "total_memory_mb_usage": sum(r["hours"] * r["memory_mb"] for r in rows),
        "total_local_gb_usage": sum(r["hours"] * r["local_gb"] for r in rows),
    }
    return {**usage, "server_usages": rows} if detailed else usage


def _row(project_id: str, server: Object, start: datetime, end: datetime) -> Json:
    spec, size = server["spec"], server["spec"].get("resources") or {}
    made = _time(server["metadata"]["creationTimestamp"])
    now = datetime.now(UTC)
    seconds = max(0.0, (min(end, now) - max(start, made)).total_seconds())
    return {
        "name": display_name(server),
        "instance_id": spec["id"],
        "tenant_id": project_id,
        "flavor": spec.get("flavor", ""),
        "hours": seconds / 3600,
        "vcpus": size.get("vcpus", 0),
        "memory_mb": size.get("memory", 0),
        "local_gb": size.get("disk", 0) + size.get("ephemeral", 0),
        "started_at": made.replace(tzinfo=None).isoformat(),
        "ended_at": None,
        "state": server_state(server).vm_state,
        "uptime": int((now - made).total_seconds()),
    }


def _span(req: Request) -> tuple[datetime, datetime]:
    now = datetime.now(UTC)
    end = _time(req.arg("end")) if req.arg("end") else now
    start = _time(req.arg("start")) if req.arg("start") else now - timedelta(days=28)
    if start > end:
        raise BadRequest("Invalid start time. The start time cannot occur after the end time.")
    return start, end


def _time(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text.replace("Z", "+00:00").replace(" ", "T", 1)).replace(tzinfo=UTC)
    except ValueError:
        raise BadRequest(f"Datetime is in invalid format: {text[:40]}") from None
