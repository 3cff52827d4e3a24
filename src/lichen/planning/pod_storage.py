# SPDX-License-Identifier: Apache-2.0
"""What of a node's disk a pod may fill: the `sizeLimit` of its emptyDirs, and its containers' ephemeral-storage limits.
One that takes more is evicted, in a kubelet's words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from lichen.model.data import Object
from lichen.model.quantity import canonical, parse, whole
from lichen.planning.pod_restart import is_sidecar

EVICTED = "Evicted"
GRACE = 1.0
"""Seconds that an evicted pod has to end: what it writes meanwhile is too much, too."""
_RESOURCE = "ephemeral-storage"


@dataclass(frozen=True, slots=True)
class Taken:
    """Bytes on the disk, by name: of emptyDirs, and of what containers wrote elsewhere, their logs with it."""

    volumes: Mapping[str, int] = field(default_factory=dict)
    containers: Mapping[str, int] = field(default_factory=dict)


def empty_dirs(pod: Object) -> list[Object]:
    return [volume for volume in pod["spec"].get("volumes") or () if "emptyDir" in volume]


def is_in_memory(volume: Object) -> bool:
    return bool((volume.get("emptyDir") or {}).get("medium") == "Memory")


def size_limit(volume: Object) -> str:
    """Of an emptyDir, "" for none."""
    limit = str((volume.get("emptyDir") or {}).get("sizeLimit") or "")
    return limit if limit and parse(limit) > 0 else ""


def memory_size(pod: Object, volume: Object, machine_bytes: int) -> int:
    """Bytes of an emptyDir in memory: its limit, but no more than the pod, or else the machine, may have."""
    limits = [((c.get("resources") or {}).get("limits") or {}).get("memory") for c in _containers(pod)]
    pods = [sum(whole(str(limit)) for limit in limits)] if all(limits) else []
    own = [whole(limit)] if (limit := size_limit(volume)) else []
    return min([machine_bytes, *pods, *own])


def has_limits(pod: Object) -> bool:
    """Whether there is anything to measure."""
    return any(size_limit(volume) for volume in empty_dirs(pod)) or any(map(_limit, _containers(pod)))


def overuse(pod: Object, taken: Taken) -> str:
    """Why the pod is to be evicted, "" if it keeps to its limits."""
    for volume in empty_dirs(pod):
        limit = size_limit(volume)
        if limit and taken.volumes.get(volume["name"], 0) > parse(limit):
            return f'Usage of EmptyDir volume "{volume["name"]}" exceeds the limit "{canonical(limit)}".'
    total = _total_limit(pod)
    if total and _total(pod, taken) > total:
        return f"Pod ephemeral local storage usage exceeds the total limit of containers {_said(total)}."
    for container in pod["spec"]["containers"]:
        limit = _limit(container)
        if limit and taken.containers.get(container["name"], 0) > parse(limit):
            return f'Container {container["name"]} exceeded its local ephemeral storage limit "{canonical(limit)}".'
    return ""


def _total(pod: Object, taken: Taken) -> int:
    on_disk = {volume["name"] for volume in empty_dirs(pod) if not is_in_memory(volume)}
    return sum(taken.containers.values()) + sum(size for name, size in taken.volumes.items() if name in on_disk)


def _total_limit(pod: Object) -> Fraction:
    """Of all that run at once, or of the init container that may take most."""
    inits = pod["spec"].get("initContainers") or []
    sidecars = [container for container in inits if is_sidecar(container)]
    beside = sum(_amounts([*pod["spec"]["containers"], *sidecars]), Fraction(0))
    return max([beside, *_amounts(container for container in inits if not is_sidecar(container))])


def _amounts(containers: Iterable[Object]) -> list[Fraction]:
    return [parse(_limit(container) or "0") for container in containers]


def _limit(container: Object) -> str:
    return str(((container.get("resources") or {}).get("limits") or {}).get(_RESOURCE) or "")


def _containers(pod: Object) -> list[Object]:
    return [*(pod["spec"].get("initContainers") or ()), *pod["spec"]["containers"]]


def _said(amount: Fraction) -> str:
    return canonical(f"{int(amount) // 1024}Ki") if amount % 1024 == 0 else str(int(amount))
