# SPDX-License-Identifier: Apache-2.0
"""What an object takes of a quota, and which quotas look at it. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

from lichen.kinds.builtin import PERSISTENT_VOLUME_CLAIM, POD, SERVICE
from lichen.kinds.compute.server import Server
from lichen.kinds.core.pod import qos_class
from lichen.kinds.volume.volume import Volume
from lichen.model.data import Object
from lichen.model.kind import Kind
from lichen.model.quantity import canonical, parse

Amounts = dict[str, Fraction]

_MIB = 1024 * 1024
_ENDED = ("Succeeded", "Failed")
SIZED = (POD, Server.KIND)
STORED = (PERSISTENT_VOLUME_CLAIM, Volume.KIND)
_SHORT = {"cpu": "requests.cpu", "memory": "requests.memory", "ephemeral-storage": "requests.ephemeral-storage"}
_RESOURCES = ("cpu", "memory", "ephemeral-storage")
_ONE = Fraction(1)


def charge(kind: Kind, obj: Object) -> Amounts:
    """What an object takes, by the names that quotas use."""
    amounts = {f"count/{kind.resource}": _ONE}
    if kind == POD and (obj.get("status") or {}).get("phase") in _ENDED:
        return amounts
    if not kind.group:
        amounts[kind.plural] = _ONE
    if kind == POD:
        amounts.update(_of_containers(obj["spec"]))
    elif kind == Server.KIND:
        resources = obj["spec"].get("resources") or {}
        amounts["requests.cpu"] = Fraction(resources.get("vcpus", 0))
        amounts["requests.memory"] = Fraction(resources.get("memory", 0) * _MIB)
    elif kind == Volume.KIND and not obj["spec"].get("claim"):  # else its claim is charged
        amounts["requests.storage"] = Fraction(obj["spec"].get("size", 0)) * 1024 * _MIB
    elif kind == PERSISTENT_VOLUME_CLAIM:
        amounts.update(_of_claim(obj.get("spec") or {}))
    elif kind == SERVICE:
        amounts.update(_of_service(obj.get("spec") or {}))
    for short, full in _SHORT.items():
        if full in amounts:
            amounts[short] = amounts[full]
    return amounts


def _of_containers(spec: Object) -> Amounts:
    """The sum of the containers, or an init container's where that is more."""
    amounts: Amounts = {}
    for part in ("requests", "limits"):
        for name in (*_RESOURCES, *_extended(spec, part)):
            running = sum(_amounts(spec.get("containers"), part, name), Fraction(0))
            starting = max(_amounts(spec.get("initContainers"), part, name), default=Fraction(0))
            amounts[f"{part}.{name}"] = max(running, starting)
    return amounts


def _extended(spec: Object, part: str) -> set[str]:
    """Names of other resources that containers ask for: devices."""
    containers = [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]
    return {name for c in containers for name in (c.get("resources") or {}).get(part) or ()} - set(_RESOURCES)


def _amounts(containers: list[Object] | None, part: str, name: str) -> Iterable[Fraction]:
    return [parse(((c.get("resources") or {}).get(part) or {}).get(name, "0")) for c in containers or ()]


def _of_claim(spec: Object) -> Amounts:
    wanted = (spec.get("resources") or {}).get("requests") or {}
    amounts = {"requests.storage": parse(wanted.get("storage", "0"))}
    if spec.get("storageClassName"):
        prefix = f"{spec['storageClassName']}.storageclass.storage.k8s.io"
        amounts[f"{prefix}/requests.storage"] = amounts["requests.storage"]
        amounts[f"{prefix}/persistentvolumeclaims"] = _ONE
    return amounts


def _of_service(spec: Object) -> Amounts:
    amounts: Amounts = {"services.loadbalancers": Fraction(0), "services.nodeports": Fraction(0)}
    type_ = spec.get("type", "ClusterIP")
    if type_ == "LoadBalancer":
        amounts["services.loadbalancers"] = _ONE
    if type_ == "NodePort" or (type_ == "LoadBalancer" and spec.get("allocateLoadBalancerNodePorts", True)):
        amounts["services.nodeports"] = Fraction(len(spec.get("ports") or ()))
    return amounts


def covers(quota: Object, kind: Kind, obj: Object) -> bool:
    """The quota's scopes pick the object. Scopes pick among pods; a server is a pod that does not end and has its
    resources."""
    spec = quota.get("spec") or {}
    terms = [{"scopeName": scope, "operator": "Exists"} for scope in spec.get("scopes") or ()]
    terms += (spec.get("scopeSelector") or {}).get("matchExpressions") or ()
    if not terms:
        return True
    if kind == Server.KIND:
        return all(term["scopeName"] in ("NotTerminating", "NotBestEffort") for term in terms)
    return kind == POD and all(_picks(term, obj["spec"]) for term in terms)


def _picks(term: Object, spec: Object) -> bool:
    match term["scopeName"]:
        case "Terminating":
            return spec.get("activeDeadlineSeconds") is not None
        case "NotTerminating":
            return spec.get("activeDeadlineSeconds") is None
        case "BestEffort":
            return qos_class(spec) == "BestEffort"
        case "NotBestEffort":
            return qos_class(spec) != "BestEffort"
        case "PriorityClass":
            return _selects(term, spec.get("priorityClassName") or "")
        case "CrossNamespacePodAffinity":
            return _reaches_out(spec.get("affinity") or {})
    return False


def _selects(term: Object, value: str) -> bool:
    match term.get("operator"):
        case "In":
            return value in (term.get("values") or ())
        case "NotIn":
            return value not in (term.get("values") or ())
        case "DoesNotExist":
            return not value
    return bool(value)


def _reaches_out(affinity: Object) -> bool:
    terms: list[Object] = []
    for side in ("podAffinity", "podAntiAffinity"):
        rules = affinity.get(side) or {}
        terms += rules.get("requiredDuringSchedulingIgnoredDuringExecution") or []
        weighted = rules.get("preferredDuringSchedulingIgnoredDuringExecution") or []
        terms += [item.get("podAffinityTerm") or {} for item in weighted]
    return any(term.get("namespaces") or "namespaceSelector" in term for term in terms)


def text_of_amount(key: str, amount: Fraction) -> str:
    """As quotas write it."""
    if key.endswith(("memory", "storage", "/bytes")):
        return canonical(f"{amount / _MIB}Mi") if (amount / _MIB).denominator == 1 else str(int(amount))
    return canonical(str(amount)) if amount.denominator == 1 else canonical(f"{float(amount):.9f}")
