# SPDX-License-Identifier: Apache-2.0
"""From a thing to the root cause of what is wrong with it: one chain in plain words, and the command that mends it.

Each kind has a function `(object, world) -> Cause | None`; a cause may name the thing on which it depends, and the
chain goes on there. Pure.
"""

from __future__ import annotations

from collections.abc import Callable

from lichen.kinds.idle import idle_words
from lichen.model.data import Object
from lichen.model.meta import find_condition, is_deleting, name_of, namespace_of
from lichen.model.names import NODE_FINALIZER, STALLED
from lichen.planning.causes import (
    Cause,
    Line,
    World,
    called,
    kubectl,
    one_line,
    openstack_name,
    phase_of,
    refused,
    said,
)
from lichen.planning.claims import PROTECTION
from lichen.planning.copies import pending_copy
from lichen.planning.explain_guests import of_image, of_network, of_node, of_port, of_server, of_volume
from lichen.planning.explain_pods import of_claim, of_pod, of_workload, user_of
from lichen.planning.explain_services import of_service

KINDS: dict[str, Callable[[Object, World], Cause | None]] = {
    "Server": of_server, "Image": of_image, "Port": of_port, "Network": of_network, "Volume": of_volume,
    "VolumeSnapshot": of_volume, "Node": of_node, "Pod": of_pod, "PersistentVolumeClaim": of_claim,
    "Deployment": of_workload, "ReplicaSet": of_workload, "StatefulSet": of_workload, "DaemonSet": of_workload,
    "Job": of_workload, "CronJob": of_workload, "Service": of_service,
}  # fmt: skip
PHASES = {
    "Server": ("Pending", "Building", "Error"), "Volume": ("Pending", "Creating", "Error"),
    "VolumeSnapshot": ("Pending", "Creating", "Error"), "Image": ("queued", "saving", "killed"),
    "Pod": ("Pending", "Failed"), "PersistentVolumeClaim": ("Pending", "Lost"),
}  # fmt: skip
"""The phases of things that are on their way, or in error: each time, something must say why."""
TELLING = ("Ready", "Available", "Established")
"""Conditions that say of any kind whether it is well."""


def explain(obj: Object, world: World) -> list[Line]:
    """The chain from the thing to the root cause; the last line has the command. One line if nothing is wrong."""
    lines: list[Line] = []
    seen: list[Object] = []
    at = obj
    while (cause := cause_of(at, world)) is not None:
        seen.append(at)
        goes_on = cause.next is not None and not any(cause.next is before for before in seen)
        mend = "" if goes_on else cause.mend or kubectl("describe", at)
        lines.append(Line(len(lines), f"{called(at)} {cause.text}", mend, cause.known))
        if cause.next is None or not goes_on:
            return lines
        at = cause.next
    return [*lines, Line(len(lines), f"nothing is wrong: {called(at)} is {_standing(at)}")]


def unexplained(obj: Object, world: World) -> str:
    """What is missing of the explanation of a thing that is on its way or in error; "" if it is explained, or well."""
    phase = (obj.get("status") or {}).get("phase") or "Pending"
    if obj["kind"] not in PHASES or phase not in PHASES[obj["kind"]]:
        return ""
    lines = explain(obj, world)
    if cause_of(obj, world) is None:
        return f"{called(obj)} is {phase}, but: {lines[-1].text}"
    return "" if lines[-1].known else f"{called(obj)} is {phase}, and nobody says why: {lines[-1].text}"


def cause_of(obj: Object, world: World) -> Cause | None:
    """Why a thing is not as wanted, None if it is."""
    if (stalled := _stalled(obj, world)) is not None:
        return stalled
    if is_deleting(obj):
        return _leaving(obj, world)
    return KINDS.get(obj["kind"], _of_any)(obj, world)


def _stalled(obj: Object, world: World) -> Cause | None:
    """Its node says that it does not get on; a node that is silent says nothing any more."""
    condition = find_condition(obj, STALLED)
    if obj["kind"] == "Node" or condition is None or condition["status"] != "True":
        return None
    spec = obj.get("spec") or {}
    node = world.find("Node", spec.get("node") or spec.get("nodeName") or "")
    if node is not None and refused(node, "Ready"):
        return None
    standing = "is being deleted" if is_deleting(obj) else f"is {phase_of(obj)}"
    return Cause(f"{standing} and does not get on: {said(condition)}", mend=_look(obj))


