# SPDX-License-Identifier: Apache-2.0
"""Steps of plans as they are carried out, for the node's metrics."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from lichen.model.metrics import STEP_FAILURES, STEPS


@contextmanager
def counted(about: str, step: object) -> Iterator[None]:
    """The block carries out a step; what it raises is a failure of it."""
    try:
        yield
    except Exception:
        STEP_FAILURES.add(about, type(step).__name__)
        raise
    finally:
        STEPS.add(about, type(step).__name__)
