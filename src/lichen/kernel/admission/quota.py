# SPDX-License-Identifier: Apache-2.0
"""ResourceQuotas: how many objects a namespace may have, how many bytes, and how much cpu and memory its pods and
servers together.

A namespace without a quota pays one look. With one, its writes are admitted one at a time within this process, and what
is used is counted again after each.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from fractions import Fraction

from lichen.kernel.admission import Request, refused
from lichen.kernel.admission.charges import SIZED, STORED, Amounts, charge, covers, text_of_amount
from lichen.kernel.admission.counter import Counter, usage
from lichen.kernel.admission.weights import Weights
from lichen.kinds.builtin import POD, RESOURCE_QUOTA, SERVICE
from lichen.kinds.compute.server import Server
from lichen.model.data import Object
from lichen.model.kind import Kind
from lichen.model.quantity import parse
from lichen.model.state import State


class Quotas:
    """Refuses what would exceed."""

    kinds: tuple[Kind, ...] | None = None
    verbs: tuple[str, ...] = ("create", "update")

    def __init__(self) -> None:
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._weights = Weights()
        self._counter = Counter(self._weights)

    async def admit(self, request: Request) -> None:
        if not request.namespace:
            return
        if request.kind == RESOURCE_QUOTA:
            self._learn_after(request)
            self._count_after(request)
            return
        weights = self._weights
        if weights.now.get(request.namespace, 0) >= weights.least:
            weights.check(request)
        if request.namespace in weights.most:
            self._count_after(request)
        if request.verb == "update" and not _grows(request):
            if _matters(request) and await self._limited(request.state, request.namespace):
                self._count_after(request)
            return
        quotas = (await request.state.list(RESOURCE_QUOTA, request.namespace)).items
        if not quotas:
            return
        self._count_after(request)
        wanted = charge(request.kind, request.object)
        quotas = [q for q in quotas if _limits(q, wanted) and covers(q, request.kind, request.object)]
        if quotas:
            await self._alone(request)
            await self._check(request, quotas, wanted)

    async def _check(self, request: Request, quotas: list[Object], wanted: Amounts) -> None:
        kinds, itself = together(request.kind), (request.kind, request.name)
        for quota, used in zip(quotas, await usage(request.state, kinds, quotas, without=itself), strict=True):
            limits = _limits(quota, wanted)
            over = [key for key, most in limits.items() if used.get(key, Fraction(0)) + wanted[key] > most]
            if over:
                raise refused(request, _said(quota["metadata"]["name"], over, wanted, used, limits))

    async def removed(self, kind: Kind, obj: Object, state: State) -> None:
        """Releasing: what the object took is free again."""
        namespace = obj["metadata"].get("namespace")
        if kind == RESOURCE_QUOTA:
            await self._weights.learn(state, namespace)
        if namespace and await self._limited(state, namespace):
            self._counter.count(state, namespace)

    async def resume(self, state: State) -> None:
        """Count again what all quotas say."""
        self._weights.resume(state)
        for quota in (await state.list(RESOURCE_QUOTA)).items:
            self._weights.note(quota)
            self._counter.count(state, quota["metadata"]["namespace"])

    async def _limited(self, state: State, namespace: str) -> bool:
        return bool((await state.list(RESOURCE_QUOTA, namespace, limit=1)).items)

    def _learn_after(self, request: Request) -> None:
        async def learn() -> None:
            await self._weights.learn(request.state, request.namespace)

        request.done.append(learn)

    def _count_after(self, request: Request) -> None:
        async def count() -> None:
            self._counter.count(request.state, request.namespace)

        request.done.append(count)

    async def _alone(self, request: Request) -> None:
        lock = self._locks[request.namespace]
        await lock.acquire()

        async def unlock() -> None:
            lock.release()

        request.undo.append(unlock)
        request.done.append(unlock)


def together(kind: Kind) -> tuple[Kind, ...]:
    """Kinds that are charged for the same things."""
    return next((group for group in (SIZED, STORED) if kind in group), (kind,))


def _grows(request: Request) -> bool:
    if request.kind not in (Server.KIND, *STORED) or request.old is None:
        return False
    before = charge(request.kind, request.old)
    return any(amount > before.get(key, 0) for key, amount in charge(request.kind, request.object).items())


def _matters(request: Request) -> bool:
    """An update changes what is counted: a pod has ended, a service is of another type, a claim is smaller."""
    old, new = request.old or {}, request.object
    if request.kind == POD:
        return (old.get("status") or {}).get("phase") != (new.get("status") or {}).get("phase")
    return request.kind in (SERVICE, Server.KIND, *STORED) and charge(request.kind, old) != charge(request.kind, new)


def _limits(quota: Object, wanted: Amounts) -> Amounts:
    return {key: parse(most) for key, most in ((quota.get("spec") or {}).get("hard") or {}).items() if key in wanted}


def _said(name: str, over: list[str], wanted: Amounts, used: Amounts, limits: Amounts) -> str:
    def listed(amounts: Amounts) -> str:
        return ",".join(f"{key}={text_of_amount(key, amounts.get(key, Fraction(0)))}" for key in over)

    return f"exceeded quota: {name}, requested: {listed(wanted)}, used: {listed(used)}, limited: {listed(limits)}"
