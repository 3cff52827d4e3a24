# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from lichen.model.data import Data, field
from lichen.model.kind import Resource, kind


@kind("addresses", group="network", namespaced=False, subresources=())
class Address(Resource):
    """The claim on one address of one subnet. Its name is the unique thing (`<subnet id>.10-0-0-5`), so that
    create is the lock. It is removed with the port it names."""

    class Spec(Data):
        ip_address: str = field("Address.", immutable=True, column="Address")
        subnet_id: str = field("Subnet's id.", immutable=True, selectable=True)
        port: str = field("Port, as namespace/name.", column="Port")
        port_id: str = field("Port's id.", default="", selectable=True)

    spec: Spec = field("What is claimed, and for whom.")
