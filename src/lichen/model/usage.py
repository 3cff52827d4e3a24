# SPDX-License-Identifier: Apache-2.0
"""What is used of a machine: counters as engines read them, and what a node tells of a while."""

from __future__ import annotations

import msgspec


class Usage(msgspec.Struct, frozen=True):
    """cpu: nanoseconds of processor time, only ever growing (a counter), or nanocores (of a while). memory: bytes in
    use now, without what the host may drop at will."""

    cpu: int
    memory: int


class Measured(msgspec.Struct, frozen=True):
    """What a node and its pods' containers, by the pod's uid and their names, used in the `window` seconds up to `at`
    (unix time)."""

    at: float
    window: float
    node: Usage
    pods: dict[str, dict[str, Usage]]
