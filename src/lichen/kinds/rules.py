# SPDX-License-Identifier: Apache-2.0
"""A kind's own rules: pure functions on its objects, gathered here by kind. A kind without any needs no entry.

Each lives in a file beside the kind: `kinds/core/pod.py`, `kinds/apps/deployment.py`, …
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lichen.kinds.faults import Faults
from lichen.model.data import Object


def _nothing(*_: object) -> None:
    return None


@dataclass(frozen=True, slots=True)
class Rules:
    """default: fill in what the writer may leave out, in place. begin: what a new object starts with, in place
    (its status is empty then). validate: what a schema cannot say. validate_update: (new, old), what may not change.
    carry: (new, old), take over from the stored object what a replacement may leave out, in place.
    """

    default: Callable[[Object], None] = _nothing
    begin: Callable[[Object], None] = _nothing
    validate: Callable[[Object, Faults], None] = _nothing
    validate_update: Callable[[Object, Object, Faults], None] = _nothing
    carry: Callable[[Object, Object], None] = _nothing


NO_RULES = Rules()
