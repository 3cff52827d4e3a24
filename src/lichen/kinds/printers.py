# SPDX-License-Identifier: Apache-2.0
"""The columns of Kubernetes' kinds, as kubectl's users know them, by (group, plural)."""

from __future__ import annotations

from typing import Any

from lichen.kinds.apps.cells import JOB_CELLS, WORKLOAD_CELLS
from lichen.kinds.columns import AGE, NAME, Column, age, path_cell
from lichen.kinds.core.cells import NODE_CELLS, POD_CELLS, SERVICE_CELLS
from lichen.model.data import Object

_RBAC = "rbac.authorization.k8s.io"
_STORAGE = "storage.k8s.io"


def _count(path: str, name: str) -> Column:
    """How many entries a list or a map has."""
    first, _, second = path.partition(".")

    def cell(obj: Object, now: float) -> int:
        value: Any = obj.get(first) or {}
        value = (value.get(second) if isinstance(value, dict) else None) if second else value
        return len(value or ())

    return Column(name, cell, type="integer")


def _text(name: str, path: str, *, empty: str = "<none>", wide: bool = False) -> Column:
    """What is at a path; a sign where there is nothing."""
    inner = path_cell(path)
    return Column(name, lambda obj, now: inner(obj, now) or empty, priority=1 if wide else 0)


def _data_count(obj: Object, now: float) -> int:
    return len(obj.get("data") or ()) + len(obj.get("binaryData") or ())


def _quota(name: str, *, limits: bool) -> Column:
    """`pods: 3/20, requests.cpu: 1/8`: what is used of what a quota grants."""

    def cell(obj: Object, now: float) -> str:
        status = obj.get("status") or {}
        used, hard = status.get("used") or {}, status.get("hard") or {}
        mine = [key for key in sorted(hard) if key.startswith("limits.") == limits]
        return ", ".join(f"{key}: {used.get(key, '0')}/{hard[key]}" for key in mine)

    return Column(name, cell)


def _time(obj: Object) -> str | None:
    """When an event was last seen."""
    series = obj.get("series") or {}
    seen: str | None = (
        series.get("lastObservedTime")
        or obj.get("lastTimestamp")
        or obj.get("deprecatedLastTimestamp")
        or obj.get("eventTime")
        or obj["metadata"].get("creationTimestamp")
    )
    return seen


def _involved(obj: Object, now: float) -> str:
    involved = obj.get("involvedObject") or obj.get("regarding") or {}
    return f"{str(involved.get('kind', '')).lower()}/{involved.get('name', '')}"


def _message(obj: Object, now: float) -> str:
    return str(obj.get("message") or obj.get("note") or "").strip()


def _source(obj: Object, now: float) -> str:
    source = obj.get("source") or obj.get("deprecatedSource") or {}
    reporter = obj.get("reportingComponent") or obj.get("reportingController")
    parts = (source.get("component") or reporter, source.get("host"))
    return ", ".join(part for part in parts if part)


def _ports(obj: Object, now: float) -> str:
    return ",".join(str(p.get("port")) for p in obj.get("ports") or () if p.get("port")) or "<unset>"


def _slice_addresses(obj: Object, now: float) -> str:
    found = [a for e in obj.get("endpoints") or () for a in e.get("addresses") or ()]
    return _shortened(found, "<unset>")


def _endpoints(obj: Object, now: float) -> str:
    found = [
        f"{address.get('ip')}:{port.get('port')}"
        for subset in obj.get("subsets") or ()
        for port in subset.get("ports") or ()
        for address in subset.get("addresses") or ()
    ]
    return _shortened(found, "<none>")


def _shortened(items: list[str], empty: str) -> str:
    if len(items) > 3:
        return ",".join(items[:3]) + f" + {len(items) - 3} more..."
    return ",".join(items) or empty


def _role(obj: Object, now: float) -> str:
    reference = obj.get("roleRef") or {}
    return f"{reference.get('kind')}/{reference.get('name')}"


def _subjects(kind: str, name: str) -> Column:
    def cell(obj: Object, now: float) -> str:
        found = [s for s in obj.get("subjects") or () if s.get("kind") == kind]
        return ", ".join(f"{s['namespace']}/{s['name']}" if s.get("namespace") else s["name"] for s in found)

    return Column(name, cell, priority=1)


