# SPDX-License-Identifier: Apache-2.0
"""What was done to a server: its Operations, and its making, as Nova's instance actions."""

from __future__ import annotations

from lichen.apis.openstack.compute.server_views import Json
from lichen.apis.openstack.compute.servers import find
from lichen.apis.openstack.paging import nova_links, page
from lichen.apis.openstack.reply import Reply
from lichen.apis.openstack.request import Request
from lichen.kinds.compute.operation import Operation
from lichen.model.data import Object
from lichen.model.errors import NotFound
from lichen.model.meta import annotations_of, namespace_of
from lichen.model.names import MADE_BY


async def list_actions(req: Request, id: str) -> Reply:
    server = await find(req, id)
    views = [_view(req, server, action) for action in await _actions(req, server)]
    shown, marker = page(req, views, lambda v: str(v["request_id"])) if req.since(2, 58) else (views, "")
    return Reply({"instanceActions": shown, **nova_links(req, "links", marker)})


async def show_action(req: Request, id: str, request_id: str) -> Reply:
    server = await find(req, id)
    for action in await _actions(req, server):
        if action["id"] == request_id:
            return Reply({"instanceAction": {**_view(req, server, action), "events": [_event(req, server, action)]}})
    raise NotFound(f"Action for request_id {request_id} on instance {id} not found")


async def _actions(req: Request, server: Object) -> list[Json]:
    """The newest first."""
    spec = server["spec"]
    where, fields = namespace_of(server), f"spec.serverId={spec['id']}"
    found = [_of(o) for o in (await req.state.list(Operation.KIND, where, fields=fields)).items]
    found.sort(key=lambda action: str(action["start"]), reverse=True)
    status = server.get("status") or {}
    made: Json = {
        "id": annotations_of(server).get(MADE_BY) or f"req-{spec['id']}",
        "type": "create",
        "user": spec.get("userId", ""),
        "start": server["metadata"].get("creationTimestamp", ""),
        "finish": status.get("launchedAt", ""),
        "result": "Error" if status.get("phase") == "Error" and not status.get("launchedAt") else "Success",
        "message": status.get("fault") or None,
    }
    return [*found, made]


def _of(operation: Object) -> Json:
    spec, status = operation["spec"], operation.get("status") or {}
    failed = status.get("phase") == "Failed"
    return {
        "id": spec["id"],
        "type": spec["type"],
        "user": spec.get("userId", ""),
        "start": operation["metadata"].get("creationTimestamp", ""),
        "finish": status.get("finishedAt", ""),
        "result": "Error" if failed else "Success",
        "message": status.get("message") or None if failed else None,
    }


def _view(req: Request, server: Object, action: Json) -> Json:
    view = {
        "action": action["type"],
        "instance_uuid": server["spec"]["id"],
        "request_id": action["id"],
        "user_id": action["user"],
        "project_id": req.caller.project_id if namespace_of(server) == req.caller.namespace else None,
        "start_time": _time(action["start"]),
        "message": action["message"],
    }
    return {**view, "updated_at": _time(action["finish"] or action["start"])} if req.since(2, 58) else view


def _event(req: Request, server: Object, action: Json) -> Json:
    event = {
        "event": f"compute_{action['type']}_instance" if "_" not in action["type"] else f"compute_{action['type']}",
        "start_time": _time(action["start"]),
        "finish_time": _time(action["finish"]) if action["finish"] else None,
        "result": action["result"] if action["finish"] else None,
        "traceback": None,
    }
    if req.since(2, 51) and req.caller.is_admin:
        event["host"] = server["spec"].get("node") or None
    return {**event, "details": action["message"]} if req.since(2, 84) else event


def _time(text: str) -> str:
    return f"{text[:19]}.000000"
