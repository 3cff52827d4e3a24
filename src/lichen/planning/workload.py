# SPDX-License-Identifier: Apache-2.0
"""What all controllers of pods share: which pods count, when they are available, pods from a template, adoption."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from copy import deepcopy

from lichen.kinds.builtin import POD
from lichen.model.data import Object
from lichen.model.kind import Kind
from lichen.model.meta import (
    annotations_of,
    controller_of,
    find_condition,
    is_deleting,
    name_of,
    namespace_of,
    owner_reference,
    owners_of,
    revision_of,
    uid_of,
)
from lichen.model.selectors import label_selector
from lichen.planning.steps import Patch
from lichen.planning.times import seconds_of

_COST = "controller.kubernetes.io/pod-deletion-cost"


def phase_of(pod: Object) -> str:
    phase: str = (pod.get("status") or {}).get("phase") or "Pending"
    return phase


def has_ended(pod: Object) -> bool:
    return phase_of(pod) in ("Succeeded", "Failed")


def is_active(pod: Object) -> bool:
    """Neither ended nor ending."""
    return not has_ended(pod) and not is_deleting(pod)


def says_ready(pod: Object) -> bool:
    """It answers, though it may be on its way out."""
    condition = find_condition(pod, "Ready")
    return condition is not None and condition["status"] == "True"


def is_ready(pod: Object) -> bool:
    return says_ready(pod) and not is_deleting(pod)


def available_in(pod: Object, min_ready: int, now: float) -> float | None:
    """Seconds until a pod has been ready for `min_ready` seconds: 0.0 if it has, None if it is not ready."""
    condition = find_condition(pod, "Ready")
    if condition is None or not is_ready(pod):
        return None
    return max(seconds_of(condition.get("lastTransitionTime")) + min_ready - now, 0.0) if min_ready else 0.0


def is_available(pod: Object, min_ready: int, now: float) -> bool:
    return available_in(pod, min_ready, now) == 0.0


def next_available(pods: Iterable[Object], min_ready: int, now: float) -> float | None:
    """Seconds until the next pod becomes available just by time; None: none does."""
    return min((wait for pod in pods if (wait := available_in(pod, min_ready, now))), default=None)


def pod_from_template(owner: Object, template: Object, **metadata: object) -> Object:
    """A pod as a template says, owned by `owner`; named after it unless `metadata` has a name."""
    template = deepcopy(template)
    given = template.get("metadata") or {}
    kept = {key: given[key] for key in ("labels", "annotations", "finalizers") if given.get(key)}
    named = {} if "name" in metadata else {"generateName": f"{name_of(owner)}-"}
    return {
        "apiVersion": POD.api_version,
        "kind": POD.kind,
        "metadata": {
            **kept,
            **named,
            "namespace": namespace_of(owner),
            "ownerReferences": [owner_reference(owner)],
            **metadata,
        },
        "spec": template["spec"],
    }


def deletion_rank(pod: Object) -> tuple[bool, bool, int, int, str]:
    """Which pods go first: unplaced, not ready, of lower deletion cost, restarted more often, then the youngest."""
    restarts = sum(c.get("restartCount", 0) for c in (pod.get("status") or {}).get("containerStatuses") or [])
    created = pod["metadata"].get("creationTimestamp", "")
    return (bool(pod["spec"].get("nodeName")), is_ready(pod), _cost(pod), -restarts, _reversed(created))


def selector_of(owner: Object) -> Object | None:
    """A workload's label selector; a ReplicationController has a plain map of labels instead."""
    selector: Object | None = owner["spec"].get("selector")
    return {"matchLabels": selector} if owner["kind"] == "ReplicationController" else selector


def plan_claims(kind: Kind, owner: Object, candidates: Sequence[Object]) -> list[Patch]:
    """Take in what nobody manages and the owner's selector matches; let go of what it does not match any more."""
    if is_deleting(owner):
        return []
    matches = label_selector(selector_of(owner))
    steps: list[Patch] = []
    for obj in candidates:
        manager = controller_of(obj)
        if manager is None and matches(obj) and not is_deleting(obj) and not has_ended(obj):
            steps.append(_owned_by(kind, obj, [*owners_of(obj), owner_reference(owner)]))
        elif manager is not None and manager["uid"] == uid_of(owner) and not matches(obj):
            steps.append(_owned_by(kind, obj, [o for o in owners_of(obj) if o["uid"] != uid_of(owner)]))
    return steps


def _owned_by(kind: Kind, obj: Object, owners: list[Object]) -> Patch:
    metadata = {"resourceVersion": str(revision_of(obj)), "ownerReferences": owners or None}
    return Patch(kind, name_of(obj), namespace_of(obj), {"metadata": metadata})


def _cost(pod: Object) -> int:
    try:
        return int(annotations_of(pod).get(_COST, 0))
    except ValueError:
        return 0


def _reversed(timestamp: str) -> str:
    """A string that sorts in the opposite order."""
    return "".join(chr(0x10FFFF - ord(letter)) for letter in timestamp)
