# SPDX-License-Identifier: Apache-2.0
"""Whether a node's labels and taints satisfy a workload's rules, as Kubernetes core/v1 defines them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from lichen.model.data import Object
from lichen.model.names import POOL
from lichen.planning.taints import tolerates
from lichen.scheduling.request import Rules

BLOCKING_EFFECTS = ("NoSchedule", "NoExecute")
NODE_NAME = "metadata.name"
"""Among a node's labels as they are judged: its name."""
_CORDONED = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}
AFFINITY_MISMATCH = "node(s) didn't match the workload's node affinity or selector"
VOLUME_ELSEWHERE = "node(s) had volume node affinity conflict"
UNSCHEDULABLE = "node(s) were unschedulable"


def why_not(rules: Rules, labels: Mapping[str, str], taints: Sequence[Object], *, cordoned: bool) -> str:
    """ "" if the node may carry the workload, else the reason in Kubernetes' words."""
    tolerations = msgspec.json.decode(rules.tolerations)
    if cordoned and not any(tolerates(t, _CORDONED) for t in tolerations):
        return UNSCHEDULABLE
    if any(labels.get(key) != value for key, value in rules.selector):
        return AFFINITY_MISMATCH
    affinity = msgspec.json.decode(rules.affinity)
    if affinity and not any(term_matches(term, labels) for term in affinity.get("nodeSelectorTerms") or []):
        return AFFINITY_MISMATCH
    if any((labels.get(POOL) or labels.get(NODE_NAME)) != pool for pool in rules.pools):
        return VOLUME_ELSEWHERE
    for taint in taints:
        if taint.get("effect") in BLOCKING_EFFECTS and not any(tolerates(t, taint) for t in tolerations):
            value = f": {taint['value']}" if taint.get("value") else ": "
            return f"node(s) had untolerated taint {{{taint['key']}{value}}}"
    return ""


def unwelcome(rules: Rules, taints: Sequence[Object]) -> int:
    """How many taints of the node would rather not have the workload."""
    tolerations = msgspec.json.decode(rules.tolerations)
    soft = [taint for taint in taints if taint.get("effect") == "PreferNoSchedule"]
    return sum(not any(tolerates(t, taint) for t in tolerations) for taint in soft)


def term_matches(term: Object, labels: Mapping[str, str]) -> bool:
    expressions = term.get("matchExpressions") or []
    fields = term.get("matchFields") or []
    if not expressions and not fields:
        return False
    return all(_matches(e, labels) for e in expressions) and all(_matches(f, labels) for f in fields)


def _matches(expression: Object, labels: Mapping[str, str]) -> bool:
    held: Any = labels.get(expression["key"])
    values = expression.get("values") or []
    match expression["operator"]:
        case "In":
            return held in values
        case "NotIn":
            return held not in values
        case "Exists":
            return held is not None
        case "DoesNotExist":
            return held is None
        case "Gt":
            return held is not None and held.lstrip("-").isdigit() and int(held) > int(values[0])
        case "Lt":
            return held is not None and held.lstrip("-").isdigit() and int(held) < int(values[0])
    return False
