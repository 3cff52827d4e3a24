# SPDX-License-Identifier: Apache-2.0
"""Rules of Pods: what is left out, what must hold, and that a pod's spec hardly changes."""

from __future__ import annotations

from lichen.kinds.core.podcheck import check_pod_spec
from lichen.kinds.core.podspec import default_pod_spec
from lichen.kinds.faults import Faults
from lichen.kinds.rules import Rules
from lichen.model.data import Object
from lichen.model.quantity import parse

_MUTABLE = ("activeDeadlineSeconds", "tolerations", "schedulingGates", "ephemeralContainers")
_FIXED = (
    "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
    "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)


def default(pod: Object) -> None:
    spec = pod.setdefault("spec", {})
    default_pod_spec(spec)
    spec.setdefault("enableServiceLinks", True)


def begin(pod: Object) -> None:
    pod["status"] = {"phase": "Pending", "qosClass": qos_class(pod["spec"])}


def validate(pod: Object, faults: Faults) -> None:
    spec = pod.get("spec") or {}
    check_pod_spec(spec, "spec", faults)
    if spec.get("ephemeralContainers") and not spec.get("nodeName"):
        faults.forbidden("spec.ephemeralContainers", "cannot be set before the pod has a node")


def validate_update(new: Object, old: Object, faults: Faults) -> None:
    before = old["spec"].get("ephemeralContainers") or []
    if (new["spec"].get("ephemeralContainers") or [])[: len(before)] != before:
        faults.forbidden("spec.ephemeralContainers", "existing ephemeral containers may not be changed or removed")
    if _fixed(new["spec"], old["spec"]) != old["spec"]:
        faults.forbidden("spec", _FIXED)
    kept = new["spec"].get("tolerations") or []
    if any(toleration not in kept for toleration in old["spec"].get("tolerations") or []):
        faults.forbidden("spec.tolerations", "existing toleration can not be modified except its tolerationSeconds")


def carry(new: Object, old: Object) -> None:
    """What admission filled in may be left out of a replacement."""
    for field in ("serviceAccountName", "serviceAccount", "nodeName", "priority", "preemptionPolicy", "tolerations"):
        if field in old["spec"]:
            new["spec"].setdefault(field, old["spec"][field])


def _fixed(new: Object, old: Object) -> Object:
    """`new` as it would be had only that changed which may not."""
    spec = {key: value for key, value in new.items() if key not in _MUTABLE}
    spec.update({key: old[key] for key in _MUTABLE if key in old})
    for part in ("containers", "initContainers"):
        before = old.get(part) or []
        if part in spec and len(spec[part]) == len(before):
            spec[part] = [{**c, "image": b.get("image")} for c, b in zip(spec[part], before, strict=True)]
    if not old.get("nodeName"):
        spec.pop("nodeName", None)
        if "nodeName" in old:
            spec["nodeName"] = old["nodeName"]
    return spec


def qos_class(spec: Object) -> str:
    """Guaranteed: every container's cpu and memory requests equal its limits. BestEffort: none has any."""
    containers = [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]
    resources = [c.get("resources") or {} for c in containers]
    if not any(r.get("requests") or r.get("limits") for r in resources):
        return "BestEffort"
    return "Guaranteed" if all(_is_guaranteed(r) for r in resources) else "Burstable"


def _is_guaranteed(resources: Object) -> bool:
    limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
    return all(
        name in limits and parse(requests.get(name, limits[name])) == parse(limits[name]) for name in ("cpu", "memory")
    )


RULES = Rules(default=default, begin=begin, validate=validate, validate_update=validate_update, carry=carry)
