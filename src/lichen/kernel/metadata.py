# SPDX-License-Identifier: Apache-2.0
"""Rules of metadata, the same for every kind."""

from __future__ import annotations

import re
import uuid
from ipaddress import ip_address

from lichen.kinds.builtin import NAMESPACE, RBAC, SERVICE
from lichen.kinds.faults import Faults
from lichen.model.data import Object
from lichen.model.kind import Kind
from lichen.model.names import is_dns_label, is_dns_subdomain, random_suffix
from lichen.model.times import rfc3339

_LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
_KEY_NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_RFC1035 = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
_PATH_SEGMENT = re.compile(r"(?!\.{1,2}$)[^/%]+")
MAX_ANNOTATIONS = 256 * 1024
SUBDOMAIN = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start "
    "and end with an alphanumeric character"
)
LABEL = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end "
    "with an alphanumeric character"
)
DNS1035 = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, "
    "and end with an alphanumeric character"
)
_SERVER_OWNED = ("uid", "generation", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds")


def begin(metadata: Object, now: float, *, counted: bool) -> None:
    """Metadata of an object that is about to be created: what only the server says is reset.
    counted: changes of what is wanted are counted (it has a spec)."""
    for key in ("resourceVersion", "deletionTimestamp", "deletionGracePeriodSeconds"):
        metadata.pop(key, None)
    metadata["uid"] = str(uuid.uuid4())
    metadata["creationTimestamp"] = rfc3339(now)
    metadata.pop("generation", None)
    if counted:
        metadata["generation"] = 1
    if not metadata.get("name") and metadata.get("generateName"):
        metadata["name"] = metadata["generateName"][:58] + random_suffix()


def carry(metadata: Object, old: Object) -> None:
    """Metadata of an update: what only the server says stays as it is stored."""
    for key in _SERVER_OWNED:
        if key in old:
            metadata[key] = old[key]
        else:
            metadata.pop(key, None)
    if "generateName" in old:
        metadata["generateName"] = old["generateName"]


def validate(kind: Kind, metadata: Object, faults: Faults) -> None:
    """Names, labels, annotations, finalizers, owners."""
    _validate_name(kind, metadata, faults)
    labels = metadata.get("labels")
    if labels:
        validate_labels(labels, "metadata.labels", faults)
    annotations = metadata.get("annotations")
    if annotations:
        _validate_annotations(annotations, faults)
    for index, finalizer in enumerate(metadata.get("finalizers") or ()):
        _check_key(finalizer, f"metadata.finalizers[{index}]", faults)
    owners = metadata.get("ownerReferences")
    if owners and sum(bool(o.get("controller")) for o in owners) > 1:
        faults.invalid("metadata.ownerReferences", len(owners), "Only one reference can have Controller set to true")


def validate_labels(labels: Object, path: str, faults: Faults) -> None:
    """Keys and values of a label map."""
    for key, value in labels.items():
        _check_key(key, path, faults)
        if not isinstance(value, str) or _LABEL_VALUE.fullmatch(value) is None:
            faults.invalid(
                path,
                value,
                "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and "
                "must start and end with an alphanumeric character",
            )


def _validate_name(kind: Kind, metadata: Object, faults: Faults) -> None:
    name = metadata.get("name", "")
    if not name:
        faults.required("metadata.name", "name or generateName is required")
    elif kind.group == RBAC:
        if _PATH_SEGMENT.fullmatch(name) is None or len(name) > 253:
            faults.invalid("metadata.name", name, "may not contain '/' or '%', nor be '.' or '..'")
    elif kind == NAMESPACE:
        if not is_dns_label(name):
            faults.invalid("metadata.name", name, LABEL)
    elif kind == SERVICE:
        if _RFC1035.fullmatch(name) is None:
            faults.invalid("metadata.name", name, DNS1035)
    elif (kind.group, kind.plural) == ("networking.k8s.io", "ipaddresses"):
        if not _is_address(name):
            faults.invalid("metadata.name", name, "must be a valid IP address in canonical form")
    elif not is_dns_subdomain(name):
        faults.invalid("metadata.name", name, SUBDOMAIN)


def _is_address(name: str) -> bool:
    try:
        return str(ip_address(name)) == name
    except ValueError:
        return False


def _validate_annotations(annotations: Object, faults: Faults) -> None:
    size = 0
    for key, value in annotations.items():
        _check_key(key, "metadata.annotations", faults, fold=True)
        size += len(key) + len(value)
    if size > MAX_ANNOTATIONS:
        faults.too_long("metadata.annotations", MAX_ANNOTATIONS)


def _check_key(key: str, path: str, faults: Faults, *, fold: bool = False) -> None:
    prefix, slash, name = key.rpartition("/")
    if fold:
        prefix = prefix.lower()
    if (slash and not is_dns_subdomain(prefix)) or _KEY_NAME.fullmatch(name) is None:
        faults.invalid(
            path,
            key,
            "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
            "alphanumeric character, with an optional DNS subdomain prefix and '/'",
        )
