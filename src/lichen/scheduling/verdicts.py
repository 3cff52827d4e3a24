# SPDX-License-Identifier: Apache-2.0
"""What is said of a placement: the node, or why there is none, as Kubernetes words it. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from lichen.scheduling.request import Request

NOT_READY = "node(s) were not ready"
NO_CPU, NO_MEMORY, NO_SLOT = "Insufficient cpu", "Insufficient memory", "Too many pods"
NO_AFFINITY = "node(s) didn't match pod affinity rules"
ANTI_AFFINITY = "node(s) didn't match pod anti-affinity rules"
NO_SPREAD = "node(s) didn't match pod topology spread constraints"
NO_PORT = "node(s) didn't have free ports for the requested pod ports"


def plain(reason: str) -> str:
    """A reason without the names in it, of which there is no end: a metric's label."""
    if reason.startswith("volume "):
        return "volume(s) had no node yet"
    return re.split(r" \{|: ", reason, maxsplit=1)[0]


@dataclass(frozen=True, slots=True)
class Placement:
    """node: "" if none fits; then `rejected` counts the nodes by reason."""

    node: str = ""
    rejected: dict[str, int] = field(default_factory=dict)

    def sentence(self, nodes: int) -> str:
        """As Kubernetes says it: `0/3 nodes are available: 2 Insufficient memory, 1 …`."""
        reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(self.rejected.items()))
        return f"0/{nodes} nodes are available: {reasons or 'there is no node'}."


def reason(request: Request, verdict: str, ready: bool, free: Any, misfit: str) -> str:
    """Why a node does not take a workload. verdict: what its rules say; misfit: what is said if nothing else is."""
    if verdict:
        return verdict
    if not ready:
        return NOT_READY
    if free[0] < request.cpu:
        return NO_CPU
    if free[1] < request.memory:
        return NO_MEMORY
    if free[2] < 1:
        return NO_SLOT
    return misfit
