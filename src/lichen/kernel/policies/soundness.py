# SPDX-License-Identifier: Apache-2.0
"""Whether a policy or a binding can do what it says, before it is kept; what it may leave unsaid."""

from __future__ import annotations

from typing import Any

from lichen.kernel.admission import Request
from lichen.kernel.cel.language import Language, Mistake, apart
from lichen.kinds.faults import Faults
from lichen.model.data import Object

_MATCH = {"matchPolicy": "Equivalent", "namespaceSelector": {}, "objectSelector": {}}


def fill(request: Request) -> None:
    """Defaults, and what is said of a validating policy once its expressions are known to compile."""
    spec = request.object.get("spec") or {}
    is_policy = request.kind.plural.endswith("policies")
    if is_policy:
        spec.setdefault("failurePolicy", "Fail")
    for part in ("matchConstraints", "matchResources"):
        if isinstance(spec.get(part), dict):
            _fill_match(spec[part])
    if isinstance(spec.get("paramRef"), dict) and request.kind.plural.startswith("mutating"):
        spec["paramRef"].setdefault("parameterNotFoundAction", "Deny")
    if is_policy and "status" in request.kind.subresources:
        meta, old = request.object["metadata"], request.old or {}
        generation = meta.get("generation", 1) + (bool(old) and old.get("spec") != spec)
        status = dict(old.get("status") or {})
        request.object["status"] = {**status, "observedGeneration": generation, "typeChecking": {}}


def _fill_match(match: Object) -> None:
    for key, value in _MATCH.items():
        match.setdefault(key, value)
    for rules in ("resourceRules", "excludeResourceRules"):
        for rule in match.get(rules) or ():
            rule.setdefault("scope", "*")


async def check(request: Request, language: Language) -> None:
    """Invalid."""
    spec, faults = request.object.get("spec") or {}, Faults()
    if request.kind.plural.endswith("policies"):
        await apart(0, lambda: _check_policy(request.kind.plural, spec, faults, language))
    else:
        _check_binding(request.kind.plural, spec, faults)
    faults.raise_any(request.kind, request.name)


def _check_policy(plural: str, spec: Object, faults: Faults, language: Language) -> None:
    if not (spec.get("matchConstraints") or {}).get("resourceRules"):
        faults.required("spec.matchConstraints.resourceRules")
    if plural.startswith("validating") and not spec.get("validations") and not spec.get("auditAnnotations"):
        faults.required("spec.validations", "validations or auditAnnotations must be non-empty")
    if plural.startswith("mutating") and not spec.get("mutations"):
        faults.required("spec.mutations", "mutations must contain at least one item")
    says = Expressions(faults, language)
    for path, item in _items(spec, "matchConditions"):
        says.gives(path, item, "expression", "BOOL")
    for path, item in _items(spec, "variables"):
        says.gives(path, item, "expression", "")
    for path, item in _items(spec, "validations"):
        says.gives(path, item, "expression", "BOOL")
        if item.get("messageExpression"):
            says.gives(path, item, "messageExpression", "STRING")
    for path, item in _items(spec, "auditAnnotations"):
        says.gives(path, item, "valueExpression", "")
    for path, item in _items(spec, "mutations"):
        part = "jsonPatch" if item.get("patchType") == "JSONPatch" else "applyConfiguration"
        if item.get("patchType") not in ("JSONPatch", "ApplyConfiguration"):
            faults.unsupported(f"{path}.patchType", item.get("patchType"), ("ApplyConfiguration", "JSONPatch"))
        elif not isinstance(item.get(part), dict):
            faults.required(f"{path}.{part}", f"must be specified when patchType is {item['patchType']}")
        else:
            says.gives(f"{path}.{part}", item[part], "expression", "")


def _items(spec: Object, key: str) -> list[tuple[str, Object]]:
    return [(f"spec.{key}[{index}]", item) for index, item in enumerate(spec.get(key) or ())]


class Expressions:
    """Tells of expressions that are wrong."""

    def __init__(self, faults: Faults, language: Language) -> None:
        self._faults = faults
        self._language = language

    def gives(self, path: str, item: Object, key: str, type_: str) -> None:
        """The expression compiles and gives a value of a type ("": any)."""
        expression: Any = item.get(key)
        if not isinstance(expression, str) or not expression.strip():
            self._faults.required(f"{path}.{key}", f"{key} is not specified")
            return
        try:
            program = self._language.compile(expression)
        except Mistake as error:
            self._faults.invalid(f"{path}.{key}", expression, str(error))
            return
        if type_ and program.returns not in (type_, "DYN"):
            self._faults.invalid(f"{path}.{key}", expression, f"must evaluate to {type_.lower()}")


def _check_binding(plural: str, spec: Object, faults: Faults) -> None:
    if not spec.get("policyName"):
        faults.required("spec.policyName")
    if plural.startswith("validating"):
        actions = spec.get("validationActions") or []
        if not actions:
            faults.required("spec.validationActions", "at least one validation action is required")
        for index, action in enumerate(actions):
            if action not in ("Deny", "Warn", "Audit"):
                faults.unsupported(f"spec.validationActions[{index}]", action, ("Audit", "Deny", "Warn"))
        if {"Deny", "Warn"} <= set(actions):
            said = "must not contain both Deny and Warn (repeating the same validation failure information)"
            faults.invalid("spec.validationActions", actions, said)
    ref = spec.get("paramRef")
    if ref is not None and bool(ref.get("name")) is (ref.get("selector") is not None):
        faults.required("spec.paramRef.name", "one of name or selector must be specified, and not both")
