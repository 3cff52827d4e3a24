# SPDX-License-Identifier: Apache-2.0
"""The plugins every kernel has, in the order they run."""

from __future__ import annotations

from lichen.kernel.access import Clock
from lichen.kernel.admission import Plugin


def standard_plugins(clock: Clock) -> list[Plugin]:
    return []
