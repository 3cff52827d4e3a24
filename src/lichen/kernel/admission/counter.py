# SPDX-License-Identifier: Apache-2.0
"""ResourceQuota.status: what is used of what is allowed, counted anew shortly after something has changed."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from fractions import Fraction

from lichen.kernel.admission.charges import SIZED, STORED, Amounts, charge, covers, text_of_amount
from lichen.kernel.admission.weights import BYTES, Weights
from lichen.kinds.builtin import RESOURCE_QUOTA
from lichen.kinds.catalog import all_kinds
from lichen.model.data import Object
from lichen.model.errors import ApiError, Conflict, NotFound
from lichen.model.kind import Kind
from lichen.model.state import State

log = logging.getLogger(__name__)
GATHER_SECONDS = 0.02
"""Changes within this time are counted together."""
Place = tuple[Kind, str] | None
"""An object of the namespace: kind and name."""


async def usage(state: State, kinds: tuple[Kind, ...], quotas: list[Object], *, without: Place = None) -> list[Amounts]:
    """What a namespace has of these kinds, as each of its quotas sees it. without: an object that is not counted."""
    used: list[defaultdict[str, Fraction]] = [defaultdict(Fraction) for _ in quotas]
    namespace = quotas[0]["metadata"]["namespace"]
    for kind in kinds:
        for obj in (await state.list(kind, namespace)).items:
            if (kind, obj["metadata"]["name"]) == without:
                continue
            amounts = charge(kind, obj)
            for quota, sums in zip(quotas, used, strict=True):
                if covers(quota, kind, obj):
                    for key, amount in amounts.items():
                        sums[key] += amount
    return [dict(sums) for sums in used]


class Counter:
    """Counts namespaces in the background; one count at a time for each."""

    def __init__(self, weights: Weights) -> None:
        self._weights = weights
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._again: set[str] = set()

    def count(self, state: State, namespace: str) -> None:
        """Soon."""
        if namespace in self._tasks:
            self._again.add(namespace)
            return
        self._tasks[namespace] = asyncio.create_task(self._run(state, namespace))

    async def _run(self, state: State, namespace: str) -> None:
        try:
            while True:
                await asyncio.sleep(GATHER_SECONDS)
                self._again.discard(namespace)
                try:
                    await _write(state, namespace, self._weights.used(namespace))
                except (Conflict, NotFound):
                    continue
                except ApiError as error:
                    log.warning("the quotas of %s are not counted: %s", namespace, error.message)
                if namespace not in self._again:
                    return
        finally:
            del self._tasks[namespace]


async def _write(state: State, namespace: str, weight: Fraction) -> None:
    quotas = (await state.list(RESOURCE_QUOTA, namespace)).items
    if not quotas:
        return
    kinds = {kind for quota in quotas for key in _hard(quota) for kind in kinds_of_key(key)}
    for quota, used in zip(quotas, await usage(state, tuple(kinds), quotas), strict=True):
        hard = _hard(quota)
        used[BYTES] = weight
        counted = {key: text_of_amount(key, used.get(key, Fraction(0))) for key in hard}
        status = {"hard": hard, "used": counted} if hard else {}
        if (quota.get("status") or {}) != status:
            await state.update(RESOURCE_QUOTA, {**quota, "status": status})


def _hard(quota: Object) -> Object:
    hard: Object = (quota.get("spec") or {}).get("hard") or {}
    return hard


def kinds_of_key(key: str) -> tuple[Kind, ...]:
    """The kinds whose objects are charged for what a quota calls `key`."""
    if key == BYTES:
        return ()
    if key.endswith(("requests.storage", "/persistentvolumeclaims")):
        return STORED
    if key.startswith("services."):
        key = "services"
    name = key.removeprefix("count/")
    found = tuple(k for k in all_kinds() if k.resource == name and k.namespaced)
    if not found and name != key:
        plural, _, group = name.partition(".")
        return (Kind(group, "v1", "", plural),)  # installed: a store knows it by group and plural
    return found[:1] or SIZED
