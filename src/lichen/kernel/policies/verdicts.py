# SPDX-License-Identifier: Apache-2.0
"""What a policy makes of a write: it refuses, warns, or changes the object."""

from __future__ import annotations

from typing import Any, NamedTuple

from lichen.kernel.cel.language import Failure, Mistake
from lichen.kernel.policies.expressions import Scene
from lichen.model.data import Object
from lichen.model.errors import ApiError, Cause, Forbidden, Invalid, TooLarge, Unauthorized
from lichen.model.kind import Kind

_REASONS: dict[str, type[ApiError]] = {c.reason: c for c in (Invalid, Forbidden, TooLarge, Unauthorized)}


class Verdict(NamedTuple):
    """One validation that does not hold. reason: one of Kubernetes' StatusReasons."""

    message: str
    reason: str = "Invalid"


def verdicts(spec: Object, scene: Scene) -> list[Verdict]:
    """What a ValidatingAdmissionPolicy has against the object that the scene shows; errors by its failurePolicy."""
    found = []
    for validation in spec.get("validations") or ():
        try:
            if scene.value(validation["expression"]) is True:
                continue
        except (Failure, Mistake) as error:
            if tolerates(spec):
                continue
            found.append(Verdict(f"expression '{validation['expression'].strip()}' resulted in error: {error}"))
            continue
        found.append(Verdict(_message(validation, scene), validation.get("reason") or "Invalid"))
    return found


def _message(validation: Object, scene: Scene) -> str:
    """messageExpression, unless it fails or says nothing that fits in a line; else message; else the rule."""
    if validation.get("messageExpression"):
        try:
            said = scene.value(validation["messageExpression"])
        except (Failure, Mistake):
            said = None
        if isinstance(said, str) and said.strip() and "\n" not in said and len(said) <= 5 * 1024:
            return said.strip()
    return (validation.get("message") or "").strip() or f"failed expression: {validation['expression'].strip()}"


def tolerates(spec: Object) -> bool:
    policy: str = spec.get("failurePolicy", "Fail")
    return policy == "Ignore"


def refusal(kind: Kind, name: str, policy: str, binding: str, verdict: Verdict) -> ApiError:
    """The error that the writer sees."""
    said = f"ValidatingAdmissionPolicy '{policy}' with binding '{binding}' denied request: {verdict.message}"
    return _REASONS.get(verdict.reason, Invalid)(
        f'{kind.resource} "{name}" is forbidden: {said}',
        causes=(Cause("", said, ""),),
        kind=kind.plural,
        group=kind.group,
        name=name,
    )


def change(mutation: Object, scene: Scene) -> tuple[str, Any]:
    """(ApplyConfiguration, object) or (JSONPatch, operations) that a mutation comes to."""
    type_ = mutation["patchType"]
    if type_ == "JSONPatch":
        operations = scene.value(mutation["jsonPatch"]["expression"])
        if not isinstance(operations, list):
            raise Failure("a JSONPatch expression must give a list of JSONPatch")
        return type_, operations
    config = scene.value(mutation["applyConfiguration"]["expression"])
    if not isinstance(config, dict):
        raise Failure("an applyConfiguration expression must give an Object")
    return type_, config
