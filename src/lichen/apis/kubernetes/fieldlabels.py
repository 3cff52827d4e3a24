# SPDX-License-Identifier: Apache-2.0
"""Fields by which objects of built-in kinds can be selected: those that upstream offers, and no others. Lichen's own
kinds and installed ones take any."""

from __future__ import annotations

from lichen.model.errors import BadRequest
from lichen.model.kind import Kind
from lichen.model.selectors import parse_fields

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


def check_fields(kind: Kind, selector: str) -> str:
    """The selector as it was given. BadRequest: it cannot be read, or names a field that nothing is selected by."""
    if not selector or kind.installed or kind.group.endswith(_OWN):
        return selector
    more = _MORE.get((kind.group, kind.plural))
    for term in parse_fields(selector).terms:
        field = ".".join(term.path)
        if field in _ALL or (more is not None and field in more):
            continue
        if more is not None:
            raise BadRequest(f"field label not supported: {field}")
        known = '"metadata.name", "metadata.namespace"'
        raise BadRequest(f'"{field}" is not a known field selector: only {known}')
    return selector
