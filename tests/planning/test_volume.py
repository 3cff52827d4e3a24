# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

from lichen.kinds.volume.snapshot import VolumeSnapshot
from lichen.kinds.volume.volume import Volume
from lichen.model.names import NODE_FINALIZER
from lichen.planning.copies import pending_copy
from lichen.planning.volume import (
    GIB,
    Grow,
    Hold,
    LetGo,
    Make,
    Remove,
    Report,
    Step,
    TellGrown,
    VolumeActual,
    fault,
    plan_snapshot,
    plan_volume,
)

HELD: Any = {"metadata": {"finalizers": [NODE_FINALIZER]}}


def a_volume(status: Any = None, metadata: Any = None, **spec: Any) -> Volume:
    obj = {"metadata": {"name": "v", "generation": 1, **(metadata or {})}, "spec": {"id": "v", "size": 2, **spec}}
    return Volume.of({**obj, "status": status or {}})


def orders(steps: list[Step]) -> list[Step]:
    return [step for step in steps if not isinstance(step, Report)]


def said(steps: list[Step]) -> Any:
    return next(step.status for step in steps if isinstance(step, Report))


def after(volume: Volume, steps: list[Step]) -> Volume:
    """The volume once its status says what was reported."""
    return a_volume(said(steps), {"finalizers": volume.metadata.finalizers})


def test_a_new_volume_is_held_and_made_then_available_then_left_alone():
    assert orders(plan_volume(a_volume(), VolumeActual(), 0)) == [Hold(), Make()]
    held = a_volume(metadata=HELD["metadata"])
    steps = plan_volume(held, VolumeActual(size=2 * GIB), 0)
    assert (said(steps)["phase"], said(steps)["size"]) == ("Available", 2)
    assert plan_volume(after(held, steps), VolumeActual(size=2 * GIB), 9) == []


def test_a_volume_waits_for_its_image_and_fails_without_its_source():
    waiting = plan_volume(a_volume(), VolumeActual(source="waiting", source_message="Image i is saving."), 0)
    assert orders(waiting) == []
    assert said(waiting)["conditions"][0]["message"] == "Image i is saving."
    lost = plan_volume(a_volume(), VolumeActual(source="lost", source_message="Volume x is gone."), 0)
    assert (said(lost)["phase"], said(lost)["fault"]) == ("Error", "Volume x is gone.")


def test_a_failed_volume_is_tried_again_only_when_its_spec_moves():
    steps = fault(a_volume(), "NoSpace", "The node has no room.", 0)
    assert plan_volume(a_volume(said(steps)), VolumeActual(), 0) == []
    moved = a_volume(said(steps), {"generation": 2})
    assert Make() in plan_volume(moved, VolumeActual(), 0)


def test_a_volume_that_is_too_small_grows():
    assert orders(plan_volume(a_volume({"phase": "Available"}), VolumeActual(size=GIB), 0)) == [Grow(2 * GIB)]


def test_lost_bytes_are_never_replaced_by_empty_ones():
    steps = plan_volume(a_volume({"phase": "Available"}), VolumeActual(), 0)
    assert orders(steps) == []
    assert said(steps)["phase"] == "Error"


def test_a_deleted_volume_waits_for_who_has_it_then_goes():
    going = a_volume(
        {"phase": "Available"}, {"finalizers": [NODE_FINALIZER], "deletionTimestamp": "2026-01-01T00:00:00Z"}
    )
    waiting = plan_volume(going, VolumeActual(size=GIB, used_by="server web"), 0)
    assert orders(waiting) == []
    assert "server web" in said(waiting)["conditions"][0]["message"]
    assert orders(plan_volume(going, VolumeActual(size=GIB), 0)) == [Remove(), LetGo()]


def test_what_is_deleted_waits_for_its_copies_then_goes():
    going = a_volume(
        {"phase": "Available"}, {"finalizers": [NODE_FINALIZER], "deletionTimestamp": "2026-01-01T00:00:00Z"}
    )
    waiting = plan_volume(going, VolumeActual(size=GIB, copy="volume two"), 0)
    assert orders(waiting) == []
    assert said(waiting)["phase"] == "Deleting"
    condition = said(waiting)["conditions"][0]
    assert condition["message"] == "It is deleted when volume two, a copy of it, is made."
    assert orders(plan_volume(going, VolumeActual(size=GIB), 0)) == [Remove(), LetGo()]


def a_copy(kind: str = "Volume", phase: str = "Creating", *, going: bool = False, **spec: Any) -> Any:
    metadata = {"name": "c", **({"deletionTimestamp": "2026-01-01T00:00:00Z"} if going else {})}
    return {"kind": kind, "metadata": metadata, "spec": spec, "status": {"phase": phase}}


def test_a_copy_is_pending_until_it_is_made_has_failed_or_goes():
    volume: Any = {"kind": "Volume", "spec": {"id": "v"}}
    snapshot: Any = {"kind": "VolumeSnapshot", "spec": {"id": "s"}}
    clone, restored = a_copy(sourceId="v"), a_copy(snapshotId="s", phase="")
    taken = a_copy("Image", "saving", volumeId="v")
    assert pending_copy(volume, [restored, clone]) is clone
    assert pending_copy(snapshot, [clone, taken, restored]) is restored
    assert pending_copy(volume, [restored, taken]) is taken
    over = [a_copy(sourceId="v", phase=phase) for phase in ("Available", "Error", "Extending")]
    over += [a_copy(sourceId="v", going=True), a_copy("Image", "active", volumeId="v"), a_copy(sourceId="other")]
    assert pending_copy(volume, over) is None


def test_a_snapshot_is_made_once():
    snapshot = VolumeSnapshot.of({"metadata": {"name": "s"}, "spec": {"id": "s", "volume": "v"}, "status": {}})
    assert orders(plan_snapshot(snapshot, VolumeActual(), 0)) == [Hold(), Make()]
    assert orders(plan_snapshot(snapshot, VolumeActual(size=GIB), 0)) == []


def test_who_has_a_volume_is_told_that_it_grew_though_the_agent_died_in_between():
    growing = a_volume({"phase": "Extending", "size": 1}, HELD["metadata"])
    steps = plan_volume(growing, VolumeActual(size=2 * GIB), 0)
    assert steps[0] == TellGrown()
    assert (said(steps)["phase"], said(steps)["size"]) == ("Available", 2)
