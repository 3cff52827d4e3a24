# SPDX-License-Identifier: Apache-2.0
"""A ReplicaSet keeps as many pods as it is told. Semantics: Kubernetes apps/v1."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy

from lichen.kinds.builtin import POD, REPLICA_SET
from lichen.model.data import Object
from lichen.model.meta import find_condition, is_deleting, name_of, namespace_of, owner_reference, uid_of
from lichen.planning.steps import Create, Delete, Step, patch_status

BURST = 500
"""Most pods made or deleted in one pass."""


def plan_replica_set(replica_set: Object, pods: Sequence[Object]) -> list[Step]:
    """Steps from the pods it owns (`pods`, ended ones included) to what its spec wants, and its status."""
    active = [pod for pod in pods if is_active(pod)]
    wanted = replica_set["spec"].get("replicas", 1)
    steps: list[Step] = []
    if not is_deleting(replica_set):
        missing = wanted - len(active)
        steps += [Create(POD, pod_from_template(replica_set)) for _ in range(min(missing, BURST))]
        surplus = sorted(active, key=deletion_rank)[: max(-missing, 0)][:BURST]
        steps += [Delete(POD, name_of(pod), namespace_of(pod), uid_of(pod)) for pod in surplus]
    return steps + patch_status(REPLICA_SET, replica_set, replica_set_status(replica_set, active))


def replica_set_status(replica_set: Object, active: Sequence[Object]) -> Object:
    wanted_labels = (replica_set["spec"]["template"].get("metadata") or {}).get("labels") or {}
    labelled = [p for p in active if wanted_labels.items() <= (p["metadata"].get("labels") or {}).items()]
    ready = [pod for pod in active if is_ready(pod)]
    return {
        "replicas": len(active),
        "fullyLabeledReplicas": len(labelled),
        "readyReplicas": len(ready),
        "availableReplicas": len(ready),
        "observedGeneration": replica_set["metadata"].get("generation", 0),
    }


def pod_from_template(owner: Object) -> Object:
    """A pod as the owner's template says, named after the owner and owned by it."""
    template = deepcopy(owner["spec"]["template"])
    metadata = template.get("metadata") or {}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            **{key: metadata[key] for key in ("labels", "annotations", "finalizers") if metadata.get(key)},
            "generateName": f"{name_of(owner)}-",
            "namespace": namespace_of(owner),
            "ownerReferences": [owner_reference(owner)],
        },
        "spec": template["spec"],
    }


def is_active(pod: Object) -> bool:
    """Neither ended nor ending."""
    return (pod.get("status") or {}).get("phase") not in ("Succeeded", "Failed") and not is_deleting(pod)


def is_ready(pod: Object) -> bool:
    condition = find_condition(pod, "Ready")
    return condition is not None and condition["status"] == "True" and not is_deleting(pod)


def deletion_rank(pod: Object) -> tuple[bool, bool, int, int, str]:
    """Which pods go first: unplaced, not ready, of lower deletion cost, restarted more often, then the youngest."""
    status = pod.get("status") or {}
    restarts = sum(c.get("restartCount", 0) for c in status.get("containerStatuses") or [])
    cost = int((pod["metadata"].get("annotations") or {}).get("controller.kubernetes.io/pod-deletion-cost", 0))
    created = pod["metadata"].get("creationTimestamp", "")
    return (bool(pod["spec"].get("nodeName")), is_ready(pod), cost, -restarts, _reversed(created))


def _reversed(timestamp: str) -> str:
    """A string that sorts in the opposite order."""
    return "".join(chr(0x10FFFF - ord(letter)) for letter in timestamp)
