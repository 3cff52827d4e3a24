# SPDX-License-Identifier: Apache-2.0
"""CustomResourceDefinitions as data: defaults, what they must be, what may not change, and their status. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from lichen.kernel.custom.soundness import Soundness
from lichen.kinds.faults import Faults
from lichen.kinds.installed import is_established, scale_of
from lichen.kinds.jsonpath import jsonpath
from lichen.model.data import Object
from lichen.model.kind import Kind
from lichen.model.meta import annotations_of
from lichen.model.names import is_dns_label, is_dns_subdomain

FINALIZER = "customresourcecleanup.apiextensions.k8s.io"
_LABEL = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
_APPROVAL = "api-approved.kubernetes.io"
_COLUMN_TYPES = ("boolean", "date", "integer", "number", "string")
_DNS1035 = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', and start with a letter"


def fill(definition: Object) -> None:
    """Defaults, in place."""
    spec = definition.get("spec") or {}
    names = spec.get("names") or {}
    kind = names.get("kind")
    if isinstance(kind, str) and kind:
        names.setdefault("singular", kind.lower())
        names.setdefault("listKind", f"{kind}List")
    spec.setdefault("conversion", {"strategy": "None"})


def check(definition: Object, faults: Faults, taken: frozenset[str]) -> list[str]:
    """Collect what is wrong; returns warnings. taken: groups that no definition may add to."""
    spec, name = definition["spec"], definition["metadata"].get("name", "")
    group, names = spec["group"], spec["names"]
    if name != f"{names['plural']}.{group}":
        faults.invalid("metadata.name", name, 'must be spec.names.plural+"."+spec.group')
    _check_group(definition, group, faults, taken)
    if spec["scope"] not in ("Cluster", "Namespaced"):
        faults.unsupported("spec.scope", spec["scope"], ("Cluster", "Namespaced"))
    if spec.get("preserveUnknownFields"):
        faults.invalid("spec.preserveUnknownFields", True, "must be false")
    if (spec.get("conversion") or {}).get("strategy") != "None":
        faults.unsupported("spec.conversion.strategy", (spec.get("conversion") or {}).get("strategy", ""), ("None",))
    _check_names(names, faults)
    return _check_versions(spec["versions"], faults)


def _check_group(definition: Object, group: str, faults: Faults, taken: frozenset[str]) -> None:
    if not is_dns_subdomain(group) or "." not in group:
        faults.invalid("spec.group", group, "should be a domain with at least one dot")
    elif group in taken:
        faults.invalid("spec.group", group, "is served by the cloud itself")
    elif f".{group}".endswith((".k8s.io", ".kubernetes.io")) and not annotations_of(definition).get(_APPROVAL):
        faults.required(f"metadata.annotations[{_APPROVAL}]", "protected groups must have approval annotation")


def _check_names(names: Object, faults: Faults) -> None:
    singles = [("plural", names["plural"]), ("singular", names.get("singular", ""))]
    singles += [("kind", names["kind"].lower()), ("listKind", names.get("listKind", "").lower())]
    for field, value in singles:
        if _LABEL.fullmatch(value) is None:
            faults.invalid(f"spec.names.{field}", value, _DNS1035)
    if names["kind"] == names.get("listKind"):
        faults.invalid("spec.names.listKind", names["kind"], "kind and listKind may not be the same")
    for field in ("shortNames", "categories"):
        for index, value in enumerate(names.get(field) or ()):
            if _LABEL.fullmatch(value) is None:
                faults.invalid(f"spec.names.{field}[{index}]", value, _DNS1035)


def _check_versions(versions: list[Object], faults: Faults) -> list[str]:
    soundness = Soundness(faults)
    seen: set[str] = set()
    if not versions:
        faults.required("spec.versions", "must have at least one version")
    elif sum(bool(v["storage"]) for v in versions) != 1:
        faults.invalid("spec.versions", len(versions), "must have exactly one version marked as storage version")
    for index, version in enumerate(versions):
        path = f"spec.versions[{index}]"
        if not is_dns_label(version["name"]) or not version["name"][0].isalpha():
            faults.invalid(f"{path}.name", version["name"], _DNS1035)
        if version["name"] in seen:
            faults.duplicate(f"{path}.name", version["name"])
        seen.add(version["name"])
        schema = (version.get("schema") or {}).get("openAPIV3Schema")
        if schema is None:
            faults.required(f"{path}.schema.openAPIV3Schema", "schemas are required")
        else:
            soundness.check(schema, f"{path}.schema.openAPIV3Schema")
        _check_columns(version.get("additionalPrinterColumns") or (), path, faults)
        _check_scale((version.get("subresources") or {}).get("scale"), path, faults)
    return soundness.warnings


def _check_columns(columns: Iterable[Object], path: str, faults: Faults) -> None:
    for index, column in enumerate(columns):
        here = f"{path}.additionalPrinterColumns[{index}]"
        if not column["name"]:
            faults.required(f"{here}.name")
        if column["type"] not in _COLUMN_TYPES:
            faults.unsupported(f"{here}.type", column["type"], _COLUMN_TYPES)
        _check_path(lambda: jsonpath(column["jsonPath"]), f"{here}.jsonPath", column["jsonPath"], faults)  # noqa: B023


def _check_scale(scale: Object | None, path: str, faults: Faults) -> None:
    if scale is None:
        return
    here = f"{path}.subresources.scale"
    if not scale["specReplicasPath"].startswith(".spec."):
        faults.invalid(f"{here}.specReplicasPath", scale["specReplicasPath"], "should be a json path under .spec")
    if not scale["statusReplicasPath"].startswith(".status."):
        faults.invalid(f"{here}.statusReplicasPath", scale["statusReplicasPath"], "should be a json path under .status")
    _check_path(lambda: scale_of(scale), here, scale, faults)


def _check_path(parse: Any, field: str, value: Any, faults: Faults) -> None:
    try:
        parse()
    except ValueError as fault:
        faults.invalid(field, value, str(fault))


def check_change(new: Object, old: Object, faults: Faults) -> None:
    """What may not change while objects may exist."""
    for field in ("group", "scope"):
        if new["spec"][field] != old["spec"][field]:
            faults.immutable(f"spec.{field}", new["spec"][field])
    if is_established(old) and new["spec"]["names"]["kind"] != old["spec"]["names"]["kind"]:
        faults.immutable("spec.names.kind", new["spec"]["names"]["kind"])
    names = {version["name"] for version in new["spec"]["versions"]}
    for index, stored in enumerate((new.get("status") or {}).get("storedVersions") or ()):
        if stored not in names:
            faults.invalid(f"status.storedVersions[{index}]", stored, "must appear in spec.versions")


def collision(definition: Object, others: Iterable[Kind]) -> str:
    """What of the definition's names is another kind's of the same group: e.g. `PluralConflict`, "" if nothing is."""
    names, group = definition["spec"]["names"], definition["spec"]["group"]
    same = [k for k in others if k.group == group and k.plural != names["plural"]]
    resources = {word for k in same for word in (k.plural, k.singular, *k.short)}
    kinds = {word for k in same for word in (k.kind, f"{k.kind}List")}
    for reason, words, used in (
        ("PluralConflict", [names["plural"]], resources),
        ("SingularConflict", [names["singular"]], resources),
        ("ShortNamesConflict", names.get("shortNames") or [], resources),
        ("KindConflict", [names["kind"]], kinds),
        ("ListKindConflict", [names["listKind"]], kinds),
    ):
        if set(words) & used:
            return reason
    return ""


def observe(definition: Object, conflict: str, now: str) -> None:
    """Write names, versions and conditions into the status, in place."""
    status = definition["status"] = dict(definition.get("status") or {})
    stored = next(v["name"] for v in definition["spec"]["versions"] if v["storage"])
    versions = list(status.get("storedVersions") or ())
    status["storedVersions"] = versions if stored in versions else [*versions, stored]
    accepted = not conflict
    status.setdefault("acceptedNames", {"plural": "", "kind": ""})
    if accepted:
        status["acceptedNames"] = definition["spec"]["names"]
    established = accepted or is_established(definition)
    said = "no conflicts found" if accepted else "another kind of the group has a name of this one"
    set_condition(status, "NamesAccepted", accepted, conflict or "NoConflicts", said, now)
    said = "the initial names have been accepted" if established else "not all names are accepted"
    set_condition(
        status, "Established", established, "InitialNamesAccepted" if established else "NotAccepted", said, now
    )


def set_condition(status: Object, type_: str, holds: bool, reason: str, message: str, now: str) -> None:
    word = "True" if holds else "False"
    conditions = status["conditions"] = list(status.get("conditions") or ())
    known = next((i for i, c in enumerate(conditions) if c.get("type") == type_), None)
    old = {} if known is None else conditions[known]
    since = (old.get("lastTransitionTime") if old.get("status") == word else None) or now
    condition = {"type": type_, "status": word, "reason": reason, "message": message, "lastTransitionTime": since}
    if known is None:
        conditions.append(condition)
    else:
        conditions[known] = condition
