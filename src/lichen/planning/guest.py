# SPDX-License-Identifier: Apache-2.0
"""What a node does about one server: from intent and what really runs to a list of steps.

    steps = plan_guest(server, GuestActual(power="Crashed", has_disk=True), now)

The agent runs the steps in order, looks again and plans again, until the plan is empty or waits.
A step that fails for good becomes a status by `fault`.
"""

from __future__ import annotations

from typing import Any

from lichen.kinds.compute.server import Server, ServerResources
from lichen.model.data import Object, camel, to_wire
from lichen.model.meta import with_condition
from lichen.model.names import NODE_FINALIZER
from lichen.planning.guest_steps import (
    STOP_GRACE,
    AttachNic,
    CreateDisk,
    DetachNic,
    GrowDisk,
    GuestActual,
    Hold,
    LetGo,
    PauseGuest,
    PlugTap,
    RemoveDisk,
    RemoveGuest,
    Report,
    ResetGuest,
    StartGuest,
    Step,
    StopGuest,
    UnpauseGuest,
    UnplugPort,
    Wait,
)
from lichen.planning.times import backoff, rfc3339

STILL = {"Paused": "Paused", "Suspended": "Suspended"}
"""Wanted powers in which the guest's processors stand still, and the phase that shows each."""


def plan_guest(server: Server, actual: GuestActual, now: float) -> list[Step]:
    """Steps from what is to what is wanted; [] when there is nothing to do or to say."""
    if server.metadata.deletion_timestamp:
        return _plan_deletion(server, actual, now)
    if _rebuild_wanted(server):
        return _plan_rebuild(server, actual, now)
    if _rescued(server) != server.status.rescued_at and actual.has_disk:
        return _plan_rescue(server, actual, now)
    if _resize_wanted(server) and actual.has_disk:
        return _plan_resize(server, actual, now)
    if server.spec.power == "Off":
        return _plan_off(server, actual, now)
    if actual.power in ("Running", "Paused"):
        return _plan_running(server, actual, now)
    return _plan_on(server, actual, now)


def fault(server: Server, reason: str, message: str, now: float) -> list[Step]:
    """The status after a step failed for good; it holds until spec changes."""
    return _report(server, now, "Error", "NoState", reason=reason, message=message, fault=message)


def trouble(server: Server, message: str, now: float) -> list[Step]:
    """The status while a step fails and is tried again: where the server stands, and why it does not get on."""
    status = server.status
    phase = status.phase if status.phase not in ("", "Pending") else "Building"
    return _report(
        server,
        now,
        phase,
        status.power or "NoState",
        task=status.task,
        reason="Retrying",
        message=message,
        guest_off=status.guest_off,
    )


def _plan_deletion(server: Server, actual: GuestActual, now: float) -> list[Step]:
    if NODE_FINALIZER not in server.metadata.finalizers:
        return []
    power = server.status.power or "NoState"
    return [
        *_report(server, now, "Deleting", power, task="deleting", reason="Deleting", message="The server is deleted."),
        RemoveGuest(),
        *(UnplugPort(port.name) for port in actual.ports),
        LetGo(),
    ]


def _plan_rebuild(server: Server, actual: GuestActual, now: float) -> list[Step]:
    """The guest ends, its disk goes; from there on it is a first start, if power is wanted."""
    power = "Running" if actual.power in ("Running", "Paused") else "Shutdown"
    return [
        *_report(server, now, _phase(server), power, task="rebuilding", reason="Rebuilding", message="It is rebuilt."),
        *([StopGuest(0.0)] if actual.power in ("Running", "Paused") else []),
        *([RemoveDisk()] if actual.has_disk else []),
        Report({"rebuiltAt": server.spec.rebuilt_at}),
    ]


def _plan_rescue(server: Server, actual: GuestActual, now: float) -> list[Step]:
    """The guest ends, and is started again from the disk that is wanted now."""
    running = actual.power in ("Running", "Paused")
    task, words = ("rescuing", "It is rescued.") if server.spec.rescue else ("unrescuing", "It has its own disk again.")
    power = "Running" if running else "Shutdown"
    return [
        *_report(server, now, _phase(server), power, task=task, reason="Rescuing", message=words),
        *([StopGuest(STOP_GRACE if server.spec.rescue else 0.0)] if running else []),
        Report({"rescuedAt": _rescued(server)}),
    ]


