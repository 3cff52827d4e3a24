# SPDX-License-Identifier: Apache-2.0
"""Networks and subnets: defaults that follow from the range, no overlap on a network, nothing removed that is used."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from ipaddress import ip_network

from lichen.kernel.admission import Request, faulty
from lichen.kernel.admission.addresses import Addresses
from lichen.kernel.admission.refs import canonical, resolve
from lichen.kinds.faults import Faults, show
from lichen.kinds.network.network import Network
from lichen.kinds.network.port import Port
from lichen.kinds.network.ranges import check_subnet, default_gateway, default_pools, parse_cidr
from lichen.kinds.network.subnet import Subnet
from lichen.model.data import Object
from lichen.model.errors import Cause, Conflict, NotFound
from lichen.model.kind import Kind
from lichen.model.meta import name_of, namespace_of
from lichen.model.state import State


class Subnets:
    """Fills and checks subnets. Within this process, one subnet of a network is admitted at a time."""

    kinds: tuple[Kind, ...] | None = (Subnet.KIND,)
    verbs: tuple[str, ...] = ("create", "update", "delete")

    def __init__(self, addresses: Addresses) -> None:
        self._addresses = addresses
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def admit(self, request: Request) -> None:
        if request.verb == "delete":
            await self._check_unused(request)
            return
        spec = request.object["spec"]
        if request.verb == "create":
            network = await resolve(request, Network.KIND, spec.get("network", ""), "spec.network")
            if namespace_of(network) != request.namespace:
                raise faulty(request, Cause("spec.network", f"Invalid value: {show(spec['network'])}: not our own"))
            spec["network"], spec["networkId"] = canonical(network, request.namespace), network["spec"]["id"]
            _fill(spec)
            await self._alone(request)
        faults = Faults()
        check_subnet(spec, faults)
        faults.raise_any(request.kind, request.name)
        if request.verb == "create":
            await self._check_overlap(request)
        else:
            request.done.append(lambda: self._changed(request.object))

    async def removed(self, kind: Kind, obj: Object, state: State) -> None:
        self._addresses.forget(obj["spec"]["id"])

    async def _changed(self, subnet: Object) -> None:
        self._addresses.change(subnet)

    async def _alone(self, request: Request) -> None:
        lock = self._locks[request.object["spec"]["networkId"]]
        await lock.acquire()

        async def unlock() -> None:
            lock.release()

        request.undo.append(unlock)
        request.done.append(unlock)

    async def _check_overlap(self, request: Request) -> None:
        spec = request.object["spec"]
        mine = ip_network(spec["cidr"])
        page = await request.state.list(
            Subnet.KIND, request.namespace, fields=f"spec.networkId={spec['networkId']}"
        )  # fmt: skip
        for other in page.items:
            theirs = ip_network(other["spec"]["cidr"])
            if mine.version == theirs.version and mine.overlaps(theirs):
                why = f"overlaps with another subnet of the network, {name_of(other)} ({theirs})"
                raise faulty(request, Cause("spec.cidr", f"Invalid value: {show(spec['cidr'])}: {why}"))

    async def _check_unused(self, request: Request) -> None:
        spec = request.object["spec"]
        if await self._addresses.in_use(request.state, spec["id"]):
            raise Conflict(
                f"Unable to complete operation on subnet {spec['id']}: One or more ports have an IP allocation from "
                "this subnet.",
                kind=request.kind.plural,
                group=request.kind.group,
                name=request.name,
            )


def _fill(spec: Object) -> None:
    network = parse_cidr(spec.get("cidr", ""), Faults())
    if network is None:
        return
    if spec.get("gatewayIp", "") == "":
        spec["gatewayIp"] = default_gateway(network)
    if not spec.get("allocationPools"):
        try:
            spec["allocationPools"] = default_pools(network, spec["gatewayIp"])
        except ValueError:
            return


class Networks:
    """A network goes only without ports, and takes its subnets with it."""

    kinds: tuple[Kind, ...] | None = (Network.KIND,)
    verbs: tuple[str, ...] = ("delete",)

    async def admit(self, request: Request) -> None:
        network = request.object["spec"]["id"]
        ports = await request.state.list(Port.KIND, fields=f"spec.networkId={network}", limit=1)
        if ports.items:
            raise Conflict(
                f"Unable to complete operation on network {network}. There are one or more ports still in use on the "
                "network.",
                kind=request.kind.plural,
                group=request.kind.group,
                name=request.name,
            )

    async def removed(self, kind: Kind, obj: Object, state: State) -> None:
        """Its subnets lead nowhere now."""
        subnets = await state.list(Subnet.KIND, namespace_of(obj), fields=f"spec.networkId={obj['spec']['id']}")
        for subnet in subnets.items:
            try:
                await state.delete(Subnet.KIND, name_of(subnet), namespace_of(subnet))
            except NotFound:
                continue
