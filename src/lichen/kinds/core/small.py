# SPDX-License-Identifier: Apache-2.0
"""Rules of the kinds that need only a few lines: namespaces, config maps, secrets, volumes, classes, roles…"""

from __future__ import annotations

import base64
import re

from lichen.kinds.core.claim import validate_claim_update
from lichen.kinds.core.common import check_immutable, check_not_negative
from lichen.kinds.core.networkpolicy import default_network_policy, validate_network_policy
from lichen.kinds.faults import Faults
from lichen.kinds.rules import Rules
from lichen.model.data import Object

MAX_DATA = 1024 * 1024
_KEY = re.compile(r"[-._a-zA-Z0-9]{1,253}")
_RBAC = "rbac.authorization.k8s.io"


def begin_namespace(namespace: Object) -> None:
    namespace["spec"] = {"finalizers": ["kubernetes"]}
    namespace["status"] = {"phase": "Active"}


def carry_namespace(new: Object, old: Object) -> None:
    """Who holds a namespace is changed by its `finalize` alone."""
    new.setdefault("spec", {}).setdefault("finalizers", (old.get("spec") or {}).get("finalizers", []))


def _check_keys(obj: Object, faults: Faults) -> None:
    size = 0
    for part in ("data", "binaryData"):
        for key, value in (obj.get(part) or {}).items():
            size += len(value)
            if _KEY.fullmatch(key) is None or key in (".", ".."):
                faults.invalid(
                    f"{part}[{key}]", key, "a valid config key must consist of alphanumeric characters, '-', '_' or '.'"
                )
    if size > MAX_DATA:
        faults.too_long("data", MAX_DATA)


def _check_frozen(new: Object, old: Object, faults: Faults) -> None:
    if not old.get("immutable"):
        return
    if not new.get("immutable"):
        faults.forbidden("immutable", "field is immutable when `immutable` is set")
    for part in ("data", "binaryData"):
        if new.get(part) != old.get(part):
            faults.forbidden(part, "field is immutable when `immutable` is set")


def default_secret(secret: Object) -> None:
    """stringData is for writing only."""
    secret.setdefault("type", "Opaque")
    plain = secret.pop("stringData", None)
    if plain:
        data = secret.setdefault("data", {})
        data.update({key: base64.b64encode(value.encode()).decode() for key, value in plain.items()})


def validate_secret_update(new: Object, old: Object, faults: Faults) -> None:
    check_immutable(new, old, ("type",), faults)
    _check_frozen(new, old, faults)


def default_volume(volume: Object) -> None:
    volume.setdefault("spec", {}).setdefault("persistentVolumeReclaimPolicy", "Retain")
    volume["spec"].setdefault("volumeMode", "Filesystem")


def begin_pending(obj: Object) -> None:
    obj["status"] = {"phase": "Pending"}


def default_claim(claim: Object) -> None:
    claim.setdefault("spec", {}).setdefault("volumeMode", "Filesystem")


def default_binding(binding: Object) -> None:
    reference = binding.get("roleRef")
    if reference is not None and not reference.get("apiGroup"):
        reference["apiGroup"] = _RBAC
    for subject in binding.get("subjects") or ():
        if subject.get("kind") in ("User", "Group") and not subject.get("apiGroup"):
            subject["apiGroup"] = _RBAC


def validate_binding_update(new: Object, old: Object, faults: Faults) -> None:
    if new.get("roleRef") != old.get("roleRef"):
        faults.invalid("roleRef", new.get("roleRef"), "cannot change roleRef")


def default_limit_range(obj: Object) -> None:
    """A container's default limit is its maximum, its default request its default limit or its minimum."""
    for limit in (obj.get("spec") or {}).get("limits") or ():
        if limit.get("type") != "Container":
            continue
        default = {**(limit.get("max") or {}), **(limit.get("default") or {})}
        request = {**(limit.get("min") or {}), **default, **(limit.get("defaultRequest") or {})}
        for key, value in (("default", default), ("defaultRequest", request)):
            if value:
                limit[key] = value


def default_storage_class(obj: Object) -> None:
    obj.setdefault("reclaimPolicy", "Delete")
    obj.setdefault("volumeBindingMode", "Immediate")


