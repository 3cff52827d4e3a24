# SPDX-License-Identifier: Apache-2.0
"""What of a PersistentVolumeClaim may change: a bound one may ask for more. Semantics: Kubernetes core/v1."""

from __future__ import annotations

from fractions import Fraction

from lichen.kinds.faults import Faults
from lichen.model.data import Object
from lichen.model.quantity import parse

_FIXED = "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"
_SIZE = "spec.resources.requests.storage"


def validate_claim_update(new: Object, old: Object, faults: Faults) -> None:
    if _fixed(new, old) != _fixed(old, old):
        faults.forbidden("spec", _FIXED)
    elif _size(new) < _size(old) and _size(new) <= _storage((old.get("status") or {}).get("capacity")):
        faults.forbidden(_SIZE, "field can not be less than status.capacity")


def _fixed(claim: Object, old: Object) -> Object:
    """What must be as it was, given how it was: a claim gets its volume, and the class that is the default, once."""
    spec = {key: value for key, value in claim["spec"].items() if value not in (None, {}, [])}
    was = old["spec"]
    for key in ("volumeName", "storageClassName"):
        if not was.get(key) and not (key == "storageClassName" and was.get(key) == ""):
            spec.pop(key, None)
    if (old.get("status") or {}).get("phase") == "Bound":
        spec.pop("volumeAttributesClassName", None)
        resources = spec.pop("resources", None) or {}
        requests = {key: n for key, n in (resources.get("requests") or {}).items() if key != "storage"}
        spec["resources"] = {**resources, "requests": requests}
    return spec


def _size(claim: Object) -> Fraction:
    return _storage((claim["spec"].get("resources") or {}).get("requests"))


def _storage(amounts: Object | None) -> Fraction:
    """Of what the schema has checked to be quantities."""
    return parse(str((amounts or {}).get("storage", "0")))
