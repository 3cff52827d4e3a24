# SPDX-License-Identifier: Apache-2.0
"""Ports that admission makes for others: the gateway of a router, the address of a floating IP."""

from __future__ import annotations

import uuid

from lichen.kernel.admission import Request
from lichen.kernel.admission.addresses import Addresses
from lichen.kernel.admission.ports import Ports
from lichen.kinds.network.port import Port
from lichen.model.data import Object
from lichen.model.errors import NotFound
from lichen.model.kind import new_object
from lichen.model.meta import name_of, namespace_of
from lichen.model.state import State


class MadePorts:
    """Makes them with their addresses, and lets both go together."""

    def __init__(self, addresses: Addresses) -> None:
        self._addresses = addresses
        self._ports = Ports(addresses)

    async def make(self, request: Request, network: Object, owner: str, name: str, fixed: list[Object]) -> Object:
        """A stored port on a network that the request's project need not share, for the request's object.
        Conflict: no address is left; Invalid: a wanted one is not of the network."""
        spec: Object = {
            "id": str(uuid.uuid4()),
            "displayName": "",
            "network": f"{namespace_of(network)}/{name_of(network)}",
            "deviceOwner": owner,
            "deviceId": request.object["spec"]["id"],
            "fixedIps": fixed,
        }
        # No owner reference: its owner is not stored yet, and what has no owner is collected.
        port = new_object(Port.KIND, name, request.namespace, spec, generation=1)
        part = Request(
            verb="create", kind=Port.KIND, name=name, namespace=request.namespace, object=port, old=None,
            caller=request.caller, state=request.state, undo=request.undo, done=request.done,
        )  # fmt: skip
        await self._ports.admit_on(part, network)
        made = await request.state.create(Port.KIND, port)
        request.undo.append(lambda: self.unmake(request.state, name, request.namespace))
        return made

    async def unmake(self, state: State, name: str, namespace: str) -> None:
        """Remove such a port and let its addresses go; that it is gone already is no error."""
        try:
            port = await state.get(Port.KIND, name, namespace)
            await state.delete(Port.KIND, name, namespace)
        except NotFound:
            return
        await self._ports.removed(Port.KIND, port, state)
