# SPDX-License-Identifier: Apache-2.0
"""A DaemonSet keeps one pod on every node that may carry it. Semantics: Kubernetes apps/v1."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from lichen.kinds.builtin import POD
from lichen.model.data import Object
from lichen.model.meta import is_deleting, labels_of, name_of, namespace_of, uid_of
from lichen.planning.revisions import HASH, hash_of
from lichen.planning.steps import Create, Delete, Step
from lichen.planning.workload import has_ended, is_available, is_ready, pod_from_template

_TOLERATED = (
    ("node.kubernetes.io/not-ready", "NoExecute"),
    ("node.kubernetes.io/unreachable", "NoExecute"),
    ("node.kubernetes.io/disk-pressure", "NoSchedule"),
    ("node.kubernetes.io/memory-pressure", "NoSchedule"),
    ("node.kubernetes.io/pid-pressure", "NoSchedule"),
    ("node.kubernetes.io/unschedulable", "NoSchedule"),
)
_ON_HOST = ("node.kubernetes.io/network-unavailable", "NoSchedule")


def plan_daemon_set(
    owner: Object,
    pods: Sequence[Object],
    update: Object,
    now: float,
    *,
    wanted: Collection[str],
    allowed: Collection[str],
) -> list[Step]:
    """wanted: nodes that should carry a pod; allowed: those where one that runs may stay. update: the revision of the
    present template."""
    if is_deleting(owner):
        return []
    held = by_node(pods)
    steps: list[Step] = [_delete(p) for node, here in held.items() if node not in allowed for p in here if _stays(p)]
    for node in sorted(wanted):
        here = held.get(node, [])
        steps += [_delete(pod) for pod in here if has_ended(pod) and not is_deleting(pod)]
        if not here:
            steps.append(Create(POD, daemon_pod(owner, node, update)))
    return steps + _roll(owner, {node: held.get(node, []) for node in wanted}, update, now)


def by_node(pods: Sequence[Object]) -> dict[str, list[Object]]:
    """The pods of each node, those that wait to be bound to it included, the oldest first."""
    held: defaultdict[str, list[Object]] = defaultdict(list)
    for pod in sorted(pods, key=lambda pod: str(pod["metadata"].get("creationTimestamp", ""))):
        held[node_of(pod)].append(pod)
    return dict(held)


def node_of(pod: Object) -> str:
    if pod["spec"].get("nodeName"):
        return str(pod["spec"]["nodeName"])
    affinity = (pod["spec"].get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or {}
    for term in required.get("nodeSelectorTerms") or []:
        for field in term.get("matchFields") or []:
            if field.get("key") == "metadata.name" and field.get("values"):
                return str(field["values"][0])
    return ""


def daemon_pod(owner: Object, node: str, revision: Object) -> Object:
    pod = pod_from_template(owner, owner["spec"]["template"])
    pod["metadata"]["labels"] = {**(pod["metadata"].get("labels") or {}), HASH: hash_of(revision)}
    pod["spec"]["tolerations"] = [*(pod["spec"].get("tolerations") or []), *tolerations(pod["spec"])]
    affinity = pod["spec"].setdefault("affinity", {}).setdefault("nodeAffinity", {})
    here = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node]}]}
    affinity["requiredDuringSchedulingIgnoredDuringExecution"] = {"nodeSelectorTerms": [here]}
    return pod


def tolerations(spec: Object) -> list[Object]:
    """What every daemon bears, beside what its template says."""
    borne = (*_TOLERATED, _ON_HOST) if spec.get("hostNetwork") else _TOLERATED
    return [{"key": key, "operator": "Exists", "effect": effect} for key, effect in borne]


def _roll(owner: Object, held: Mapping[str, list[Object]], update: Object, now: float) -> list[Step]:
    strategy = owner["spec"].get("updateStrategy") or {}
    if strategy.get("type") == "OnDelete":
        return []
    rolling = strategy.get("rollingUpdate") or {}
    surge = share(rolling.get("maxSurge", 0), len(held))
    unavailable = share(rolling.get("maxUnavailable", 1), len(held)) or (0 if surge else 1)
    min_ready = owner["spec"].get("minReadySeconds", 0)
    serving = {n: [p for p in here if is_available(p, min_ready, now)] for n, here in held.items()}
    steps: list[Step] = []
    down = sum(not found for found in serving.values())
    doubled = sum(len([p for p in here if not has_ended(p)]) > 1 for here in held.values())
    for node, here in sorted(held.items()):
        old = [p for p in here if _stays(p) and labels_of(p).get(HASH) != hash_of(update)]
        new = [p for p in here if _stays(p) and labels_of(p).get(HASH) == hash_of(update)]
        steps += [_delete(pod) for pod in new[1:]]
        if not old:
            continue
        if any(p in serving[node] for p in new) or not any(p in serving[node] for p in old):
            steps += [_delete(pod) for pod in old]
        elif surge and not new and not any(map(is_deleting, here)) and doubled < surge:
            steps.append(Create(POD, daemon_pod(owner, node, update)))
            doubled += 1
        elif not surge and down < unavailable:
            steps += [_delete(pod) for pod in old]
            down += 1
    return steps


def share(value: Any, whole: int) -> int:
    """A number, or a percentage of `whole` rounded up."""
    return math.ceil(whole * int(value.rstrip("%")) / 100) if isinstance(value, str) else int(value)


def daemon_set_status(
    owner: Object, pods: Sequence[Object], update: Object, now: float, *, wanted: Collection[str]
) -> Object:
    min_ready = owner["spec"].get("minReadySeconds", 0)
    held = {node: [p for p in here if _stays(p)] for node, here in by_node(pods).items()}
    here = {node: held[node] for node in wanted if held.get(node)}
    available = sum(any(is_available(p, min_ready, now) for p in found) for found in here.values())
    return {
        "desiredNumberScheduled": len(wanted),
        "currentNumberScheduled": len(here),
        "numberMisscheduled": sum(node not in wanted and bool(found) for node, found in held.items()),
        "numberReady": sum(any(map(is_ready, found)) for found in here.values()),
        "numberAvailable": available,
        "numberUnavailable": len(wanted) - available,
        "updatedNumberScheduled": sum(
            any(labels_of(p).get(HASH) == hash_of(update) for p in found) for found in here.values()
        ),
        "observedGeneration": owner["metadata"].get("generation", 0),
    }


def _stays(pod: Object) -> bool:
    return not is_deleting(pod) and not has_ended(pod)


def _delete(pod: Object) -> Step:
    return Delete(POD, name_of(pod), namespace_of(pod), uid_of(pod))
