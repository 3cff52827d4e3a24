# SPDX-License-Identifier: Apache-2.0
"""Which writes a policy or a binding is about. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from lichen.model.data import Object
from lichen.model.kind import Kind
from lichen.model.selectors import label_selector

OPERATIONS = {"create": "CREATE", "update": "UPDATE", "delete": "DELETE"}


@dataclass(frozen=True, slots=True)
class Subject:
    """A write, as far as it is matched. namespace_labels: {} for what is in no namespace."""

    operation: str
    kind: Kind
    subresource: str
    name: str
    object: Object | None
    old: Object | None
    namespace_labels: Object

    @property
    def labels(self) -> list[Object]:
        """Those of the new object and of the old one."""
        return [o["metadata"].get("labels") or {} for o in (self.object, self.old) if o is not None]


def is_about(wanted: Object | None, subject: Subject) -> bool:
    """matchConstraints or matchResources pick the write; None picks everything."""
    if wanted is None:
        return True
    rules, excluded = wanted.get("resourceRules"), wanted.get("excludeResourceRules") or ()
    if any(_rule_is_about(rule, subject) for rule in excluded):
        return False
    if rules and not any(_rule_is_about(rule, subject) for rule in rules):
        return False
    return _namespace(wanted.get("namespaceSelector"), subject) and _labels(wanted.get("objectSelector"), subject)


def _rule_is_about(rule: Object, subject: Subject) -> bool:
    kind = subject.kind
    return (
        _among(rule.get("operations"), subject.operation)
        and _among(rule.get("apiGroups"), kind.group)
        and _among(rule.get("apiVersions"), kind.version)
        and any(_resource(text, kind.plural, subject.subresource) for text in rule.get("resources") or ())
        and rule.get("scope", "*") in ("*", "Namespaced" if kind.namespaced else "Cluster")
        and (not rule.get("resourceNames") or subject.name in rule["resourceNames"])
    )


def _among(wanted: list[str] | None, value: str) -> bool:
    return wanted is not None and ("*" in wanted or value in wanted)


def _resource(text: str, plural: str, subresource: str) -> bool:
    resource, _, part = text.partition("/")
    return resource in ("*", plural) and part in ("*", subresource)


def _namespace(selector: Object | None, subject: Subject) -> bool:
    if not selector:
        return True
    matcher = label_selector(selector)
    if subject.kind.namespaced:
        return matcher(_bare(subject.namespace_labels))
    if (subject.kind.group, subject.kind.plural) != ("", "namespaces"):
        return True
    return any(matcher(_bare(labels)) for labels in subject.labels)


def _labels(selector: Object | None, subject: Subject) -> bool:
    if not selector:
        return True
    matcher = label_selector(selector)
    return any(matcher(_bare(labels)) for labels in subject.labels)


def _bare(labels: Object) -> Object:
    """An object that has no more than labels."""
    return {"metadata": {"labels": labels}}
