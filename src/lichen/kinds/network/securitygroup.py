# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from lichen.model.data import Data, field
from lichen.model.kind import Resource, kind
from lichen.model.meta import Condition


class SecurityGroupRule(Data):
    """Traffic that is let through. What is left out matches everything."""

    id: str = field("OpenStack id; kept as long as the rule says the same.", default="", openstack="id")
    direction: str = field("Seen from the port.", enum=("ingress", "egress"), openstack="direction")
    ether_type: str = field("IPv4 or IPv6.", default="IPv4", enum=("IPv4", "IPv6"), openstack="ethertype")
    protocol: str = field("tcp, udp, icmp… or a number; empty: all.", default="", openstack="protocol")
    port_min: int | None = field(
        "First port, or the ICMP type.", default=None, minimum=0, maximum=65535, openstack="port_range_min"
    )
    port_max: int | None = field(
        "Last port, or the ICMP code.", default=None, minimum=0, maximum=65535, openstack="port_range_max"
    )
    remote_cidr: str = field("Only from (to) this range.", default="", openstack="remote_ip_prefix")
    remote_group: str = field(
        "Only from (to) the ports of this group of the namespace.", default="", to="SecurityGroup"
    )
    remote_group_id: str = field("Id of that group, pinned at admission.", default="", openstack="remote_group_id")
    description: str = field("Free text.", default="", openstack="description", max_length=255)


@kind("securitygroups", group="network", short=("sg",))
class SecurityGroup(Resource):
    """What may come to and go from the ports that are in it. A port in several may do what any of them allows;
    answers to allowed traffic, DHCP and metadata always pass.

    Group `default` is made when a project's first port needs it.
    """

    class Spec(Data):
        id: str = field(
            "OpenStack id; a fresh UUID by default.", default="", immutable=True, openstack="id", selectable=True
        )
        display_name: str = field(
            "Name as the user wrote it; may repeat.", default="", openstack="name", selectable=True
        )
        description: str = field("Free text.", default="", openstack="description", max_length=255)
        stateful: bool = field("Answers to allowed traffic pass.", default=True, openstack="stateful")
        rules: list[SecurityGroupRule] | None = field(
            "What is let through. Absent at creation: everything out, nothing in.", default=None
        )
        tags: list[str] = field("OpenStack tags.", default_factory=list, openstack="tags")

    class Status(Data):
        conditions: list[Condition] = field("Observations.", default_factory=list)

    spec: Spec = field("What is wanted.", default_factory=Spec)
    status: Status = field("What is observed.", default_factory=Status)