_MODES = {"ReadWriteOnce": "RWO", "ReadOnlyMany": "ROX", "ReadWriteMany": "RWX", "ReadWriteOncePod": "RWOP"}


def _modes(obj: Object, now: float) -> str:
    modes = (obj.get("status") or {}).get("accessModes") or (obj.get("spec") or {}).get("accessModes") or ()
    return ",".join(_MODES.get(mode, mode) for mode in modes)


def _claim(obj: Object, now: float) -> str:
    claim = (obj.get("spec") or {}).get("claimRef") or {}
    return f"{claim.get('namespace', '')}/{claim['name']}" if claim.get("name") else ""


def _hosts(obj: Object, now: float) -> str:
    hosts = [rule.get("host") or "*" for rule in (obj.get("spec") or {}).get("rules") or ()]
    return _shortened(hosts, "*")


def _target(obj: Object, now: float) -> str:
    target = (obj.get("spec") or {}).get("scaleTargetRef") or {}
    return f"{target.get('kind', '')}/{target.get('name', '')}"


def _targets(obj: Object, now: float) -> str:
    """`cpu: <unknown>/50%`: what an autoscaler aims at; nothing measures for it yet."""
    aims = []
    for metric in (obj.get("spec") or {}).get("metrics") or ():
        held = metric.get(metric.get("type", "")[:1].lower() + metric.get("type", "")[1:]) or {}
        target, name = held.get("target") or {}, held.get("name") or (held.get("metric") or {}).get("name", "")
        percent = target.get("averageUtilization")
        wanted = f"{percent}%" if percent is not None else target.get("averageValue") or target.get("value") or ""
        aims.append(f"{name}: <unknown>/{wanted}")
    return ", ".join(aims) or "<none>"


def _approved(obj: Object, now: float) -> str:
    status = obj.get("status") or {}
    types = [c.get("type") for c in status.get("conditions") or ()]
    said = next((t for t in ("Denied", "Failed", "Approved") if t in types), "Pending")
    return f"{said},Issued" if status.get("certificate") else said


def _is_default(obj: Object, now: float) -> str:
    marks = obj["metadata"].get("annotations") or {}
    name = str(obj["metadata"]["name"])
    return f"{name} (default)" if marks.get("storageclass.kubernetes.io/is-default-class") == "true" else name


_BINDING = (
    NAME, Column("Role", _role), AGE, _subjects("User", "Users"), _subjects("Group", "Groups"),
    _subjects("ServiceAccount", "ServiceAccounts"),
)  # fmt: skip
_CREATED_AT = Column("Created At", lambda obj, now: obj["metadata"].get("creationTimestamp"), format="date-time")

