# SPDX-License-Identifier: Apache-2.0
"""Which rules each kind has."""

from __future__ import annotations

from lichen.kinds.apps import workloads
from lichen.kinds.core import pod, service, small
from lichen.kinds.own import rules_of_model
from lichen.kinds.rules import NO_RULES, Rules
from lichen.model.kind import Kind

BUILTIN: dict[tuple[str, str], Rules] = {
    ("", "pods"): pod.RULES,
    ("", "services"): service.RULES,
    **small.RULES,
    **workloads.RULES,
}

_found: dict[Kind, Rules] = {}


def rules_of(kind: Kind) -> Rules:
    """A kind's rules; those of Lichen's kinds follow from what their fields declare."""
    rules = _found.get(kind)
    if rules is None:
        rules = BUILTIN.get((kind.group, kind.plural)) or (rules_of_model(kind) if kind.model else NO_RULES)
        _found[kind] = rules
    return rules
