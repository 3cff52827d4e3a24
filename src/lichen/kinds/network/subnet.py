# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from lichen.model.data import Data, field
from lichen.model.kind import Resource, kind
from lichen.model.meta import Condition


class AddressRange(Data):
    """First and last address, both included."""

    start: str = field("First address.")
    end: str = field("Last address.")


class HostRoute(Data):
    """A route handed out by DHCP."""

    destination: str = field("Range it leads to.")
    nexthop: str = field("Address of the next hop.")


@kind("subnets", group="network", short=("snet",))
class Subnet(Resource):
    """A range of addresses on a network."""

    class Spec(Data):
        id: str = field(
            "OpenStack id; a fresh UUID by default.", default="", immutable=True, openstack="id", selectable=True
        )
        display_name: str = field(
            "Name as the user wrote it; may repeat.", default="", openstack="name", selectable=True
        )
        description: str = field("Free text.", default="", openstack="description", max_length=255)
        network: str = field(
            "Network it is on, in the same namespace.", to="Network", immutable=True, column="Network", selectable=True
        )
        network_id: str = field(
            "Id of that network, pinned at admission.",
            default="",
            immutable=True,
            openstack="network_id",
            selectable=True,
        )
        subnet_pool: str = field(
            "SubnetPool that the range is cut from, if it is to be cut from one.",
            default="",
            immutable=True,
            to="SubnetPool",
        )
        subnet_pool_id: str = field(
            "Id of that pool, pinned at admission.", default="", immutable=True, selectable=True
        )
        prefix_length: int | None = field("How large a range of the pool is wanted; gone once it is cut.", default=None)
        cidr: str = field(
            "Range of addresses, as 10.0.0.0/24; filled at admission if it is cut from a pool.",
            default="",
            immutable=True,
            column="Range",
            openstack="cidr",
        )
        gateway_ip: str | None = field(
            "Gateway; by default the first address; null: none.", default="", openstack="gateway_ip"
        )
        dhcp: bool = field("Serve DHCP.", default=True, openstack="enable_dhcp")
        allocation_pools: list[AddressRange] = field(
            "Where addresses are taken from; by default all but the gateway.",
            default_factory=list,
            openstack="allocation_pools",
        )
        dns_nameservers: list[str] = field(
            "Name servers handed out.", default_factory=list, openstack="dns_nameservers"
        )
        host_routes: list[HostRoute] = field("Routes handed out.", default_factory=list, openstack="host_routes")
        tags: list[str] = field("OpenStack tags.", default_factory=list, openstack="tags")

    class Status(Data):
        conditions: list[Condition] = field("Observations.", default_factory=list)

    spec: Spec = field("What is wanted.")
    status: Status = field("What is observed.", default_factory=Status)