def _plan_resize(server: Server, actual: GuestActual, now: float) -> list[Step]:
    """The guest is powered off, its disk grows, and it is started with its new figures."""
    running = actual.power in ("Running", "Paused")
    words = f"The guest is made to flavor {server.spec.flavor}."
    return [
        *_report(
            server, now, _phase(server), "Running" if running else "Shutdown", task="resizing", reason="Resizing",
            message=words,
        ),
        *([StopGuest(STOP_GRACE)] if running else []),
        GrowDisk(),
        Report({"resources": _size(server.spec.resources)}),
    ]  # fmt: skip


def _phase(server: Server) -> str:
    return server.status.phase if server.status.phase not in ("", "Pending", "Error") else "Building"


def _plan_off(server: Server, actual: GuestActual, now: float) -> list[Step]:
    off = _report(server, now, "Stopped", "Shutdown", reason="PowerOff", message="Power is off, as wanted.")
    if actual.power not in ("Running", "Paused"):
        return off
    return [
        *_report(server, now, "Running", "Running", task="powering-off", reason="PoweringOff", message="Stopping."),
        StopGuest(STOP_GRACE),
        *off,
    ]


def _plan_running(server: Server, actual: GuestActual, now: float) -> list[Step]:
    still = STILL.get(server.spec.power, "")
    if still and not _reboot_wanted(server) and server.status.launched_at:
        return _plan_still(server, actual, now, still)
    if server.status.phase in STILL.values() and actual.power == "Paused" and not _reboot_wanted(server):
        return [UnpauseGuest()]
    power = "Paused" if actual.power == "Paused" else "Running"
    started = rfc3339(actual.started_at) or server.status.started_at
    running: dict[str, Any] = {"started_at": started, "launched_at": server.status.launched_at or started}
    if _reboot_wanted(server) and server.status.launched_at and started == server.status.started_at:
        kind = server.spec.reboot_type
        return [
            *_report(
                server, now, "Rebooting", power, task="rebooting", reason="Rebooting", message=f"{kind} reboot.",
                **running,
            ),
            ResetGuest(kind),
            Report({"rebootedAt": server.spec.rebooted_at}),
        ]  # fmt: skip
    return [
        *_report(server, now, "Running", power, ready=True, rebooted_at=server.spec.rebooted_at, **running),
        *_plan_nics(actual),
    ]


def _plan_still(server: Server, actual: GuestActual, now: float, phase: str) -> list[Step]:
    said = _report(server, now, phase, "Paused", reason=phase, message="The guest's processors stand still, as wanted.")
    return said if actual.power == "Paused" else [PauseGuest(), *said]


def _plan_nics(actual: GuestActual) -> list[Step]:
    """Interfaces that a running guest lacks, and those whose port is gone."""
    if actual.nics is None:
        return []
    wanted = {port.mac: port for port in actual.ports if port.mac}
    steps: list[Step] = [DetachNic(mac) for mac in actual.nics if mac not in wanted]
    for mac, port in wanted.items():
        if mac not in actual.nics and port.ready:
            steps += [PlugTap(port.name), AttachNic(port.name)]
    return steps


def _plan_on(server: Server, actual: GuestActual, now: float) -> list[Step]:
    """Power is wanted and is not there: start, unless the guest or its owner settled that it stays off."""
    if _failed_at_this_generation(server):
        return []
    crashed = actual.power == "Crashed" and server.status.phase != "Stopped"
    if not _reboot_wanted(server):
        if server.status.guest_off:
            return []
        if _ended_by_itself(server, actual):
            return _stays_off(server, now, crashed)
    if crashed and now < (at := actual.started_at + backoff(server.status.restarts)):
        return [
            *_report(
                server, now, "Building", "Crashed", task="powering-on", reason="CrashLoopBackOff",
                message=f"The guest crashed {server.status.restarts + 1} times; next start at {rfc3339(at)}.",
            ),
            Wait(at),
        ]  # fmt: skip
    return _start(server, actual, now, crashed)


