# SPDX-License-Identifier: Apache-2.0
"""Collects what is wrong with an object, field by field, worded as Kubernetes words it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from lichen.model.errors import Cause, Invalid
from lichen.model.kind import Kind


def show(value: Any) -> str:
    """A value as errors quote it, shortened."""
    if isinstance(value, str | bool | int | float) or value is None:
        text = msgspec.json.encode(value).decode()
    else:
        text = msgspec.json.encode(value).decode(errors="replace")
    return text if len(text) <= 200 else text[:200] + "…"


class Faults(list[Cause]):
    """Fields are dotted paths from the object: `spec.ports[0].port`."""

    def invalid(self, field: str, value: Any, detail: str) -> None:
        self.append(Cause(field, f"Invalid value: {show(value)}: {detail}", "FieldValueInvalid"))

    def required(self, field: str, detail: str = "") -> None:
        self.append(Cause(field, f"Required value: {detail}" if detail else "Required value", "FieldValueRequired"))

    def unsupported(self, field: str, value: Any, supported: Iterable[str]) -> None:
        known = ", ".join(show(item) for item in supported)
        self.append(
            Cause(field, f"Unsupported value: {show(value)}: supported values: {known}", "FieldValueNotSupported")
        )

    def duplicate(self, field: str, value: Any) -> None:
        self.append(Cause(field, f"Duplicate value: {show(value)}", "FieldValueDuplicate"))

    def not_found(self, field: str, value: Any) -> None:
        self.append(Cause(field, f"Not found: {show(value)}", "FieldValueNotFound"))

    def forbidden(self, field: str, detail: str) -> None:
        self.append(Cause(field, f"Forbidden: {detail}", "FieldValueForbidden"))

    def too_long(self, field: str, limit: int) -> None:
        self.append(Cause(field, f"Too long: may not be more than {limit} bytes", "FieldValueTooLong"))

    def immutable(self, field: str, value: Any) -> None:
        self.invalid(field, value, "field is immutable")

    def outside(self, field: str) -> list[Cause]:
        """What is wrong with all but one field and what is in it."""
        return [cause for cause in self if not f"{cause.field}.".startswith(f"{field}.")]

    def raise_any(self, kind: Kind, name: str) -> None:
        """Invalid: something was collected."""
        if self:
            raise invalid(kind, name, self)


def invalid(kind: Kind, name: str, causes: Iterable[Cause]) -> Invalid:
    """The refusal of an object for these faults."""
    causes = tuple(causes)
    said = [f"{cause.field}: {cause.message}" for cause in causes]
    listed = said[0] if len(said) == 1 else "[" + ", ".join(said) + "]"
    called = f"{kind.kind}.{kind.group}" if kind.group else kind.kind
    return Invalid(
        f'{called} "{name}" is invalid: {listed}', causes=causes, kind=kind.kind, group=kind.group, name=name
    )