def default_priority_class(obj: Object) -> None:
    obj.setdefault("preemptionPolicy", "PreemptLowerPriority")


def default_slice(obj: Object) -> None:
    obj.setdefault("endpoints", [])
    for port in obj.get("ports") or ():
        port.setdefault("protocol", "TCP")
        port.setdefault("name", "")


def default_endpoints(obj: Object) -> None:
    for subset in obj.get("subsets") or ():
        for port in subset.get("ports") or ():
            port.setdefault("protocol", "TCP")


_SHARE = re.compile(r"\d+%")


def validate_budget(obj: Object, faults: Faults) -> None:
    spec = obj.get("spec") or {}
    if spec.get("minAvailable") is not None and spec.get("maxUnavailable") is not None:
        faults.invalid("spec", spec, "minAvailable and maxUnavailable cannot be both set")
    for field in ("minAvailable", "maxUnavailable"):
        value = spec.get(field)
        if isinstance(value, str) and _SHARE.fullmatch(value) is None:
            faults.invalid(f"spec.{field}", value, "a valid percent string must be a numeric followed by '%'")
        check_not_negative(spec, field, faults)


DEFAULT_CIDR = "kubernetes"


def begin_cidr(obj: Object) -> None:
    """Services get their addresses from the first range alone: one that is made later says so."""
    meta = obj["metadata"]
    ready = meta.get("name") == DEFAULT_CIDR
    said = (
        "Kubernetes Service CIDR is ready" if ready else f"services have addresses of ServiceCIDR {DEFAULT_CIDR} only"
    )
    condition = {
        "type": "Ready",
        "status": "True" if ready else "False",
        "reason": "" if ready else "NotUsed",
        "message": said,
        "lastTransitionTime": meta["creationTimestamp"],
    }
    obj["status"] = {"conditions": [condition]}


def _frozen_fields(*fields: str) -> Rules:
    return Rules(validate_update=lambda new, old, faults: check_immutable(new, old, fields, faults))


BINDING = Rules(default=default_binding, validate_update=validate_binding_update)

RULES: dict[tuple[str, str], Rules] = {
    ("", "namespaces"): Rules(begin=begin_namespace, carry=carry_namespace),
    ("", "configmaps"): Rules(validate=_check_keys, validate_update=_check_frozen),
    ("", "secrets"): Rules(default=default_secret, validate=_check_keys, validate_update=validate_secret_update),
    ("", "persistentvolumes"): Rules(default=default_volume, begin=begin_pending),
    ("", "persistentvolumeclaims"): Rules(
        default=default_claim, begin=begin_pending, validate_update=validate_claim_update
    ),
    ("", "endpoints"): Rules(default=default_endpoints),
    ("", "limitranges"): Rules(default=default_limit_range),
    (_RBAC, "rolebindings"): BINDING,
    (_RBAC, "clusterrolebindings"): BINDING,
    ("storage.k8s.io", "storageclasses"): Rules(
        default=default_storage_class,
        validate_update=lambda new, old, faults: check_immutable(
            new, old, ("provisioner", "parameters", "reclaimPolicy", "volumeBindingMode"), faults
        ),
    ),
    ("scheduling.k8s.io", "priorityclasses"): Rules(
        default=default_priority_class,
        validate_update=lambda new, old, faults: check_immutable(new, old, ("value", "preemptionPolicy"), faults),
    ),
    ("node.k8s.io", "runtimeclasses"): _frozen_fields("handler"),
    ("discovery.k8s.io", "endpointslices"): Rules(
        default=default_slice,
        validate_update=lambda new, old, faults: check_immutable(new, old, ("addressType",), faults),
    ),
    ("policy", "poddisruptionbudgets"): Rules(validate=validate_budget),
    ("networking.k8s.io", "servicecidrs"): Rules(
        begin=begin_cidr, validate_update=lambda new, old, faults: check_immutable(new, old, ("spec.cidrs",), faults)
    ),
    ("networking.k8s.io", "networkpolicies"): Rules(default=default_network_policy, validate=validate_network_policy),
}
