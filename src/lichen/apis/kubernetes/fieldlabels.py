# SPDX-License-Identifier: Apache-2.0
"""Fields by which objects of built-in kinds can be selected: those that upstream offers, and no others. Lichen's own
kinds and installed ones take any."""

from __future__ import annotations

from dataclasses import replace

from lichen.model.errors import BadRequest
from lichen.model.kind import Kind
from lichen.model.selectors import FieldTerm, parse_fields

_ALL = frozenset(("metadata.name", "metadata.namespace"))
_OWN = ".lichen.dev"
_EVENT = ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")
_MORE: dict[tuple[str, str], frozenset[str]] = {
    ("", "pods"): frozenset(
        (
            "spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName", "spec.hostNetwork",
            "status.phase", "status.podIP", "status.podIPs", "status.nominatedNodeName",
        )
    ),
    ("", "nodes"): frozenset(("spec.unschedulable",)),
    ("", "namespaces"): frozenset(("status.phase", "name")),
    ("", "secrets"): frozenset(("type",)),
    ("", "services"): frozenset(("spec.clusterIP", "spec.type")),
    ("", "replicationcontrollers"): frozenset(("status.replicas",)),
    ("apps", "replicasets"): frozenset(("status.replicas",)),
    ("batch", "jobs"): frozenset(("status.successful",)),
    ("certificates.k8s.io", "certificatesigningrequests"): frozenset(("spec.signerName",)),
    ("", "events"): frozenset(
        (*(f"involvedObject.{name}" for name in _EVENT), "reason", "reportingComponent", "source", "type")
    ),
    ("events.k8s.io", "events"): frozenset(
        (*(f"regarding.{name}" for name in _EVENT), "reason", "reportingController", "type")
    ),
}  # fmt: skip
_STORED = {
    ("", "nodes", "spec.unschedulable"): "spec.unschedulable|'false'",
    ("", "pods", "spec.hostNetwork"): "spec.hostNetwork|'false'",
    ("", "replicationcontrollers", "status.replicas"): "status.replicas|'0'",
    ("apps", "replicasets", "status.replicas"): "status.replicas|'0'",
    ("batch", "jobs", "status.successful"): "status.succeeded|'0'",
    ("", "events", "source"): "source.component|reportingComponent",
}
"""(group, kinds, field): where it is found in an object, and what it is if it is not there."""


def check_fields(kind: Kind, selector: str) -> str:
    """The selector, in terms of what is stored. BadRequest: it cannot be read, or names a field that nothing is
    selected by."""
    if not selector or kind.installed or kind.group.endswith(_OWN):
        return selector
    more = _MORE.get((kind.group, kind.plural))
    terms = parse_fields(selector).terms
    for term in terms:
        field = term.label
        if field in _ALL or (more is not None and field in more):
            continue
        if more is not None:
            raise BadRequest(f"field label not supported: {field}")
        known = '"metadata.name", "metadata.namespace"'
        raise BadRequest(f'"{field}" is not a known field selector: only {known}')
    return ",".join(str(_stored(kind, term)) for term in terms)


def _stored(kind: Kind, term: FieldTerm) -> FieldTerm:
    found = _STORED.get((kind.group, kind.plural, term.label))
    if found is None:
        return term
    (there,) = parse_fields(f"{found}=").terms
    return replace(there, value=term.value, negated=term.negated)
