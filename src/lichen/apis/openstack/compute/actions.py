# SPDX-License-Identifier: Apache-2.0
"""`POST /servers/{id}/action`: verbs become intent on the Server; the node carries them out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Container
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from lichen.apis.openstack.compute.security_groups import add_group, remove_group
from lichen.apis.openstack.compute.server_state import server_state
from lichen.apis.openstack.compute.servers import find, patch_spec
from lichen.apis.openstack.reply import Reply, accepted, no_content
from lichen.apis.openstack.request import Request
from lichen.kinds.compute.server import Server
from lichen.model.data import Object
from lichen.model.errors import BadRequest, Conflict, NotFound, Unavailable
from lichen.model.meta import name_of, namespace_of

Action = Callable[[Request, Object, Any], Awaitable[Reply]]
MOST_LINES = 1 << 31


async def act(req: Request, id: str) -> Reply:
    body = await req.document()
    if len(body) != 1:
        raise BadRequest("There is one action in a request's body.")
    name, argument = next(iter(body.items()))
    action = ACTIONS.get(name)
    if action is None:
        raise BadRequest(f"There is no such action: {name}")
    return await action(req, await find(req, id), argument)


async def _start(req: Request, server: Object, _: Any) -> Reply:
    _require(server, "start", {"stopped"})
    spec: Object = {"power": "On"}
    if (server.get("status") or {}).get("guestOff"):  # power is On already: only a reboot moves it
        spec |= {"rebootedAt": _now(), "rebootType": "Hard"}
    await patch_spec(req, server, spec)
    return accepted()


async def _stop(req: Request, server: Object, _: Any) -> Reply:
    _require(server, "stop", {"active", "error"})
    await patch_spec(req, server, {"power": "Off"})
    return accepted()


async def _reboot(req: Request, server: Object, argument: Any) -> Reply:
    kind = str(argument.get("type", "")).upper() if isinstance(argument, dict) else ""
    if kind not in ("SOFT", "HARD"):
        raise BadRequest("Invalid input for field/attribute type: it must be SOFT or HARD.")
    if kind == "SOFT":
        _require(server, "reboot", {"active"})
    else:
        _require(server, "reboot", {"active", "stopped", "error"}, {None, "rebooting", "rebooting_hard"})
    await patch_spec(req, server, {"power": "On", "rebootedAt": _now(), "rebootType": kind.capitalize()})
    return accepted()


async def _console_output(req: Request, server: Object, argument: Any) -> Reply:
    lines = _lines(argument)
    if server_state(server).vm_state == "building":
        raise Conflict(f"Instance {server['spec']['id']} is not ready")
    path = (
        f"/apis/{Server.KIND.api_version}/namespaces/{quote(namespace_of(server))}/servers/{quote(name_of(server))}/log"
    )
    try:
        log = await req.cloud.read(req.caller, path if lines is None else f"{path}?tail={lines}")
    except (NotFound, Unavailable) as error:
        raise NotFound(f"Unable to get the console log: {error.message}") from error
    return Reply({"output": log.decode("utf-8", "replace")})


async def _force_delete(req: Request, server: Object, _: Any) -> Reply:
    await req.state.delete(Server.KIND, name_of(server), namespace_of(server))
    return no_content()


ACTIONS: dict[str, Action] = {
    "os-start": _start,
    "os-stop": _stop,
    "reboot": _reboot,
    "os-getConsoleOutput": _console_output,
    "forceDelete": _force_delete,
    "addSecurityGroup": add_group,
    "removeSecurityGroup": remove_group,
}


def _require(server: Object, verb: str, states: set[str], tasks: Container[str | None] = (None,)) -> None:
    """Conflict: the server is in no state for the verb, or something else is being done with it."""
    state = server_state(server)
    id = server["spec"]["id"]
    if state.vm_state not in states:
        raise Conflict(f"Cannot '{verb}' instance {id} while it is in vm_state {state.vm_state}")
    if state.task not in tasks:
        raise Conflict(f"Cannot '{verb}' instance {id} while it is in task_state {state.task}")


def _lines(argument: Any) -> int | None:
    """How many lines; None for all. 0 lines are none."""
    length = argument.get("length") if isinstance(argument, dict) else None
    if argument is not None and not isinstance(argument, dict):
        raise BadRequest("Invalid input for field/attribute os-getConsoleOutput: it is not an object.")
    if length is None:
        return None
    try:
        number = int(length)
    except (TypeError, ValueError):
        raise BadRequest(f"Invalid input for field/attribute length. Value: {str(length)[:40]}.") from None
    if not -1 <= number < MOST_LINES or isinstance(length, bool):
        raise BadRequest(f"Invalid input for field/attribute length. Value: {number}.")
    return None if number in (-1, 0) else number


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