PRINTERS: dict[tuple[str, str], tuple[Column, ...]] = {
    **POD_CELLS,
    **NODE_CELLS,
    **SERVICE_CELLS,
    **WORKLOAD_CELLS,
    **JOB_CELLS,
    ("", "namespaces"): (NAME, _text("Status", "status.phase"), AGE),
    ("", "configmaps"): (NAME, Column("Data", _data_count, type="integer"), AGE),
    ("", "secrets"): (NAME, _text("Type", "type"), _count("data", "Data"), AGE),
    ("", "resourcequotas"): (NAME, _quota("Request", limits=False), _quota("Limit", limits=True), AGE),
    ("", "serviceaccounts"): (NAME, _count("secrets", "Secrets"), AGE),
    ("", "endpoints"): (NAME, Column("Endpoints", _endpoints), AGE),
    ("", "events"): (
        Column("Last Seen", lambda obj, now: age(_time(obj), now)),
        _text("Type", "type"), _text("Reason", "reason"), Column("Object", _involved),
        _text("Subobject", "involvedObject.fieldPath", empty="", wide=True), Column("Source", _source, priority=1),
        Column("Message", _message),
        Column("First Seen", lambda obj, now: age(obj.get("firstTimestamp") or _time(obj), now), priority=1),
        Column("Count", lambda obj, now: obj.get("count") or 1, priority=1), Column("Name", NAME.cell, priority=1),
    ),
    ("", "persistentvolumes"): (
        NAME, _text("Capacity", "spec.capacity.storage", empty=""), Column("Access Modes", _modes),
        _text("Reclaim Policy", "spec.persistentVolumeReclaimPolicy", empty=""),
        _text("Status", "status.phase", empty=""), Column("Claim", _claim),
        _text("StorageClass", "spec.storageClassName", empty=""),
        _text("VolumeAttributesClass", "spec.volumeAttributesClassName", empty="<unset>"),
        _text("Reason", "status.reason", empty=""), AGE, _text("VolumeMode", "spec.volumeMode", wide=True),
    ),
    ("", "persistentvolumeclaims"): (
        NAME, _text("Status", "status.phase", empty=""), _text("Volume", "spec.volumeName", empty=""),
        _text("Capacity", "status.capacity.storage", empty=""), Column("Access Modes", _modes),
        _text("StorageClass", "spec.storageClassName", empty=""),
        _text("VolumeAttributesClass", "spec.volumeAttributesClassName", empty="<unset>"),
        AGE, _text("VolumeMode", "spec.volumeMode", wide=True),
    ),
    ("discovery.k8s.io", "endpointslices"): (
        NAME, _text("AddressType", "addressType"), Column("Ports", _ports), Column("Endpoints", _slice_addresses), AGE,
    ),
    (_RBAC, "roles"): (NAME, _CREATED_AT),
    (_RBAC, "clusterroles"): (NAME, _CREATED_AT),
    (_RBAC, "rolebindings"): _BINDING,
    (_RBAC, "clusterrolebindings"): _BINDING,
    ("coordination.k8s.io", "leases"): (NAME, _text("Holder", "spec.holderIdentity", empty=""), AGE),
    ("node.k8s.io", "runtimeclasses"): (NAME, _text("Handler", "handler"), AGE),
    ("scheduling.k8s.io", "priorityclasses"): (
        NAME, Column("Value", lambda obj, now: obj.get("value", 0), type="integer"),
        Column("Global-Default", lambda obj, now: obj.get("globalDefault", False), type="boolean"), AGE,
        _text("PreemptionPolicy", "preemptionPolicy"),
    ),
    (_STORAGE, "storageclasses"): (
        Column("Name", _is_default, format="name"), _text("Provisioner", "provisioner"),
        _text("ReclaimPolicy", "reclaimPolicy"), _text("VolumeBindingMode", "volumeBindingMode"),
        Column("AllowVolumeExpansion", lambda obj, now: obj.get("allowVolumeExpansion", False), type="boolean"), AGE,
    ),
    ("policy", "poddisruptionbudgets"): (
        NAME, _text("Min Available", "spec.minAvailable", empty="N/A"),
        _text("Max Unavailable", "spec.maxUnavailable", empty="N/A"),
        Column("Allowed Disruptions", path_cell("status.disruptionsAllowed"), type="integer"),
        AGE,
    ),
    ("autoscaling", "horizontalpodautoscalers"): (
        NAME, Column("Reference", _target), Column("Targets", _targets),
        Column("MinPods", lambda obj, now: str((obj.get("spec") or {}).get("minReplicas") or "<unset>")),
        Column("MaxPods", path_cell("spec.maxReplicas"), type="integer"),
        Column("Replicas", lambda obj, now: (obj.get("status") or {}).get("currentReplicas", 0), type="integer"), AGE,
    ),
    ("networking.k8s.io", "ipaddresses"): (NAME, _text("ParentRef", "spec.parentRef.name"), AGE),
    ("networking.k8s.io", "networkpolicies"): (
        NAME, Column("Pod-Selector", lambda obj, now: path_cell("spec.podSelector.matchLabels")(obj, now) or "<none>"),
        AGE,
    ),
    ("networking.k8s.io", "ingresses"): (
        NAME, _text("Class", "spec.ingressClassName"), Column("Hosts", _hosts),
        _text("Address", "status.loadBalancer.ingress.ip", empty=""), AGE,
    ),
    ("certificates.k8s.io", "certificatesigningrequests"): (
        NAME, AGE, _text("SignerName", "spec.signerName"), _text("Requestor", "spec.username"),
        Column("Condition", _approved),
    ),
    ("apiextensions.k8s.io", "customresourcedefinitions"): (NAME, _CREATED_AT),
}  # fmt: skip
PRINTERS["events.k8s.io", "events"] = PRINTERS["", "events"]
