# SPDX-License-Identifier: Apache-2.0
"""How many pods may be taken away on purpose. Semantics: Kubernetes policy/v1 PodDisruptionBudget."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from lichen.model.data import Object
from lichen.model.meta import is_deleting, name_of, uid_of, with_condition
from lichen.planning.times import rfc3339, seconds_of
from lichen.planning.workload import has_ended, is_ready, phase_of, says_ready

ALLOWED = "DisruptionAllowed"
PATIENCE = 120.0
"""Seconds for which a pod that was evicted is counted as going, though it is not seen to go."""

Scale = Callable[[Object], tuple[str, int] | None]
"""(uid, wanted pods) of the workload that manages a pod; None: none does, or it has no number."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a pod may be evicted. budget: the status that pays for it, None if nothing is to be paid; refusal: why
    not, "" if it may; retry: seconds after which to ask again, 0 unless known, None: never."""

    budget: Object | None = None
    refusal: str = ""
    retry: int | None = 0


def disruption_status(budget: Object, pods: Sequence[Object], scale: Scale, now: float) -> Object:
    """A budget's status. pods: those that it selects."""
    held = budget.get("status") or {}
    going = _still_going(held.get("disruptedPods") or {}, pods, now)
    healthy = sum(is_ready(pod) and name_of(pod) not in going for pod in pods)
    conditions = held.get("conditions") or []
    base: Object = {
        "observedGeneration": budget["metadata"].get("generation", 0),
        "disruptedPods": {**dict.fromkeys(held.get("disruptedPods") or {}), **going},
        "currentHealthy": healthy,
    }
    try:
        expected, desired = _wanted(budget["spec"], [pod for pod in pods if not has_ended(pod)], scale)
    except LookupError as error:
        said = {"type": ALLOWED, "status": "False", "reason": "SyncFailed", "message": str(error.args[0])}
        kept = {"expectedPods": held.get("expectedPods", 0), "desiredHealthy": held.get("desiredHealthy", 0)}
        return base | kept | {"disruptionsAllowed": 0, "conditions": with_condition(conditions, said, rfc3339(now))}
    allowed = max(0, healthy - desired) if expected > 0 else 0
    return base | {
        "expectedPods": expected,
        "desiredHealthy": desired,
        "disruptionsAllowed": allowed,
        "conditions": with_condition(conditions, _said(allowed, budget), rfc3339(now)),
    }


def judge_eviction(pod: Object, budgets: Sequence[Object], now: float) -> Verdict:
    """Whether a pod may be evicted now. budgets: those that select it."""
    if is_deleting(pod) or has_ended(pod) or phase_of(pod) == "Pending" or not budgets:
        return Verdict()
    if len(budgets) > 1:
        names = ", ".join(sorted(name_of(budget) for budget in budgets))
        return Verdict(refusal=f"it has more than one PodDisruptionBudget: {names}", retry=None)
    budget, status = budgets[0], budgets[0].get("status") or {}
    if status.get("observedGeneration", 0) < budget["metadata"].get("generation", 0):
        return Verdict(
            refusal=f"The disruption budget {name_of(budget)} is still being processed by the server.", retry=10
        )
    healthy, desired = status.get("currentHealthy", 0), status.get("desiredHealthy", 0)
    if not says_ready(pod):
        always = budget["spec"].get("unhealthyPodEvictionPolicy") == "AlwaysAllow"
        if always or healthy >= desired > 0:
            return Verdict()
    left = status.get("disruptionsAllowed", 0) - 1
    if left < 0:
        needs = f"The disruption budget {name_of(budget)} needs {desired} healthy pods and has {healthy} currently"
        return Verdict(refusal=needs)
    going = {**(status.get("disruptedPods") or {}), name_of(pod): rfc3339(now)}
    conditions = with_condition(status.get("conditions") or [], _said(left, budget), rfc3339(now))
    return Verdict({**status, "disruptionsAllowed": left, "disruptedPods": going, "conditions": conditions})


def next_look(status: Object, now: float) -> float | None:
    """Seconds until an evicted pod that stays is counted again; None: none is awaited."""
    waits = [seconds_of(at) + PATIENCE - now for at in (status.get("disruptedPods") or {}).values() if at]
    return max(0.0, min(waits)) if waits else None


def _said(allowed: int, budget: Object) -> Object:
    return {
        "type": ALLOWED,
        "status": "True" if allowed else "False",
        "reason": "SufficientPods" if allowed else "InsufficientPods",
        "message": "",
        "observedGeneration": budget["metadata"].get("generation", 0),
    }


def _still_going(disrupted: Mapping[str, str], pods: Sequence[Object], now: float) -> dict[str, str]:
    here = {name_of(pod) for pod in pods if not is_deleting(pod)}
    return {name: at for name, at in disrupted.items() if name in here and seconds_of(at) + PATIENCE > now}


def _wanted(spec: Object, pods: Sequence[Object], scale: Scale) -> tuple[int, int]:
    """(pods there should be, pods that must be healthy). LookupError: the workloads do not say how many."""
    most, least = spec.get("maxUnavailable"), spec.get("minAvailable")
    if most is not None:
        expected = _expected(pods, scale)
        return expected, max(0, expected - _share(most, expected))
    if isinstance(least, str):
        expected = _expected(pods, scale)
        return expected, _share(least, expected)
    return len(pods), int(least if least is not None else 1)


def _expected(pods: Sequence[Object], scale: Scale) -> int:
    wanted: dict[str, int] = {}
    for pod in pods:
        found = scale(pod)
        if found is None:
            raise LookupError(
                f"pod {name_of(pod)} ({uid_of(pod)}) is managed by nothing that says how many there should be"
            )
        wanted[found[0]] = found[1]
    return sum(wanted.values())


def _share(value: int | str, whole: int) -> int:
    """A number, or a percentage of `whole` rounded up."""
    return math.ceil(whole * int(value.rstrip("%")) / 100) if isinstance(value, str) else int(value)