def _leaving(obj: Object, world: World) -> Cause:
    """What keeps a thing that was deleted."""
    holders = [*_finalizers(obj), *((obj.get("spec") or {}).get("finalizers") or [])]
    left = [c for c in (obj.get("status") or {}).get("conditions") or [] if c["status"] == "True"]
    remaining = [one_line(c.get("message", "")) for c in left if c.get("reason", "").startswith("Some")]
    if remaining:
        return _not_empty(obj, remaining, world)
    spec = obj.get("spec") or {}
    node = world.find("Node", spec.get("node") or spec.get("nodeName") or "")
    if node is not None and refused(node, "Ready"):
        return Cause(f"is being deleted, and its node {name_of(node)} must remove it first", node)
    ready = find_condition(obj, "Ready")
    if ready is not None and ready.get("reason") == "InUse":
        return Cause(
            f"is being deleted: {said(ready)}", mend=f"openstack server remove volume SERVER {openstack_name(obj)}"
        )
    if ready is not None and ready.get("reason") == "Copying":
        return Cause(
            "is being deleted when its copy is made", pending_copy(obj, [*world.of("Volume"), *world.of("Image")])
        )
    if not holders:
        return Cause("is being deleted and has its time to end in peace",
                     mend=kubectl("delete", obj, "--grace-period=0 --force"))  # fmt: skip
    if PROTECTION in holders and (user := user_of(obj, world)) is not None:
        words = f"is being deleted when no pod uses it any more: pod {name_of(user)} does"
        return Cause(words, mend=kubectl("delete", user))
    words = f"is being deleted and waits for {', '.join(holders)} to let go"
    if NODE_FINALIZER in holders:
        return Cause(f"{words} (its node removes it first)", mend=kubectl("describe", obj))
    patch = """-p '{"metadata":{"finalizers":null}}' --type=merge"""
    return Cause(words, mend=f"{kubectl('patch', obj, patch)} (only if what should let go is gone)")


def _not_empty(namespace: Object, remaining: list[str], world: World) -> Cause:
    """What is left of its things, led on to one that others hold."""
    held = [o for o in world.objects if namespace_of(o) == name_of(namespace) and is_deleting(o) and _finalizers(o)]
    if not held:
        return Cause(f"is being deleted and still holds things: {'; '.join(remaining)}")
    first = min(held, key=lambda o: (NODE_FINALIZER in _finalizers(o), o["kind"], name_of(o)))
    many = "one thing that does" if len(held) == 1 else f"{len(held)} things that do"
    return Cause(f"is being deleted and has {many} not go", first)


def _finalizers(obj: Object) -> list[str]:
    return obj["metadata"].get("finalizers") or []


def _of_any(obj: Object, world: World) -> Cause | None:
    """Of a kind that is not known here: what its conditions, its fault and its events say."""
    if words := idle_words(obj):
        return Cause(f"is kept, but {words}", mend=kubectl("describe", obj))
    status = obj.get("status") or {}
    fault = one_line(status.get("fault") or "")
    for type_ in TELLING:
        if not fault and (condition := refused(obj, type_)) is not None:
            fault = f"{type_} is {condition['status']}: {said(condition)}"
    if not fault and phase_of(obj) in ("Error", "Failed", "DOWN", "ERROR"):
        fault = world.warning(obj)
        if not fault:
            return Cause(f"is {phase_of(obj)}, and nothing says why", mend=_look(obj), known=False)
    return Cause(f"is not well: {fault}", mend=_look(obj)) if fault else None


def _look(obj: Object) -> str:
    return f"{kubectl('describe', obj)}, then lichen status"


def _standing(obj: Object) -> str:
    """How a thing that is well stands."""
    status = obj.get("status") or {}
    if status.get("phase"):
        return str(status["phase"])
    ready = find_condition(obj, "Ready") or find_condition(obj, "Available")
    return "ready" if ready is not None and ready["status"] == "True" else "as wanted"
