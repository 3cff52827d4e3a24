# SPDX-License-Identifier: Apache-2.0
"""How many of a PodDisruptionBudget's pods may be taken away now. Semantics: Kubernetes policy/v1."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lichen.model.data import Object
from lichen.model.meta import controller_of, is_deleting, name_of, with_condition
from lichen.planning.times import rfc3339, seconds_of
from lichen.planning.workload import has_ended, says_ready

EVICTED_SECONDS = 120.0
"""How long a pod that was evicted counts as gone before its deletion is seen."""


def disruption_status(
    budget: Object, pods: Sequence[Object], replicas: Mapping[str, tuple[str, int]], now: float
) -> Object:
    """The budget's status. pods: those it selects. replicas: for the uid of what manages a pod, the uid of what is
    scaled in the end, and how many pods that wants."""
    counted = [pod for pod in pods if not has_ended(pod)]
    evicted = _evicted(budget, counted, now)
    healthy = sum(says_ready(pod) and not is_deleting(pod) and name_of(pod) not in evicted for pod in counted)
    expected, desired = _wanted(budget["spec"], counted, replicas)
    allowed = max(healthy - desired, 0) if expected else 0
    held = (budget.get("status") or {}).get("conditions") or []
    condition = {
        "type": "DisruptionAllowed",
        "status": "True" if allowed else "False",
        "reason": "SufficientPods" if allowed else "InsufficientPods",
        "message": "",
        "observedGeneration": budget["metadata"].get("generation", 1),
    }
    return {
        "currentHealthy": healthy,
        "desiredHealthy": desired,
        "disruptionsAllowed": allowed,
        "expectedPods": expected,
        "observedGeneration": budget["metadata"].get("generation", 1),
        "conditions": with_condition(held, condition, rfc3339(now)),
        "disruptedPods": evicted or None,
    }


def _evicted(budget: Object, pods: Sequence[Object], now: float) -> dict[str, str]:
    """Pods whose eviction was allowed and whose deletion is still to be seen."""
    noted: dict[str, str] = (budget.get("status") or {}).get("disruptedPods") or {}
    there = {name_of(pod) for pod in pods if not is_deleting(pod)}
    return {name: at for name, at in noted.items() if name in there and seconds_of(at) + EVICTED_SECONDS > now}


def _wanted(spec: Object, pods: Sequence[Object], replicas: Mapping[str, tuple[str, int]]) -> tuple[int, int]:
    """(pods that should be there, of these so many healthy)."""
    least, most = spec.get("minAvailable"), spec.get("maxUnavailable")
    if most is not None:
        expected = _expected(pods, replicas)
        return expected, max(expected - _share(most, expected), 0)
    if isinstance(least, str):
        expected = _expected(pods, replicas)
        return expected, _share(least, expected)
    return len(pods), least if least is not None else 1


def _expected(pods: Sequence[Object], replicas: Mapping[str, tuple[str, int]]) -> int:
    """What manages the pods wants so many of them; a pod that nothing manages is one."""
    wanted: dict[str, int] = {}
    for pod in pods:
        manager = (controller_of(pod) or {}).get("uid", "")
        scaled, count = replicas.get(manager, (pod["metadata"].get("uid") or name_of(pod), 1))
        wanted[scaled] = count
    return sum(wanted.values())


def _share(value: Any, whole: int) -> int:
    """A count, or a part in percent, rounded up."""
    return value if isinstance(value, int) else -(-int(value.rstrip("%")) * whole // 100)


def evicted_until(budget: Object) -> float | None:
    """When what is noted of evicted pods must be looked at again; None: nothing is."""
    noted = (budget.get("status") or {}).get("disruptedPods") or {}
    return min((seconds_of(at) + EVICTED_SECONDS for at in noted.values()), default=None)
