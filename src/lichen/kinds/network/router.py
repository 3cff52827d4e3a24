# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from lichen.kinds.network.port import FixedIP
from lichen.model.data import Data, field
from lichen.model.kind import Resource, kind
from lichen.model.meta import Condition

ROUTER_INTERFACE = "network:router_interface"
"""deviceOwner of a port by which a router is on a network inside."""


class ExternalGateway(Data):
    """The way out of a router."""

    network: str = field("External network: namespace/name, or a name in this namespace.", to="Network")
    network_id: str = field("Id of that network, pinned at admission.", default="", openstack="network_id")
    enable_snat: bool = field("What leaves has the router's address.", default=True, openstack="enable_snat")
    fixed_ips: list[FixedIP] = field(
        "The router's addresses on that network; one is taken if empty.",
        default_factory=list,
        openstack="external_fixed_ips",
    )
    port: str = field("Port that holds these addresses, made at admission.", default="", to="Port")


@kind("routers", group="network", short=("rtr",))
class Router(Resource):
    """Leads from one network to another and out of the cloud. Its interfaces are Ports with deviceOwner
    `network:router_interface` and the router's id as deviceId."""

    class Spec(Data):
        id: str = field(
            "OpenStack id; a fresh UUID by default.", default="", immutable=True, openstack="id", selectable=True
        )
        display_name: str = field(
            "Name as the user wrote it; may repeat.", default="", openstack="name", selectable=True
        )
        description: str = field("Free text.", default="", openstack="description", max_length=255)
        admin_state_up: bool = field("Carries traffic.", default=True, openstack="admin_state_up")
        external_gateway: ExternalGateway | None = field("The way out; absent: none.", default=None)
        tags: list[str] = field("OpenStack tags.", default_factory=list, openstack="tags")

    class Status(Data):
        phase: str = field("ACTIVE or DOWN.", default="", column="Status", openstack="status")
        subnets: list[str] = field("Names of the subnets it joins.", default_factory=list, column="Subnets")
        gateway: str = field("Its address outside.", default="", column="Gateway")
        conditions: list[Condition] = field("Observations.", default_factory=list)

    spec: Spec = field("What is wanted.", default_factory=Spec)
    status: Status = field("What is observed.", default_factory=Status)
