# SPDX-License-Identifier: Apache-2.0
"""A ReplicaSet keeps as many pods as it is told. Semantics: Kubernetes apps/v1."""

from __future__ import annotations

import re
from collections.abc import Sequence

from lichen.kinds.builtin import POD
from lichen.model.data import Object
from lichen.model.meta import is_deleting, name_of, namespace_of, uid_of, with_condition
from lichen.planning.steps import Create, Delete, Step
from lichen.planning.times import rfc3339
from lichen.planning.workload import deletion_rank, is_active, is_available, is_ready, pod_from_template

BURST = 500
"""Most pods made or deleted in one pass."""


def plan_replica_set(replica_set: Object, pods: Sequence[Object]) -> list[Step]:
    """Steps from the pods it owns (`pods`, ended ones included) to what its spec wants."""
    if is_deleting(replica_set):
        return []
    active = [pod for pod in pods if is_active(pod)]
    missing = replica_set["spec"].get("replicas", 1) - len(active)
    template = replica_set["spec"]["template"]
    steps: list[Step] = [Create(POD, pod_from_template(replica_set, template)) for _ in range(min(missing, BURST))]
    surplus = sorted(active, key=deletion_rank)[: max(-missing, 0)][:BURST]
    return steps + [Delete(POD, name_of(pod), namespace_of(pod), uid_of(pod)) for pod in surplus]


def replica_set_status(replica_set: Object, pods: Sequence[Object], now: float, failure: str = "") -> Object:
    """failure: why pods could not be made or deleted, "" if they could."""
    wanted_labels = (replica_set["spec"]["template"].get("metadata") or {}).get("labels") or {}
    active = [pod for pod in pods if is_active(pod)]
    min_ready = replica_set["spec"].get("minReadySeconds", 0)
    return {
        "replicas": len(active),
        "fullyLabeledReplicas": sum(
            wanted_labels.items() <= (p["metadata"].get("labels") or {}).items() for p in active
        ),
        "readyReplicas": sum(map(is_ready, active)),
        "availableReplicas": sum(is_available(pod, min_ready, now) for pod in active),
        "observedGeneration": replica_set["metadata"].get("generation", 0),
        "conditions": _conditions(replica_set, failure, rfc3339(now)),
    }


def _conditions(replica_set: Object, failure: str, now: str) -> list[Object] | None:
    held = (replica_set.get("status") or {}).get("conditions") or []
    if failure:
        message = _unnamed(replica_set, failure)
        said = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": message}
        return with_condition(held, said, now)
    return [c for c in held if c["type"] != "ReplicaFailure"] or None


def _unnamed(replica_set: Object, failure: str) -> str:
    """Without the end of the name that was made up for a pod: a status that is another one after each try would bring
    on the next try at once."""
    prefix = f"{name_of(replica_set)}-"
    return re.sub(rf'"{re.escape(prefix)}[a-z0-9]+"', f'"{prefix}"', failure)
