# SPDX-License-Identifier: Apache-2.0
"""A pod's quality-of-service class, which follows from its containers' requests and limits."""

from __future__ import annotations

from fractions import Fraction

from lichen.model.data import Object
from lichen.model.quantity import parse


def millis(text: str | int | float) -> int:
    """CPU in thousandths, rounded up."""
    return -int(-parse(str(text)) * 1000 // 1)


def whole(text: str | int | float) -> int:
    """Bytes, or a count, rounded up."""
    return -int(-parse(str(text)) // 1)


def qos_class(pod: Object) -> str:
    """Guaranteed: every container has cpu and memory limits, and requests equal to them; BestEffort: none has any."""
    containers = [*(pod["spec"].get("initContainers") or []), *pod["spec"]["containers"]]
    figures = [_figures(container.get("resources") or {}) for container in containers]
    if not any(requests or limits for requests, limits in figures):
        return "BestEffort"
    guaranteed = all(
        limits.keys() == {"cpu", "memory"} and all(requests.get(k, v) == v for k, v in limits.items())
        for requests, limits in figures
    )
    return "Guaranteed" if guaranteed else "Burstable"


def oom_score(pod: Object, container: Object, machine_bytes: int) -> int:
    """How soon a container is ended when its machine has no memory left (oom_score_adj), as the kubelet reckons it: who
    asked for nothing first, then who asked for little of the machine. Who has what it asked for is worth as much as a
    guest or Lichen itself (0)."""
    match qos_class(pod):
        case "BestEffort":
            return 1000
        case "Guaranteed":
            return 0
    resources = container.get("resources") or {}
    asked = (resources.get("requests") or {}).get("memory") or (resources.get("limits") or {}).get("memory") or 0
    return max(2, min(999, 1000 - 1000 * whole(asked) // machine_bytes))


def _figures(resources: Object) -> tuple[dict[str, Fraction], dict[str, Fraction]]:
    return _of(resources.get("requests") or {}), _of(resources.get("limits") or {})


def _of(part: Object) -> dict[str, Fraction]:
    values = {key: parse(str(part[key])) for key in ("cpu", "memory") if key in part}
    return {key: value for key, value in values.items() if value}
