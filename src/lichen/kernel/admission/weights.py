# SPDX-License-Identifier: Apache-2.0
"""How many bytes the objects of a namespace may have together: the kernel holds all of them in memory.

The store knows what they have; who is over may write nothing that grows. So the last write goes over by at most itself,
and none has to wait for another.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Protocol, runtime_checkable

from lichen.kernel.admission import Request, refused
from lichen.kernel.cel.language import size_of
from lichen.kinds.builtin import RESOURCE_QUOTA
from lichen.model.data import Object
from lichen.model.quantity import parse
from lichen.model.state import State

BYTES = "lichen.dev/bytes"
"""In a ResourceQuota: the bytes of all objects of its namespace, as they are stored."""
MIB = 1024 * 1024
MOST = 256 * MIB
"""Where no quota says it."""


@runtime_checkable
class Weighing(Protocol):
    """A State that knows how many bytes each namespace's objects have."""

    weights: Mapping[str, int]


class Weights:
    """What namespaces have, and may have."""

    def __init__(self) -> None:
        self.now: Mapping[str, int] = {}
        self.most: dict[str, int] = {}
        self.least = MOST
        """That any namespace may have: who has less need not be looked at."""

    def resume(self, state: State) -> None:
        if isinstance(state, Weighing):
            self.now = state.weights

    async def learn(self, state: State, namespace: str) -> None:
        """What the namespace's quotas say by now."""
        quotas = (await state.list(RESOURCE_QUOTA, namespace)).items
        self.most.pop(namespace, None)
        self.least = min((MOST, *self.most.values()))
        for quota in quotas:
            self.note(quota)

    def note(self, quota: Object) -> None:
        hard = (quota.get("spec") or {}).get("hard") or {}
        if BYTES in hard:
            namespace = quota["metadata"]["namespace"]
            most = min(int(parse(hard[BYTES])), self.most.get(namespace, 1 << 62))
            self.most[namespace] = most
            self.least = min(self.least, most)

    def check(self, request: Request) -> None:
        """Forbidden: there is no room, and the write takes some. The cloud's own writes always pass, and those that let
        an object go."""
        namespace = request.namespace
        now, most = self.now.get(namespace, 0), self.most.get(namespace, MOST)
        if now < most or request.caller.is_cloud or request.caller.node:
            return
        if request.old is not None and _lets_go(request.object, request.old):
            return
        raise refused(request, f"exceeded quota: the objects of namespace {namespace} have {now} bytes of {most}")

    def used(self, namespace: str) -> Fraction:
        """In whole MiB, so that it is not written anew with every byte."""
        return Fraction(-(-self.now.get(namespace, 0) // MIB) * MIB)


def _lets_go(new: Object, old: Object) -> bool:
    return "deletionTimestamp" in old["metadata"] or size_of(new) <= size_of(old)
