# SPDX-License-Identifier: Apache-2.0
"""`POST /servers/{id}/action`: verbs become intent on the Server; the node carries them out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import quote

from lichen.apis.openstack.compute import interfaces, old_floating_ips, rescue, sizes, snapshots
from lichen.apis.openstack.compute.readiness import check_unlocked, now, require
from lichen.apis.openstack.compute.security_groups import add_group, remove_group
from lichen.apis.openstack.compute.server_state import SHELVED, server_state
from lichen.apis.openstack.compute.servers import find, patch_spec
from lichen.apis.openstack.reply import Reply, accepted, no_content
from lichen.apis.openstack.request import Request
from lichen.kinds.compute.server import Server
from lichen.model.data import Object
from lichen.model.errors import BadRequest, Conflict, Forbidden, NotFound, Unavailable
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
    server = await find(req, id)
    if name not in FREE:
        check_unlocked(req, server)
    return await action(req, server, argument)


async def _start(req: Request, server: Object, _: Any) -> Reply:
    require(server, "start", {"stopped"})
    spec: Object = {"power": "On"}
    if (server.get("status") or {}).get("guestOff"):  # power is On already: only a reboot moves it
        spec |= {"rebootedAt": now(), "rebootType": "Hard"}
    await patch_spec(req, server, spec)
    return accepted()


async def _stop(req: Request, server: Object, _: Any) -> Reply:
    require(server, "stop", {"active", "error"})
    await patch_spec(req, server, {"power": "Off"})
    return accepted()


async def _reboot(req: Request, server: Object, argument: Any) -> Reply:
    kind = str(argument.get("type", "")).upper() if isinstance(argument, dict) else ""
    if kind not in ("SOFT", "HARD"):
        raise BadRequest("Invalid input for field/attribute type: it must be SOFT or HARD.")
    if kind == "SOFT":
        require(server, "reboot", {"active"})
    else:
        require(server, "reboot", {"active", "stopped", "error"}, {None, "rebooting", "rebooting_hard"})
    await patch_spec(req, server, {"power": "On", "rebootedAt": now(), "rebootType": kind.capitalize()})
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


async def _pause(req: Request, server: Object, _: Any) -> Reply:
    require(server, "pause", {"active"})
    return await _power(req, server, "Paused")


async def _unpause(req: Request, server: Object, _: Any) -> Reply:
    require(server, "unpause", {"paused"})
    return await _power(req, server, "On")


async def _suspend(req: Request, server: Object, _: Any) -> Reply:
    require(server, "suspend", {"active"})
    return await _power(req, server, "Suspended")


async def _resume(req: Request, server: Object, _: Any) -> Reply:
    require(server, "resume", {"suspended"})
    return await _power(req, server, "On")


async def _power(req: Request, server: Object, power: str) -> Reply:
    await patch_spec(req, server, {"power": power})
    return accepted()


async def _lock(req: Request, server: Object, argument: Any) -> Reply:
    reason = argument.get("locked_reason") if isinstance(argument, dict) and req.since(2, 73) else None
    if reason is not None and (not isinstance(reason, str) or not 0 < len(reason) <= 255):
        raise BadRequest("Invalid input for field/attribute locked_reason: it is a text of 1 to 255 characters.")
    by = {"lockedBy": "admin"} if req.caller.is_admin else {}
    await patch_spec(req, server, {"locked": True, "lockedReason": reason or "", **by})
    return accepted()


async def _unlock(req: Request, server: Object, _: Any) -> Reply:
    await patch_spec(req, server, {"locked": False})
    return accepted()


async def _shelve(req: Request, server: Object, _: Any) -> Reply:
    """Its power goes, its disk stays where it is: nothing has to be copied, to or from."""
    require(server, "shelve", {"active", "stopped", "paused", "suspended"})
    await patch_spec(req, server, {"shelved": True, "power": "Off"})
    return accepted()


async def _shelve_offload(req: Request, server: Object, _: Any) -> Reply:
    """What is shelved takes nothing of its host but its disk, from the start."""
    if not req.caller.is_admin:
        raise Forbidden("Policy doesn't allow os_compute_api:os-shelve:shelve_offload to be performed.")
    require(server, "shelveOffload", {SHELVED[1]})
    return accepted()


async def _unshelve(req: Request, server: Object, argument: Any) -> Reply:
    wanted = argument if isinstance(argument, dict) else {}
    if wanted.get("host") or wanted.get("availability_zone"):
        raise BadRequest(f"{_STAYS} It is unshelved where it is.")
    require(server, "unshelve", {SHELVED[1]})
    await patch_spec(req, server, {"shelved": False, "power": "On"})
    return accepted()


def _refuse(words: str) -> Action:
    async def refuse(req: Request, server: Object, _: Any) -> Reply:
        raise BadRequest(words)

    return refuse


_STAYS = "Servers do not move between hosts on this cloud: a disk is a file of its host."
ACTIONS: dict[str, Action] = {
    "os-start": _start,
    "os-stop": _stop,
    "reboot": _reboot,
    "pause": _pause,
    "unpause": _unpause,
    "suspend": _suspend,
    "resume": _resume,
    "lock": _lock,
    "unlock": _unlock,
    "rebuild": sizes.rebuild,
    "resize": sizes.resize,
    "confirmResize": sizes.confirm_resize,
    "revertResize": sizes.revert_resize,
    "createImage": snapshots.create_image,
    "createBackup": snapshots.create_backup,
    "addFixedIp": interfaces.add_fixed_ip,
    "removeFixedIp": interfaces.remove_fixed_ip,
    "addFloatingIp": old_floating_ips.add_floating_ip,
    "removeFloatingIp": old_floating_ips.remove_floating_ip,
    "addSecurityGroup": add_group,
    "removeSecurityGroup": remove_group,
    "os-getConsoleOutput": _console_output,
    "forceDelete": _force_delete,
    "migrate": _refuse(_STAYS),
    "os-migrateLive": _refuse(_STAYS),
    "evacuate": _refuse(f"{_STAYS} A server whose host is lost waits for it."),
    "shelve": _shelve,
    "shelveOffload": _shelve_offload,
    "unshelve": _unshelve,
    "rescue": rescue.rescue,
    "unrescue": rescue.unrescue,
    "changePassword": _refuse(
        "This cloud changes nothing inside of guests: a password is given when a server is made."
    ),
}
FREE = frozenset(("lock", "unlock", "os-getConsoleOutput"))
"""What may be done to a locked server."""


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
