# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from lichen.model.data import Data, field
from lichen.model.kind import Resource, kind
from lichen.model.meta import Condition


@kind("floatingips", group="network", short=("fip",))
class FloatingIP(Resource):
    """An address on an external network that leads to a port on a network behind a router."""

    class Spec(Data):
        id: str = field(
            "OpenStack id; a fresh UUID by default.", default="", immutable=True, openstack="id", selectable=True
        )
        description: str = field("Free text.", default="", openstack="description", max_length=255)
        network: str = field(
            "External network: namespace/name, or a name in this namespace.", to="Network", immutable=True
        )
        network_id: str = field(
            "Id of that network, pinned at admission.", default="", immutable=True, openstack="floating_network_id"
        )
        subnet: str = field("Subnet to take the address from.", default="", to="Subnet", immutable=True)
        address: str = field(
            "The address; a free one if empty.",
            default="",
            immutable=True,
            column="Address",
            openstack="floating_ip_address",
            selectable=True,
        )
        port: str = field("Port of this namespace that it leads to; empty: none.", default="", to="Port", column="Port")
        port_id: str = field("Id of that port, pinned at admission.", default="", openstack="port_id", selectable=True)
        fixed_ip: str = field(
            "Address of that port; its first if empty.", default="", column="Fixed", openstack="fixed_ip_address"
        )
        router_id: str = field(
            "Id of the router that it passes, pinned at admission.", default="", openstack="router_id"
        )
        tags: list[str] = field("OpenStack tags.", default_factory=list, openstack="tags")

    class Status(Data):
        phase: str = field("ACTIVE or DOWN.", default="", column="Status", openstack="status")
        conditions: list[Condition] = field("Observations.", default_factory=list)

    spec: Spec = field("What is wanted.")
    status: Status = field("What is observed.", default_factory=Status)
