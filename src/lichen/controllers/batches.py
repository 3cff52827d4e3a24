# SPDX-License-Identifier: Apache-2.0
"""Which steps may run at the same time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from lichen.planning.steps import Create, Delete, Note, Step

AT_ONCE = 16


def batches(steps: Iterable[Step]) -> Iterator[list[Step]]:
    """Neighbours that create (or delete) objects of one kind go together, up to `AT_ONCE`; all others alone."""
    batch: list[Step] = []
    for step in steps:
        if batch and not (len(batch) < AT_ONCE and _alike(batch[-1], step)):
            yield batch
            batch = []
        batch.append(step)
    if batch:
        yield batch


def _alike(one: Step, other: Step) -> bool:
    if isinstance(one, Note) or isinstance(other, Note):
        return False
    return type(one) is type(other) and isinstance(one, Create | Delete) and one.kind == other.kind
