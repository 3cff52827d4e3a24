# SPDX-License-Identifier: Apache-2.0
"""A kernel over a store in memory, for tests."""

from __future__ import annotations

from typing import Any

from lichen.kernel.kernel import SYSTEM, Kernel
from lichen.model.kind import Kind
from lichen.model.state import Caller
from lichen.store.memory import MemoryStore


class AllowAll:
    """Everyone may do everything, and bears the system's name."""

    def refusal(self, caller: Caller, verb: str, kind: Kind, namespace: str, name: str, *_: Any, **__: Any) -> None:
        return None

    async def authenticate(self, token: str) -> Caller:
        return SYSTEM


class Driven:
    """A clock that stands still until it is moved."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.time = now

    def now(self) -> float:
        return self.time


async def a_kernel(**options: Any) -> Kernel:
    """A started kernel that authorises everything."""
    kernel = Kernel(MemoryStore(), options.pop("access", AllowAll()), **options)
    await kernel.start()
    return kernel
