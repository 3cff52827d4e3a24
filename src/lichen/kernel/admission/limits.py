# SPDX-License-Identifier: Apache-2.0
"""LimitRanges: what containers and claims get that ask for nothing, and how much and how little they may ask for."""

from __future__ import annotations

from collections.abc import Iterable

from lichen.kernel.admission import Request, refused
from lichen.kernel.admission.charges import charge
from lichen.kinds.builtin import LIMIT_RANGE, PERSISTENT_VOLUME_CLAIM, POD
from lichen.model.data import Object
from lichen.model.kind import Kind
from lichen.model.quantity import parse

_NOTE = "kubernetes.io/limit-ranger"


class LimitRanges:
    """Defaults for containers of new pods; bounds for pods, containers and claims."""

    kinds: tuple[Kind, ...] | None = (POD, PERSISTENT_VOLUME_CLAIM)
    verbs: tuple[str, ...] = ("create",)

    async def admit(self, request: Request) -> None:
        found = (await request.state.list(LIMIT_RANGE, request.namespace)).items
        limits = [limit for item in found for limit in (item.get("spec") or {}).get("limits") or ()]
        if not limits:
            return
        if request.kind == POD:
            _fill(request.object, [limit for limit in limits if limit.get("type") == "Container"])
        faults = [fault for limit in limits for fault in _faults(request, limit)]
        if faults:
            raise refused(request, faults[0] if len(faults) == 1 else "[" + ", ".join(faults) + "]")


def _fill(pod: Object, limits: list[Object]) -> None:
    """Defaults, and an annotation that says which were set."""
    notes = []
    for word, listed in (("container", "containers"), ("init container", "initContainers")):
        for container in pod["spec"].get(listed) or ():
            for part, source in (("requests", "defaultRequest"), ("limits", "default")):
                names = _fill_part(container, part, [limit.get(source) or {} for limit in limits])
                if names:
                    said = ", ".join(f"{name} {part[:-1]}" for name in sorted(names))
                    notes.append(f"{said} for {word} {container['name']}")
    if notes:
        metadata = pod["metadata"]
        note = "LimitRanger plugin set: " + "; ".join(notes)
        metadata["annotations"] = {**(metadata.get("annotations") or {}), _NOTE: note}


def _fill_part(container: Object, part: str, defaults: list[Object]) -> list[str]:
    held = (container.get("resources") or {}).get(part) or {}
    added = {name: value for default in reversed(defaults) for name, value in default.items() if name not in held}
    if added:
        container["resources"] = {**(container.get("resources") or {}), part: {**held, **added}}
    return list(added)


def _faults(request: Request, limit: Object) -> Iterable[str]:
    match limit.get("type"):
        case "Container" if request.kind == POD:
            spec = request.object["spec"]
            for container in [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]:
                yield from _check(limit, "Container", container.get("resources") or {})
        case "Pod" if request.kind == POD:
            yield from _check(limit, "Pod", _of_pod(request.object))
        case "PersistentVolumeClaim" if request.kind == PERSISTENT_VOLUME_CLAIM:
            asked = (request.object.get("spec") or {}).get("resources") or {}
            yield from _check(limit, "PersistentVolumeClaim", {**asked, "limits": asked.get("requests") or {}})


def _of_pod(pod: Object) -> Object:
    """The pod's resources together; what no container asks for is not there."""
    amounts = charge(POD, {**pod, "status": {}})
    parts: Object = {"requests": {}, "limits": {}}
    for key, amount in amounts.items():
        part, dot, name = key.partition(".")
        if dot and part in parts and amount:
            parts[part][name] = f"{amount.numerator * 1000 // amount.denominator}m"
    return parts


def _check(limit: Object, what: str, resources: Object) -> Iterable[str]:
    requests, limits = resources.get("requests") or {}, resources.get("limits") or {}
    for name, least in (limit.get("min") or {}).items():
        if name not in requests:
            yield f"minimum {name} usage per {what} is {least}.  No request is specified"
        elif parse(requests[name]) < parse(least):
            yield f"minimum {name} usage per {what} is {least}, but request is {requests[name]}"
    for name, most in (limit.get("max") or {}).items():
        if name not in limits:
            yield f"maximum {name} usage per {what} is {most}.  No limit is specified"
        elif parse(limits[name]) > parse(most):
            yield f"maximum {name} usage per {what} is {most}, but limit is {limits[name]}"
    for name, ratio in (limit.get("maxLimitRequestRatio") or {}).items():
        have, want = parse(limits.get(name, "0")), parse(requests.get(name, "0"))
        if want and have / want > parse(ratio):
            said = f"but provided ratio is {float(have / want):f}"
            yield f"{name} max limit to request ratio per {what} is {ratio}, {said}"
