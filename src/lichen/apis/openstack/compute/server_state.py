# SPDX-License-Identifier: Apache-2.0
"""What a Server's intent and observation together are called in Nova: status, vm_state, task_state, power_state.

Nova's task_state says what has been asked for and is not yet done; that is the difference of spec and status.
"""

from __future__ import annotations

import time
from typing import NamedTuple

from lichen.model.data import Object
from lichen.model.meta import find_condition, is_deleting
from lichen.planning.times import seconds_of

POWER_STATES = {"NoState": 0, "Running": 1, "Paused": 3, "Shutdown": 4, "Crashed": 6}
NOVA_STATUSES = frozenset(
    {
        "ACTIVE", "BUILD", "DELETED", "ERROR", "HARD_REBOOT", "MIGRATING", "PASSWORD", "PAUSED", "REBOOT", "REBUILD",
        "RESCUE", "RESIZE", "REVERT_RESIZE", "SHELVED", "SHELVED_OFFLOADED", "SHUTOFF", "SOFT_DELETED", "SUSPENDED",
        "UNKNOWN", "VERIFY_RESIZE",
    }
)  # fmt: skip


SHELVED = ("SHELVED_OFFLOADED", "shelved_offloaded")
STILL = {"Paused": ("PAUSED", "paused"), "Suspended": ("SUSPENDED", "suspended")}
TASKS_TO = {"Paused": "pausing", "Suspended": "suspending"}
TASKS_FROM = {"Paused": "unpausing", "Suspended": "resuming"}

PATIENCE = 60.0
"""Seconds for which a server that no host has room for is being built; then Nova's clients need not wait any more,
though it will be built when there is room."""


class ServerState(NamedTuple):
    """In Nova's words; power is its number."""

    status: str
    vm_state: str
    task: str | None
    power: int


def server_state(obj: Object) -> ServerState:
    spec, status = obj["spec"], obj.get("status") or {}
    power = POWER_STATES.get(status.get("power", ""), 0)
    if status.get("phase") == "Suspended":
        power = POWER_STATES["Shutdown"]  # what nova says of a suspended guest
    if has_no_host(obj, time.time()) and not is_deleting(obj):
        return ServerState("ERROR", "error", None, power)
    name, vm_state = _status_of(spec, status)
    return ServerState(name, vm_state, _task_of(obj, spec, status), power)


def has_no_host(obj: Object, now: float) -> bool:
    """The scheduler has found none for so long that Nova would have given up."""
    placed = find_condition(obj, "Scheduled")
    if obj["spec"].get("node") or placed is None or placed["status"] != "False":
        return False
    return now - seconds_of(placed.get("lastTransitionTime")) >= PATIENCE


def reboot_is_pending(spec: Object, status: Object) -> bool:
    """A reboot has been asked for that the node has not carried out."""
    return spec.get("rebootedAt", "") not in ("", status.get("rebootedAt", ""))


def rebuild_is_pending(spec: Object, status: Object) -> bool:
    return spec.get("rebuiltAt", "") not in ("", status.get("rebuiltAt", ""))


def rescue_is_pending(spec: Object, status: Object) -> bool:
    """The server is to boot from another disk than it did last."""
    return ((spec.get("rescue") or {}).get("at") or "") != (status.get("rescuedAt") or "")


def resize_is_pending(spec: Object, status: Object) -> bool:
    """The guest was made to other figures than its flavor has now."""
    made, wanted = status.get("resources"), spec.get("resources") or {}
    return made is not None and any(made.get(k, 0) != wanted.get(k, 0) for k in ("vcpus", "memory", "disk"))


def _status_of(spec: Object, status: Object) -> tuple[str, str]:
    phase = status.get("phase", "")
    running = status.get("power") == "Running"
    if phase != "Error" and status.get("launchedAt"):
        if status.get("rescuedAt") and phase in ("Running", "Building"):
            return "RESCUE", "rescued"
        if rebuild_is_pending(spec, status):
            return "REBUILD", "active" if running else "stopped"
        if resize_is_pending(spec, status):
            return ("RESIZE", "active") if spec.get("formerSize") else ("REVERT_RESIZE", "resized")
        if spec.get("formerSize"):
            return ("RESIZE", "active") if phase == "Building" else ("VERIFY_RESIZE", "resized")
    if spec.get("shelved") and phase == "Stopped":
        return SHELVED
    if phase in STILL:
        return STILL[phase]
    if phase == "Error":
        return "ERROR", "error"
    if phase == "Stopped" or (phase == "Deleting" and not running):
        return "SHUTOFF", "stopped"
    if phase in ("", "Pending", "Building"):
        return _building(spec, status)
    if phase == "Rebooting" or (reboot_is_pending(spec, status) and phase == "Running"):
        return _reboot_name(spec), "active"
    return "ACTIVE", "active"


def _building(spec: Object, status: Object) -> tuple[str, str]:
    """What has run before is not being built: it is off, on its way to be on again."""
    if not status.get("launchedAt"):
        return "BUILD", "building"
    if status.get("task") == "rebuilding":
        return "REBUILD", "active"
    return (_reboot_name(spec), "active") if reboot_is_pending(spec, status) else ("SHUTOFF", "stopped")


def _reboot_name(spec: Object) -> str:
    return "HARD_REBOOT" if spec.get("rebootType") == "Hard" else "REBOOT"


def _task_of(obj: Object, spec: Object, status: Object) -> str | None:
    phase = status.get("phase", "")
    if is_deleting(obj) or phase == "Deleting":
        return "deleting"
    if phase == "Error":
        return None
    if rebuild_is_pending(spec, status):
        return "rebuilding"
    if resize_is_pending(spec, status):
        return "resize_migrating" if spec.get("formerSize") else "resize_reverting"
    if rescue_is_pending(spec, status):
        return "rescuing" if spec.get("rescue") else "unrescuing"
    power = spec.get("power", "On")
    if power == "Off":
        return None if phase == "Stopped" else "shelving" if spec.get("shelved") else "powering-off"
    if phase in STILL or power in TASKS_TO:
        if phase == power:
            return None
        if phase == "Running":
            return TASKS_TO[power]
        if phase in STILL:
            return TASKS_FROM[phase]
    if reboot_is_pending(spec, status) and phase != "Stopped":
        return "rebooting_hard" if spec.get("rebootType") == "Hard" else "rebooting"
    if phase == "Stopped":
        return None if status.get("guestOff") and not reboot_is_pending(spec, status) else "powering-on"
    if phase in ("", "Pending"):
        return status.get("task") or "scheduling"
    return status.get("task") or None
