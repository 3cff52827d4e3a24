# SPDX-License-Identifier: Apache-2.0
"""A node's life: Ready while its lease is renewed; tainted, and left by pods, when it is not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from lichen.kinds.builtin import NODE, POD
from lichen.model.data import Object
from lichen.model.meta import find_condition, is_deleting, name_of, namespace_of, uid_of, with_condition
from lichen.planning.steps import Delete, Note, Patch, Step
from lichen.planning.taints import leaves_in
from lichen.planning.times import rfc3339
from lichen.planning.workload import has_ended, says_ready

GRACE = 40.0
"""Seconds without a renewed lease after which a node is Unknown."""
UNREACHABLE = "node.kubernetes.io/unreachable"
NOT_READY = "node.kubernetes.io/not-ready"


class NodePlan(NamedTuple):
    """again: seconds after which to look again, None for when something changes."""

    steps: list[Step]
    again: float | None


def plan_node(
    node: Object, silent: float | None, pods: Sequence[Object], now: float, *, since: float = 0.0, cut_off: bool = False
) -> NodePlan:
    """silent: seconds for which its lease was seen not to be renewed, None if it has none; pods: those bound to it.

    since: when the watcher began to watch; what happened while nobody watched costs no pod its place. cut_off: no node
    at all is heard: it is the watcher who is cut off, and pods stay.
    """
    lost = silent is not None and silent > GRACE
    ready = find_condition(node, "Ready")
    up = ready is not None and ready["status"] == "True" and not lost
    steps: list[Step] = []
    if lost:
        steps += _unknown(node, ready, rfc3339(now)) + _unready(pods, rfc3339(now))
    taints = _taints(node, lost=lost, ready=up, now=rfc3339(now))
    if taints != _held(node):
        steps.append(Patch(NODE, name_of(node), "", {"spec": {"taints": taints or None}}))
    waits = [] if silent is None or lost else [GRACE - silent + 0.1]
    judged = [t for t in taints if not (cut_off and t["key"] in (UNREACHABLE, NOT_READY))]
    for pod in pods:
        wait = None if is_deleting(pod) or has_ended(pod) else leaves_in(pod, judged, now, since)
        if wait == 0.0:
            said = "Marking for deletion Pod " + f"{namespace_of(pod)}/{name_of(pod)}"
            steps.append(Note(pod, "TaintManagerEviction", said))
            steps.append(Delete(POD, name_of(pod), namespace_of(pod), uid_of(pod)))
        elif wait is not None:
            waits.append(wait + 0.1)
    return NodePlan(steps, min(waits, default=GRACE if lost else None))


def plan_orphans(pods: Sequence[Object]) -> list[Step]:
    """Pods whose node does not exist any more: nobody is left who could end them."""
    return [Delete(POD, name_of(pod), namespace_of(pod), uid_of(pod), grace=0) for pod in pods]


def _unknown(node: Object, ready: Object | None, now: str) -> list[Step]:
    if ready is not None and ready["status"] == "Unknown":
        return []
    conditions = (node.get("status") or {}).get("conditions") or []
    lost = {
        "type": "Ready",
        "status": "Unknown",
        "reason": "NodeStatusUnknown",
        "message": "The node agent stopped posting node status.",
    }
    status = {"conditions": with_condition(conditions, lost, now)}
    said = f"Node {name_of(node)} status is now: NodeNotReady"
    return [Patch(NODE, name_of(node), "", {"status": status}, "status"), Note(node, "NodeNotReady", said)]


def _unready(pods: Sequence[Object], now: str) -> list[Step]:
    """Nobody should be sent to pods of a node that is not heard."""
    steps: list[Step] = []
    for pod in pods:
        if says_ready(pod) and not has_ended(pod):
            away = {
                "type": "Ready",
                "status": "False",
                "reason": "NodeNotReady",
                "message": "The pod's node is not heard.",
            }
            conditions = with_condition(pod["status"]["conditions"], away, now)
            steps.append(Patch(POD, name_of(pod), namespace_of(pod), {"status": {"conditions": conditions}}, "status"))
    return steps


def _taints(node: Object, *, lost: bool, ready: bool, now: str) -> list[Object]:
    held = _held(node)
    kept = [_stamped(t, now) for t in held if t["key"] not in (UNREACHABLE, NOT_READY)]
    if ready:
        return kept
    key = UNREACHABLE if lost else NOT_READY
    return [*kept, *(_taint(held, key, effect, now) for effect in ("NoSchedule", "NoExecute"))]


def _held(node: Object) -> list[Object]:
    """A node that somebody else registered may have no spec at all."""
    return (node.get("spec") or {}).get("taints") or []


def _stamped(taint: Object, now: str) -> Object:
    """Tolerations that end count from when a taint was put there."""
    return {**taint, "timeAdded": now} if taint.get("effect") == "NoExecute" and not taint.get("timeAdded") else taint


def _taint(held: list[Object], key: str, effect: str, now: str) -> Object:
    same = next((t for t in held if t["key"] == key and t["effect"] == effect), None)
    return same if same is not None else _stamped({"key": key, "effect": effect}, now)
