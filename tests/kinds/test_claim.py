# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest

from lichen.kinds.core.claim import validate_claim_update
from lichen.kinds.faults import Faults
from lichen.model.data import Object

BOUND = {"phase": "Bound", "capacity": {"storage": "2Gi"}}


def a_claim(size: str = "2Gi", status: Object | None = None, **spec: Any) -> Object:
    given = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}, **spec}
    return {"metadata": {"name": "c"}, "spec": given, "status": BOUND if status is None else status}


def refusals(new: Object, old: Object) -> list[str]:
    faults = Faults()
    validate_claim_update(new, old, faults)
    return [fault.field for fault in faults]


@pytest.mark.parametrize(
    ("new", "old"),
    [
        (a_claim(), a_claim()),
        (a_claim("3Gi"), a_claim()),
        (a_claim("2048Mi"), a_claim()),
        (a_claim("3Gi"), a_claim("5Gi")),  # what was asked for and is not there yet is taken back
        (a_claim(volumeName="v"), a_claim(status={"phase": "Pending"})),
        (a_claim(storageClassName="lichen"), a_claim(status={"phase": "Pending"})),
        (a_claim(volumeAttributesClassName="fast"), a_claim()),
    ],
)
def test_what_may_change(new: Object, old: Object):
    assert refusals(new, old) == []


@pytest.mark.parametrize(
    ("new", "old", "field"),
    [
        (a_claim("1Gi"), a_claim(), "spec.resources.requests.storage"),
        (a_claim("2Gi"), a_claim("5Gi"), "spec.resources.requests.storage"),
        (a_claim("3Gi"), a_claim(status={"phase": "Pending"}), "spec"),
        (a_claim(accessModes=["ReadWriteMany"]), a_claim(), "spec"),
        (a_claim(volumeName="other"), a_claim(volumeName="v"), "spec"),
        (a_claim(storageClassName="lichen"), a_claim(storageClassName=""), "spec"),
    ],
)
def test_what_may_not(new: Object, old: Object, field: str):
    assert refusals(new, old) == [field]
