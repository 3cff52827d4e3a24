# SPDX-License-Identifier: Apache-2.0
"""Checks that several kinds share."""

from __future__ import annotations

from typing import Any

from lichen.kinds.faults import Faults
from lichen.model.data import Object
from lichen.model.errors import BadRequest
from lichen.model.selectors import label_selector

LABEL_HINT = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end "
    "with an alphanumeric character"
)


def one_of(obj: Object, field: str, allowed: tuple[str, ...], path: str, faults: Faults) -> None:
    """An enumerated field, if it is there."""
    value = obj.get(field)
    if value is not None and value not in allowed:
        faults.unsupported(f"{path}.{field}", value, [a for a in allowed if a])


def check_port(number: Any, path: str, faults: Faults) -> None:
    if not isinstance(number, int) or not 1 <= number <= 65535:
        faults.invalid(path, number, "must be between 1 and 65535, inclusive")


def check_unique(value: Any, seen: set[Any], path: str, faults: Faults) -> None:
    if value in seen:
        faults.duplicate(path, value)
    seen.add(value)


def check_not_negative(spec: Object, field: str, faults: Faults) -> None:
    value = spec.get(field)
    if isinstance(value, int) and value < 0:
        faults.invalid(f"spec.{field}", value, "must be greater than or equal to 0")


def check_immutable(new: Object, old: Object, fields: tuple[str, ...], faults: Faults) -> None:
    """Dotted paths that an update may not change."""
    for field in fields:
        before, after = _at(old, field), _at(new, field)
        if before != after:
            faults.immutable(field, after)


def _at(obj: Object, path: str) -> Any:
    node: Any = obj
    for step in path.split("."):
        node = node.get(step) if isinstance(node, dict) else None
    return node


def check_selector(spec: Object, faults: Faults) -> None:
    """A workload's selector selects something, and selects its own template."""
    selector, template = spec.get("selector") or {}, spec.get("template") or {}
    if not selector.get("matchLabels") and not selector.get("matchExpressions"):
        faults.invalid("spec.selector", selector, "empty selector is invalid for deployment")
        return
    labels = (template.get("metadata") or {}).get("labels") or {}
    try:
        matches = label_selector(selector)({"metadata": {"labels": labels}})
    except BadRequest as error:
        faults.invalid("spec.selector", selector, error.message)
        return
    if not matches:
        faults.invalid("spec.template.metadata.labels", labels, "`selector` does not match template `labels`")
