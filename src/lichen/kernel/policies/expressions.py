# SPDX-License-Identifier: Apache-2.0
"""The expressions of one policy about one write: conditions, variables, and whatever the policy says."""

from __future__ import annotations

import re
from typing import Any

from lichen.kernel.admission import Request
from lichen.kernel.cel.language import Failure, Language, Mistake, representable
from lichen.kernel.policies.matching import OPERATIONS, Subject
from lichen.model.caller import to_user_info
from lichen.model.data import Object

VARIABLES = ("object", "oldObject", "request", "params", "namespaceObject", "variables", "authorizer")
_NAMED = re.compile(r"\bvariables\s*\.\s*([A-Za-z_]\w*)")


class Scene:
    """What the expressions of a policy see. Failure: an expression has no value. Mistake: it does not compile."""

    def __init__(self, language: Language, spec: Object, values: dict[str, Any]) -> None:
        self._language = language
        self._variables = {v["name"]: v["expression"] for v in spec.get("variables") or ()}
        self._conditions = spec.get("matchConditions") or ()
        self._values = values
        self._known: dict[str, Any] = {}
        self._asked: set[str] = set()
        self._bound: Any = None

    def applies(self) -> bool:
        """All match conditions hold. One that is false decides, whatever else fails."""
        failed: Failure | Mistake | None = None
        for condition in self._conditions:
            try:
                if self.value(condition["expression"]) is not True:
                    return False
            except (Failure, Mistake) as error:
                failed = failed or error
        if failed is not None:
            raise failed
        return True

    def value(self, expression: str) -> Any:
        program = self._language.compile(expression)
        for name in _NAMED.findall(expression):
            self._learn(name)
        if self._bound is None:
            self._bound = self._language.bind({**self._values, "variables": self._known})
        return program.value(self._bound)

    def changed(self, obj: Object) -> None:
        """The object is another from now on, and so may be what variables say of it."""
        self._values["object"], self._known, self._bound = obj, {}, None

    def _learn(self, name: str) -> None:
        if name in self._known or name not in self._variables:
            return
        if name in self._asked:
            raise Failure(f"variable {name!r} refers to itself")
        self._asked.add(name)
        found = representable(self.value(self._variables[name]))
        self._asked.discard(name)
        self._known[name], self._bound = found, None


def seen(request: Request, subject: Subject, namespace: Object | None) -> dict[str, Any]:
    """The values of a write's variables."""
    kind = subject.kind
    user = to_user_info(request.caller)
    return {
        "object": subject.object,
        "oldObject": subject.old,
        "request": {
            "kind": {"group": kind.group, "version": kind.version, "kind": kind.kind},
            "resource": {"group": kind.group, "version": kind.version, "resource": kind.plural},
            "subResource": subject.subresource,
            "requestKind": {"group": kind.group, "version": kind.version, "kind": kind.kind},
            "requestResource": {"group": kind.group, "version": kind.version, "resource": kind.plural},
            "requestSubResource": subject.subresource,
            "name": request.name,
            "namespace": request.namespace,
            "operation": OPERATIONS[request.verb],
            "userInfo": user,
            "dryRun": request.dry_run,
        },
        "namespaceObject": namespace,
        "authorizer": {"caller": user, "requestResource": _asked_about(request, subject, user)},
    }


def _asked_about(request: Request, subject: Subject, user: Object) -> Object:
    return {
        "caller": user,
        "group": subject.kind.group,
        "resource": subject.kind.plural,
        "subresource": subject.subresource,
        "namespace": request.namespace,
        "name": request.name,
    }
