# SPDX-License-Identifier: Apache-2.0
"""Rules that follow from the declared fields of Lichen's kinds: what is immutable stays, and may be left out."""

from __future__ import annotations

import msgspec

from lichen.kinds.faults import Faults
from lichen.kinds.rules import Rules
from lichen.model.data import Object, camel
from lichen.model.kind import Kind


def rules_of_model(kind: Kind) -> Rules:
    """Immutability of the fields of spec, and the status to begin with."""
    frozen = _immutable(kind)

    def carry(new: Object, old: Object) -> None:
        spec, stored = new.get("spec"), old.get("spec") or {}
        if spec is None:
            return
        for field in frozen:
            if field in stored and spec.get(field) in (None, ""):
                spec[field] = stored[field]

    def validate_update(new: Object, old: Object, faults: Faults) -> None:
        spec, stored = new.get("spec") or {}, old.get("spec") or {}
        for field, default in frozen.items():  # what was left empty stays so; what was left out is the default
            if (spec.get(field, default) or None) != (stored.get(field, default) or None):
                faults.immutable(f"spec.{field}", spec.get(field))

    observed = _observed(kind)

    def begin(new: Object) -> None:
        if observed:
            new["status"] = dict(observed)

    return Rules(begin=begin, carry=carry, validate_update=validate_update)


def _observed(kind: Kind) -> Object:
    """What the status of a new object says: the defaults that say anything."""
    status = getattr(kind.model, "Status", None)
    declared = status.declared_fields if status is not None else {}
    return {
        info.wire or camel(name): info.default
        for name, info in declared.items()
        if info.default not in (msgspec.NODEFAULT, None, "", 0, False)
    }


def _immutable(kind: Kind) -> Object:
    """The immutable fields of spec, with what is meant where they are left out."""
    spec = getattr(kind.model, "Spec", None)
    declared = spec.declared_fields if spec is not None else {}
    return {
        info.wire or camel(name): None if info.default is msgspec.NODEFAULT else info.default
        for name, info in declared.items()
        if info.immutable
    }
