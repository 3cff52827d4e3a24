# SPDX-License-Identifier: Apache-2.0
"""Webhook configurations are kept, and their writers told that nobody calls the webhooks: what they would refuse is not
refused."""

from __future__ import annotations

from lichen.kernel.admission import Request
from lichen.kernel.cel.language import Language, apart
from lichen.kernel.policies.soundness import Expressions
from lichen.kinds.faults import Faults
from lichen.kinds.resources import builtin
from lichen.model.kind import Kind

GROUP = "admissionregistration.k8s.io"
CONFIGURATIONS = (
    builtin(GROUP, "validatingwebhookconfigurations"),
    builtin(GROUP, "mutatingwebhookconfigurations"),
)
NOT_CALLED = "admission webhooks are kept but not called here: a policy in CEL ({}) is"


class WebhookConfigurations:
    """Their match conditions must compile."""

    kinds: tuple[Kind, ...] | None = CONFIGURATIONS
    verbs: tuple[str, ...] = ("create", "update")

    def __init__(self, language: Language) -> None:
        self._language = language

    async def admit(self, request: Request) -> None:
        """Invalid."""
        faults = Faults()
        await apart(0, lambda: self._check(request, faults))
        faults.raise_any(request.kind, request.name)
        if request.object.get("webhooks"):
            kind = "Mutating" if request.kind == CONFIGURATIONS[1] else "Validating"
            request.warnings.append(NOT_CALLED.format(f"{kind}AdmissionPolicy"))

    def _check(self, request: Request, faults: Faults) -> None:
        says = Expressions(faults, self._language)
        for number, webhook in enumerate(request.object.get("webhooks") or ()):
            for index, condition in enumerate(webhook.get("matchConditions") or ()):
                says.gives(f"webhooks[{number}].matchConditions[{index}]", condition, "expression", "BOOL")
