# SPDX-License-Identifier: Apache-2.0
"""PodDisruptionBudgets over a real kernel."""

from __future__ import annotations

from typing import Any

import pytest

from lichen.kinds.builtin import DEPLOYMENT, PDB
from lichen.model.errors import Invalid
from tests.controllers.world import Cloud, a_workload


def allowing(expected: int, allowed: int) -> Any:
    def test(budget: Any) -> bool:
        status = budget.get("status") or {}
        return (status.get("expectedPods"), status.get("disruptionsAllowed")) == (expected, allowed)

    return test


async def test_a_budget_follows_the_pods_and_the_scale_of_what_manages_them(cloud: Cloud):
    spec = {"selector": {"matchLabels": {"app": "web"}}, "maxUnavailable": 1}
    await cloud.create(PDB, "budget", spec)
    await cloud.until(PDB, "budget", lambda b: b["status"].get("observedGeneration") == 1)
    await cloud.create(DEPLOYMENT, "web", a_workload(3))
    await cloud.until(PDB, "budget", allowing(3, 1))
    await cloud.patch(DEPLOYMENT, "web", {"spec": {"replicas": 2}})
    await cloud.until(PDB, "budget", allowing(2, 1))
    await cloud.patch(PDB, "budget", {"spec": {"maxUnavailable": 0}})
    await cloud.until(PDB, "budget", allowing(2, 0))


async def test_a_budget_that_cannot_be_counted_is_refused(cloud: Cloud):
    for spec in ({"minAvailable": "half"}, {"minAvailable": -1}, {"minAvailable": 1, "maxUnavailable": 1}):
        with pytest.raises(Invalid):
            await cloud.create(PDB, "wrong", spec)
