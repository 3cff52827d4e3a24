# SPDX-License-Identifier: Apache-2.0
"""Steps of plans as they are carried out, for the node's metrics and its log."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from lichen.model.data import Object
from lichen.model.meta import name_of, namespace_of, uid_of
from lichen.model.metrics import STEP_FAILURES, STEPS

log = logging.getLogger(__name__)
QUIET = {"Report", "Wait", "Hold", "LetGo"}
"""Steps that are written, and not done on this machine."""


@contextmanager
def counted(about: str, obj: Object, step: object) -> Iterator[None]:
    """The block carries out a step for an object; what it raises is a failure of it."""
    name = type(step).__name__
    if name not in QUIET:
        log.info("%s %s/%s, %s: %s", about, namespace_of(obj), name_of(obj), obj["spec"].get("id") or uid_of(obj), step)
    try:
        yield
    except Exception:
        STEP_FAILURES.add(about, name)
        raise
    finally:
        STEPS.add(about, name)
