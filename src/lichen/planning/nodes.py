# SPDX-License-Identifier: Apache-2.0
"""A node's life: Ready while its lease is renewed, tainted and emptied of pods when it is not."""

from __future__ import annotations

from collections.abc import Sequence

from lichen.kinds.builtin import NODE, POD
from lichen.model.data import Object
from lichen.model.meta import find_condition, is_deleting, name_of, namespace_of, uid_of, with_condition
from lichen.planning.steps import Delete, Patch, Step

GRACE = 40.0
"""Seconds without a renewed lease after which a node is NotReady."""
UNREACHABLE = "node.kubernetes.io/unreachable"
NOT_READY = "node.kubernetes.io/not-ready"
DEFAULT_TOLERATION = 300.0
"""Seconds that a pod stays on an unreachable node unless it says otherwise."""


def plan_node(node: Object, renewed: float | None, pods: Sequence[Object], now: float, now_text: str) -> list[Step]:
    """renewed: unix seconds of the lease's last renewal, None if it has none; pods: those bound to the node."""
    silent = now - renewed if renewed is not None else None
    lost = silent is not None and silent > GRACE
    steps: list[Step] = []
    ready = find_condition(node, "Ready")
    if lost and (ready is None or ready["status"] != "Unknown"):
        steps.append(_unknown(node, now_text))
    wanted = _taints(node, lost=lost, ready=ready is not None and ready["status"] == "True" and not lost, now=now_text)
    if wanted != _held(node):
        steps.append(Patch(NODE, name_of(node), "", {"spec": {"taints": wanted or None}}))
    if lost and silent is not None:
        steps += [
            Delete(POD, name_of(pod), namespace_of(pod), uid_of(pod))
            for pod in pods
            if not is_deleting(pod) and silent - GRACE > _tolerated(pod)
        ]
    return steps


def _unknown(node: Object, now: str) -> Step:
    conditions = (node.get("status") or {}).get("conditions") or []
    lost = {
        "type": "Ready",
        "status": "Unknown",
        "reason": "NodeStatusUnknown",
        "message": "The node agent stopped posting node status.",
    }
    return Patch(NODE, name_of(node), "", {"status": {"conditions": with_condition(conditions, lost, now)}}, "status")


def _taints(node: Object, *, lost: bool, ready: bool, now: str) -> list[Object]:
    held = _held(node)
    others = [t for t in held if t["key"] not in (UNREACHABLE, NOT_READY)]
    if ready:
        return others
    key = UNREACHABLE if lost else NOT_READY
    return [*others, *(_taint(held, key, effect, now) for effect in ("NoSchedule", "NoExecute"))]


def _held(node: Object) -> list[Object]:
    """A node that somebody else registered may have no spec at all."""
    return (node.get("spec") or {}).get("taints") or []


def _taint(held: list[Object], key: str, effect: str, now: str) -> Object:
    same = next((t for t in held if t["key"] == key and t["effect"] == effect), None)
    if same is not None:
        return same
    return {"key": key, "effect": effect, **({"timeAdded": now} if effect == "NoExecute" else {})}


def _tolerated(pod: Object) -> float:
    for toleration in pod["spec"].get("tolerations") or []:
        if toleration.get("key", UNREACHABLE) == UNREACHABLE and toleration.get("effect", "NoExecute") == "NoExecute":
            return float(toleration.get("tolerationSeconds", float("inf")))
    return DEFAULT_TOLERATION