def _start(server: Server, actual: GuestActual, now: float, crashed: bool) -> list[Step]:
    power = "Crashed" if crashed else "NoState"
    if (not actual.has_disk or server.spec.rescue) and actual.image != "ready":
        if actual.image == "lost":
            return fault(server, "ImageMissing", actual.image_message, now)
        return _report(
            server, now, "Building", power, task="spawning", reason="ImageNotReady", message=actual.image_message
        )
    ready = [port for port in actual.ports if port.ready]
    if len(ready) < max(actual.ports_expected, len(actual.ports)):
        words = f"{len(ready)} of {max(actual.ports_expected, len(actual.ports))} ports have their addresses."
        return _report(server, now, "Building", power, task="networking", reason="NetworkNotReady", message=words)
    task, words = "powering-on", "The guest is started."
    if not actual.has_disk:
        task, words = "rebuilding" if server.status.launched_at else "spawning", "The guest is made."
    same = _size(server.status.resources or ServerResources()) == _size(server.spec.resources)
    made: Object = {} if same else {"resources": _size(server.spec.resources)}
    after: Object = {"restarts": server.status.restarts + 1} if crashed else {}
    if _reboot_wanted(server):
        after["rebootedAt"] = server.spec.rebooted_at
    return [
        *([] if NODE_FINALIZER in server.metadata.finalizers else [Hold()]),
        *_report(server, now, "Building", power, task=task, reason="Starting", message=words, **made),
        *([] if actual.has_disk else [CreateDisk()]),
        *(PlugTap(port.name) for port in actual.ports),
        StartGuest(),
        *([Report(after)] if after else []),
    ]


def _stays_off(server: Server, now: float, crashed: bool) -> list[Step]:
    if crashed:
        return _report(
            server, now, "Stopped", "Crashed", reason="GuestCrashed", guest_off=True,
            message="The guest crashed and its runPolicy is Never; move power, or reboot, to start it.",
        )  # fmt: skip
    return _report(
        server, now, "Stopped", "Shutdown", reason="GuestPoweredOff", guest_off=True,
        message="The guest powered itself off; move power, or reboot, to start it.",
    )  # fmt: skip


def _ended_by_itself(server: Server, actual: GuestActual) -> bool:
    """The run that status still shows was ended by the guest. Once status says Stopped, an old end counts no more:
    the power was moved since."""
    if server.status.phase == "Stopped":
        return False
    return actual.power == "GuestOff" or (actual.power == "Crashed" and server.spec.run_policy == "Never")


def _reboot_wanted(server: Server) -> bool:
    return bool(server.spec.rebooted_at) and server.spec.rebooted_at != server.status.rebooted_at


def _rescued(server: Server) -> str:
    return server.spec.rescue.at if server.spec.rescue else ""


def _rebuild_wanted(server: Server) -> bool:
    return bool(server.spec.rebuilt_at) and server.spec.rebuilt_at != server.status.rebuilt_at


def _resize_wanted(server: Server) -> bool:
    made = server.status.resources
    return made is not None and _size(made) != _size(server.spec.resources)


def _size(figures: ServerResources) -> Object:
    """What a guest is made to; every figure is named, so that it replaces the one before."""
    return {"vcpus": figures.vcpus, "memory": figures.memory, "disk": figures.disk}


def _failed_at_this_generation(server: Server) -> bool:
    ready = next((c for c in server.status.conditions if c.type == "Ready"), None)
    return server.status.phase == "Error" and ready is not None and (
        ready.observed_generation == server.metadata.generation
    )  # fmt: skip


def _report(
    server: Server,
    now: float,
    phase: str,
    power: str,
    *,
    task: str = "",
    ready: bool = False,
    reason: str = "Running",
    message: str = "",
    guest_off: bool = False,
    fault: str = "",
    **more: Any,
) -> list[Step]:
    """[Report] of what differs from status, or []."""
    wanted = {"phase": phase, "power": power, "task": task, "guest_off": guest_off, "fault": fault, **more}
    changed = {key: value for key, value in wanted.items() if getattr(server.status, key) != value}
    status = {camel(key): value for key, value in changed.items()}
    new = {
        "type": "Ready",
        "status": "True" if ready else "False",
        "reason": reason,
        "message": message,
        "observedGeneration": server.metadata.generation,
    }
    old = next((c for c in server.status.conditions if c.type == "Ready"), None)
    if old is None or [old.status, old.reason, old.message, old.observed_generation] != list(new.values())[1:]:
        status["conditions"] = with_condition([to_wire(c) for c in server.status.conditions], new, rfc3339(now))
    return [Report(status)] if status else []
