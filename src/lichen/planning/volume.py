# SPDX-License-Identifier: Apache-2.0
"""What a node does about one volume or snapshot: from intent and what its disks hold to a list of steps.

steps = plan_volume(volume, VolumeActual(), now)
"""

from __future__ import annotations

from dataclasses import dataclass, field

from lichen.kinds.volume.snapshot import VolumeSnapshot
from lichen.kinds.volume.volume import Volume
from lichen.model.data import Object, camel, to_wire
from lichen.model.meta import with_condition
from lichen.model.names import NODE_FINALIZER
from lichen.planning.times import rfc3339

GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class VolumeActual:
    """size: bytes that are there, -1 if the volume is not. source: ready, waiting or lost, with words. used_by: who
    has the volume, in words, "" if nobody does. copy: what is still to be copied from it, in words."""

    size: int = -1
    source: str = "ready"
    source_message: str = ""
    used_by: str = ""
    copy: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """Merge this into status."""

    status: Object = field(hash=False)


@dataclass(frozen=True, slots=True)
class Hold:
    """Add the node's finalizer before anything is made that must be removed."""


@dataclass(frozen=True, slots=True)
class LetGo:
    """Take the node's finalizer off: nothing is left here."""


@dataclass(frozen=True, slots=True)
class Make:
    """Make the bytes: of a volume from its source, of a snapshot from its volume."""


@dataclass(frozen=True, slots=True)
class Grow:
    """Make the volume this large, bytes."""

    size: int


@dataclass(frozen=True, slots=True)
class TellGrown:
    """Let whoever has the volume see that it is larger."""


@dataclass(frozen=True, slots=True)
class Remove:
    """Remove the bytes."""


Step = Report | Hold | LetGo | Make | Grow | TellGrown | Remove
Stored = Volume | VolumeSnapshot


def plan_volume(volume: Volume, actual: VolumeActual, now: float) -> list[Step]:
    """Steps from what is to what is wanted; [] when there is nothing to do or to say."""
    if volume.metadata.deletion_timestamp:
        return _plan_deletion(volume, actual, now)
    wanted = volume.spec.size * GIB
    if actual.size < 0:
        return _plan_making(volume, actual, now)
    if actual.size < wanted:
        if _failed(volume):
            return []
        return [*_report(volume, now, "Extending", message="The volume grows."), Grow(wanted)]
    tell: list[Step] = [TellGrown()] if volume.status.phase == "Extending" else []
    return [*tell, *_report(volume, now, "Available", ready=True, size=-(-actual.size // GIB))]


def plan_snapshot(snapshot: VolumeSnapshot, actual: VolumeActual, now: float) -> list[Step]:
    """As `plan_volume`."""
    if snapshot.metadata.deletion_timestamp:
        return _plan_deletion(snapshot, actual, now)
    if actual.size < 0:
        return _plan_making(snapshot, actual, now)
    return _report(snapshot, now, "Available", ready=True)


def fault(stored: Stored, reason: str, message: str, now: float) -> list[Step]:
    """The status after a step failed for good; it holds until spec changes."""
    return _report(stored, now, "Error", reason=reason, message=message, fault=message)


def trouble(stored: Stored, message: str, now: float) -> list[Step]:
    """The status while a step fails and is tried again."""
    return _report(stored, now, stored.status.phase or "Creating", reason="Retrying", message=message)


def _plan_deletion(stored: Stored, actual: VolumeActual, now: float) -> list[Step]:
    if NODE_FINALIZER not in stored.metadata.finalizers:
        return []
    if actual.used_by:
        words = f"It is deleted when {actual.used_by} no longer has it."
        return _report(stored, now, "Deleting", reason="InUse", message=words)
    if actual.copy:
        words = f"It is deleted when {actual.copy}, a copy of it, is made."
        return _report(stored, now, "Deleting", reason="Copying", message=words)
    report = _report(stored, now, "Deleting", reason="Deleting", message="It is deleted.")
    return [*report, Remove(), LetGo()]


def _plan_making(stored: Stored, actual: VolumeActual, now: float) -> list[Step]:
    if stored.status.phase in ("Available", "Extending"):
        return fault(stored, "BytesMissing", "Its bytes are no longer on its node: restore them, or delete it.", now)
    if _failed(stored):
        return []
    if actual.source == "lost":
        return fault(stored, "SourceMissing", actual.source_message, now)
    if actual.source != "ready":
        return _report(stored, now, "Creating", reason="SourceNotReady", message=actual.source_message)
    hold: list[Step] = [] if NODE_FINALIZER in stored.metadata.finalizers else [Hold()]
    return [*hold, *_report(stored, now, "Creating", reason="Creating", message="It is made."), Make()]


def _failed(stored: Stored) -> bool:
    ready = next((c for c in stored.status.conditions if c.type == "Ready"), None)
    return stored.status.phase == "Error" and ready is not None and (
        ready.observed_generation == stored.metadata.generation
    )  # fmt: skip


def _report(
    stored: Stored,
    now: float,
    phase: str,
    *,
    ready: bool = False,
    reason: str = "",
    message: str = "",
    fault: str = "",
    **more: object,
) -> list[Step]:
    """[Report] of what differs from status, or []."""
    wanted = {"phase": phase, "fault": fault, **more}
    status: Object = {camel(k): v for k, v in wanted.items() if getattr(stored.status, k) != v}
    new = {
        "type": "Ready",
        "status": "True" if ready else "False",
        "reason": reason or phase,
        "message": message,
        "observedGeneration": stored.metadata.generation,
    }
    old = next((c for c in stored.status.conditions if c.type == "Ready"), None)
    if old is None or [old.status, old.reason, old.message, old.observed_generation] != list(new.values())[1:]:
        status["conditions"] = with_condition([to_wire(c) for c in stored.status.conditions], new, rfc3339(now))
    return [Report(status)] if status else []
