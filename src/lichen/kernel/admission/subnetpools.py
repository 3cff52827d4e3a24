# SPDX-License-Identifier: Apache-2.0
"""Subnet pools: their ranges fit together, and subnets are cut from them before the answer."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable
from ipaddress import collapse_addresses, ip_network

from lichen.kernel.admission import Request, faulty
from lichen.kernel.admission.refs import canonical, resolve
from lichen.kinds.faults import Faults, show
from lichen.kinds.network.ranges import Network, parse_cidr
from lichen.kinds.network.subnet import Subnet
from lichen.kinds.network.subnetpool import SubnetPool
from lichen.model.data import Object
from lichen.model.errors import Cause, Conflict
from lichen.model.kind import Kind
from lichen.model.meta import namespace_of

LEAST = {4: 8, 6: 64}
"""minPrefixlen of a pool that says none."""


class SubnetPools:
    """Fills, checks, and keeps a pool while it is in use."""

    kinds: tuple[Kind, ...] | None = (SubnetPool.KIND,)
    verbs: tuple[str, ...] = ("create", "update", "delete")

    async def admit(self, request: Request) -> None:
        if request.verb == "delete":
            await self._check_unused(request)
            return
        spec, faults = request.object["spec"], Faults()
        ranges = [parse_cidr(text, faults, f"spec.prefixes[{n}]") for n, text in enumerate(spec.get("prefixes") or ())]
        known = [network for network in ranges if network is not None]
        if not ranges:
            faults.required("spec.prefixes", "a pool has at least one range")
        if len({network.version for network in known}) > 1:
            faults.invalid("spec.prefixes", spec["prefixes"], "all are of one IP version")
        faults.raise_any(request.kind, request.name)
        spec["prefixes"] = compacted(known)
        _fill(spec, known[0])
        _check_lengths(spec, known[0], faults)
        _check_growth(spec, (request.old or {}).get("spec") or {}, faults)
        faults.raise_any(request.kind, request.name)

    async def _check_unused(self, request: Request) -> None:
        id = request.object["spec"]["id"]
        if (await request.state.list(Subnet.KIND, fields=f"spec.subnetPoolId={id}", limit=1)).items:
            raise Conflict(
                f"Unable to delete subnet pool: Subnet pool {id} has existing allocations.",
                kind=request.kind.plural,
                group=request.kind.group,
                name=request.name,
            )


class Cutting:
    """A new subnet that names a pool gets a range of it; within this process one at a time, of each pool."""

    kinds: tuple[Kind, ...] | None = (Subnet.KIND,)
    verbs: tuple[str, ...] = ("create",)

    def __init__(self) -> None:
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def admit(self, request: Request) -> None:
        spec = request.object["spec"]
        if not spec.get("subnetPool"):
            spec.pop("prefixLength", None)
            return
        pool = await resolve(request, SubnetPool.KIND, spec["subnetPool"], "spec.subnetPool")
        spec["subnetPool"], spec["subnetPoolId"] = canonical(pool, request.namespace), pool["spec"]["id"]
        await self._alone(request, pool["spec"]["id"])
        fields = f"spec.subnetPoolId={pool['spec']['id']}"
        taken = [s for s in (await request.state.list(Subnet.KIND, fields=fields)).items if s["spec"].get("cidr")]
        ranges = [ip_network(subnet["spec"]["cidr"]) for subnet in taken]
        spec["cidr"] = (
            _wanted(request, pool["spec"], ranges) if spec.get("cidr") else _cut(request, pool["spec"], ranges)
        )
        spec.pop("prefixLength", None)
        mine = [ip_network(s["spec"]["cidr"]) for s in taken if namespace_of(s) == request.namespace]
        _check_quota(request, pool["spec"], [*mine, ip_network(spec["cidr"])])

    async def _alone(self, request: Request, pool_id: str) -> None:
        lock = self._locks[pool_id]
        await lock.acquire()

        async def unlock() -> None:
            lock.release()

        request.undo.append(unlock)
        request.done.append(unlock)


def compacted(ranges: Iterable[Network]) -> list[str]:
    """The same addresses in as few ranges as can be."""
    listed = list(ranges)
    four = collapse_addresses([r for r in listed if r.version == 4])
    six = collapse_addresses([r for r in listed if r.version == 6])
    return [str(network) for network in (*four, *six)]


def free_range(prefixes: Iterable[str], length: int, taken: list[Network]) -> str | None:
    """The first range of that prefix length that overlaps none of the taken; None if there is none."""
    for prefix in map(ip_network, prefixes):
        if prefix.prefixlen > length:
            continue
        busy = sorted((t for t in taken if t.version == prefix.version and t.overlaps(prefix)), key=lambda t: int(t[0]))
        at, size = int(prefix[0]), 1 << (prefix.max_prefixlen - length)
        for network in busy:
            if at + size <= int(network[0]):
                break
            at = max(at, -(-(int(network[-1]) + 1) // size) * size)
        if at + size - 1 <= int(prefix[-1]):
            return str(ip_network((at, length)))
    return None


def _fill(spec: Object, network: Network) -> None:
    spec["minPrefixlen"] = spec.get("minPrefixlen") or LEAST[network.version]
    spec["maxPrefixlen"] = spec.get("maxPrefixlen") or network.max_prefixlen
    spec["defaultPrefixlen"] = spec.get("defaultPrefixlen") or spec["minPrefixlen"]


def _check_lengths(spec: Object, network: Network, faults: Faults) -> None:
    least, most, usual = (spec[key] for key in ("minPrefixlen", "maxPrefixlen", "defaultPrefixlen"))
    if not 0 < least <= most <= network.max_prefixlen:
        why = f"it is from 1 to maxPrefixlen ({most}), which is at most {network.max_prefixlen}"
        faults.invalid("spec.minPrefixlen", least, why)
    if not least <= usual <= most:
        faults.invalid("spec.defaultPrefixlen", usual, f"it is from minPrefixlen ({least}) to maxPrefixlen ({most})")


def _check_growth(spec: Object, old: Object, faults: Faults) -> None:
    now = [ip_network(text) for text in spec["prefixes"]]
    for text in old.get("prefixes") or ():
        before = ip_network(text)
        if not any(n.version == before.version and before.subnet_of(n) for n in now):  # type: ignore[arg-type]
            faults.invalid("spec.prefixes", spec["prefixes"], f"prefixes can only be added; {text} is missing")


def _wanted(request: Request, pool: Object, taken: list[Network]) -> str:
    """The range that was asked for, if the pool has it. Invalid."""
    faults, spec = Faults(), request.object["spec"]
    wanted = parse_cidr(spec["cidr"], faults)
    faults.raise_any(request.kind, request.name)
    assert wanted is not None
    inside = [p for p in map(ip_network, pool["prefixes"]) if p.version == wanted.version and wanted.subnet_of(p)]  # type: ignore[arg-type]
    if not inside:
        why = "is not in the subnet pool's prefixes"
        raise faulty(request, Cause("spec.cidr", f"Invalid value: {show(spec['cidr'])}: {why}"))
    _check_length(request, pool, wanted.prefixlen)
    if any(other.overlaps(wanted) for other in taken):
        why = "is taken from the subnet pool already"
        raise faulty(request, Cause("spec.cidr", f"Invalid value: {show(spec['cidr'])}: {why}"))
    return str(wanted)


def _cut(request: Request, pool: Object, taken: list[Network]) -> str:
    length = request.object["spec"].get("prefixLength") or pool["defaultPrefixlen"]
    _check_length(request, pool, length)
    found = free_range(pool["prefixes"], length, taken)
    if found is None:
        raise Conflict(
            f"Failed to allocate subnet: Insufficient prefix space to allocate subnet size /{length}.",
            kind=request.kind.plural,
            group=request.kind.group,
            name=request.name,
        )
    return found


def _check_length(request: Request, pool: Object, length: int) -> None:
    least, most = pool["minPrefixlen"], pool["maxPrefixlen"]
    if not least <= length <= most:
        why = (
            f"Unable to allocate subnet with prefix length {length}, minimum allowed prefix is {least}, maximum {most}"
        )
        raise faulty(request, Cause("spec.prefixLength", f"Invalid value: {length}: {why}"))


def _check_quota(request: Request, pool: Object, held: list[Network]) -> None:
    quota = pool.get("defaultQuota")
    if quota is None:
        return
    unit = 64 if held[-1].version == 6 else held[-1].max_prefixlen
    used = sum(1 << max(0, unit - network.prefixlen) for network in held)
    if used > quota:
        raise Conflict(
            f"Per-tenant subnet pool prefix quota exceeded: {used} of {quota}.",
            kind=request.kind.plural,
            group=request.kind.group,
            name=request.name,
        )
