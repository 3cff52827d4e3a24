# SPDX-License-Identifier: Apache-2.0
"""Claims on the addresses of subnets: an Address object each, named `<subnet id>.<address>`."""

from __future__ import annotations

import asyncio
from ipaddress import ip_address

from lichen.kernel.admission.pool import Pool
from lichen.kinds.network.address import Address
from lichen.kinds.network.port import Port
from lichen.kinds.network.ranges import ranges_of
from lichen.model.data import Object
from lichen.model.errors import NotFound
from lichen.model.kind import new_object
from lichen.model.state import State


class Addresses:
    """Pools by subnet id, remembered from the claims that are stored."""

    def __init__(self) -> None:
        self._pools: dict[str, Pool] = {}
        self._loading: dict[str, asyncio.Lock] = {}

    async def take_any(self, state: State, subnet: Object, port: str, port_id: str) -> str | None:
        """A free address of the subnet's pools, claimed for a port; None: it is full."""
        spec = subnet["spec"]
        pool = await self._pool(state, subnet)
        make = _maker(spec["cidr"])
        number = await pool.take_any(lambda n: _claim(state, spec["id"], str(make(n)), port, port_id))
        return None if number is None else str(make(number))

    async def take(self, state: State, subnet: Object, address: str, port: str, port_id: str) -> bool:
        """Claim this address, in the pools or not. False: it is taken."""
        pool = await self._pool(state, subnet)
        spec = subnet["spec"]
        return await pool.take(int(ip_address(address)), lambda _: _claim(state, spec["id"], address, port, port_id))

    async def release(self, state: State, subnet_id: str, address: str, port_id: str) -> None:
        """Let an address go, if that port has it."""
        name = claim_name(subnet_id, address)
        try:
            claim = await state.get(Address.KIND, name)
            if claim["spec"].get("portId") != port_id:
                return
            await state.delete(Address.KIND, name)
        except NotFound:
            pass
        if subnet_id in self._pools:
            self._pools[subnet_id].release(int(ip_address(address)))

    async def in_use(self, state: State, subnet_id: str) -> bool:
        """Any address of the subnet is claimed."""
        claims = await state.list(Address.KIND, fields=f"spec.subnetId={subnet_id}", limit=1)
        return bool(claims.items)

    def change(self, subnet: Object) -> None:
        """The subnet's ranges were changed."""
        pool = self._pools.get(subnet["spec"]["id"])
        if pool is not None:
            pool.ranges = tuple(ranges_of(subnet["spec"]))

    def forget(self, subnet_id: str) -> None:
        """The subnet is gone."""
        self._pools.pop(subnet_id, None)
        self._loading.pop(subnet_id, None)

    async def _pool(self, state: State, subnet: Object) -> Pool:
        subnet_id = subnet["spec"]["id"]
        pool = self._pools.get(subnet_id)
        if pool is not None:
            return pool
        async with self._loading.setdefault(subnet_id, asyncio.Lock()):
            if subnet_id not in self._pools:
                self._pools[subnet_id] = await self._load(state, subnet)
        return self._pools[subnet_id]

    async def _load(self, state: State, subnet: Object) -> Pool:
        """From the stored claims. One whose port is gone was left by a crash: it is removed."""
        claims = await state.list(Address.KIND, fields=f"spec.subnetId={subnet['spec']['id']}")
        taken = []
        for claim in claims.items:
            spec = claim["spec"]
            if await _is_held(state, spec):
                taken.append(int(ip_address(spec["ipAddress"])))
            else:
                await state.delete(Address.KIND, claim["metadata"]["name"])
        return Pool(ranges_of(subnet["spec"]), taken)


def claim_name(subnet_id: str, address: str) -> str:
    """`…` and 10.0.0.5 → `….10-0-0-5`; IPv6 is written out in full, so that the name ends in a digit."""
    return f"{subnet_id.lower()}.{ip_address(address).exploded.replace('.', '-').replace(':', '-')}"


async def _claim(state: State, subnet_id: str, address: str, port: str, port_id: str) -> None:
    spec = Address.Spec(ip_address=address, subnet_id=subnet_id, port=port, port_id=port_id)
    await state.create(Address.KIND, new_object(Address.KIND, claim_name(subnet_id, address), spec=spec))


async def _is_held(state: State, spec: Object) -> bool:
    namespace, _, name = spec["port"].partition("/")
    try:
        port = await state.get(Port.KIND, name, namespace)
    except NotFound:
        return False
    return bool(port["spec"].get("id") == spec.get("portId"))


def _maker(cidr: str) -> type:
    return type(ip_address(cidr.partition("/")[0]))
