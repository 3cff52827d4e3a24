# SPDX-License-Identifier: Apache-2.0
"""ResourceQuotas: how many objects a namespace may have, and how much cpu and memory its pods and servers together.

A namespace without a quota pays one look. With one, its writes are admitted one at a time within this process.
Quotas that have scopes are not enforced.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable
from fractions import Fraction

from lichen.kernel.admission import Request, refused
from lichen.kinds.builtin import PERSISTENT_VOLUME_CLAIM, POD, RESOURCE_QUOTA
from lichen.kinds.compute.server import Server
from lichen.kinds.volume.volume import Volume
from lichen.model.data import Object
from lichen.model.kind import Kind
from lichen.model.quantity import canonical, parse
from lichen.model.state import State

Amounts = dict[str, Fraction]

_MIB = 1024 * 1024
_ENDED = ("Succeeded", "Failed")
_SIZED = (POD, Server.KIND)
_STORED = (PERSISTENT_VOLUME_CLAIM, Volume.KIND)
_SHORT = {"cpu": "requests.cpu", "memory": "requests.memory"}


class Quotas:
    """Refuses what would exceed."""

    kinds: tuple[Kind, ...] | None = None
    verbs: tuple[str, ...] = ("create", "update")

    def __init__(self) -> None:
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def admit(self, request: Request) -> None:
        if not request.namespace or request.kind == RESOURCE_QUOTA:
            return
        if request.verb == "update" and not _grows(request):
            return
        quotas = (await request.state.list(RESOURCE_QUOTA, request.namespace)).items
        wanted = charge(request.kind, request.object)
        hard = [(q["metadata"]["name"], _limits(q, wanted)) for q in quotas]
        hard = [(name, limits) for name, limits in hard if limits]
        if not hard:
            return
        await self._alone(request)
        used = await usage(request.state, request.kind, request.namespace, without=request.name)
        for name, limits in hard:
            over = [key for key, most in limits.items() if used.get(key, Fraction(0)) + wanted[key] > most]
            if over:
                raise refused(request, _said(name, over, wanted, used, limits))

    async def _alone(self, request: Request) -> None:
        lock = self._locks[request.namespace]
        await lock.acquire()

        async def unlock() -> None:
            lock.release()

        request.undo.append(unlock)
        request.done.append(unlock)


def charge(kind: Kind, obj: Object) -> Amounts:
    """What an object takes, by the names that quotas use."""
    amounts = {f"count/{kind.resource}": Fraction(1)}
    if not kind.group:
        amounts[kind.plural] = Fraction(1)
    if kind == POD:
        if (obj.get("status") or {}).get("phase") in _ENDED:
            return {f"count/{kind.resource}": Fraction(1)}
        amounts.update(_of_containers(obj["spec"]))
    elif kind == Volume.KIND and not obj["spec"].get("claim"):  # else its claim is charged
        amounts["requests.storage"] = Fraction(obj["spec"].get("size", 0)) * 1024 * _MIB
    elif kind == PERSISTENT_VOLUME_CLAIM:
        wanted = ((obj.get("spec") or {}).get("resources") or {}).get("requests") or {}
        amounts["requests.storage"] = parse(wanted.get("storage", "0"))
    elif kind == Server.KIND:
        resources = obj["spec"].get("resources") or {}
        amounts["requests.cpu"] = Fraction(resources.get("vcpus", 0))
        amounts["requests.memory"] = Fraction(resources.get("memory", 0) * _MIB)
    for short, full in _SHORT.items():
        if full in amounts:
            amounts[short] = amounts[full]
    return amounts


def _of_containers(spec: Object) -> Amounts:
    """The sum of the containers, or an init container's where that is more."""
    amounts: Amounts = {}
    for part in ("requests", "limits"):
        for name in ("cpu", "memory"):
            running = sum(_amounts(spec.get("containers"), part, name), Fraction(0))
            starting = max(_amounts(spec.get("initContainers"), part, name), default=Fraction(0))
            amounts[f"{part}.{name}"] = max(running, starting)
    return amounts


def _amounts(containers: list[Object] | None, part: str, name: str) -> Iterable[Fraction]:
    return [parse(((c.get("resources") or {}).get(part) or {}).get(name, "0")) for c in containers or ()]


async def usage(state: State, kind: Kind, namespace: str, *, without: str) -> Amounts:
    """What a namespace has of what an object of `kind` takes; `without` is the name of that object itself."""
    used: defaultdict[str, Fraction] = defaultdict(Fraction)
    for other in next((group for group in (_SIZED, _STORED) if kind in group), (kind,)):
        for obj in (await state.list(other, namespace)).items:
            if other == kind and obj["metadata"]["name"] == without:
                continue
            for key, amount in charge(other, obj).items():
                used[key] += amount
    return used


def _grows(request: Request) -> bool:
    if request.kind not in (Server.KIND, *_STORED) or request.old is None:
        return False
    before = charge(request.kind, request.old)
    return any(amount > before.get(key, 0) for key, amount in charge(request.kind, request.object).items())


def _limits(quota: Object, wanted: Amounts) -> Amounts:
    spec = quota.get("spec") or {}
    if spec.get("scopes") or spec.get("scopeSelector"):
        return {}
    return {key: parse(most) for key, most in (spec.get("hard") or {}).items() if key in wanted}


def _said(name: str, over: list[str], wanted: Amounts, used: Amounts, limits: Amounts) -> str:
    def listed(amounts: Amounts) -> str:
        return ",".join(f"{key}={_text(key, amounts.get(key, Fraction(0)))}" for key in over)

    return f"exceeded quota: {name}, requested: {listed(wanted)}, used: {listed(used)}, limited: {listed(limits)}"


def _text(key: str, amount: Fraction) -> str:
    if key.endswith("memory"):
        return canonical(f"{amount / _MIB}Mi") if (amount / _MIB).denominator == 1 else str(int(amount))
    return canonical(str(amount)) if amount.denominator == 1 else canonical(f"{float(amount):.9f}")
