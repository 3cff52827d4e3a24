# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from lichen.model.data import Data, field
from lichen.model.kind import Resource, kind
from lichen.model.meta import Condition


@kind("networks", group="network", short=("net",))
class Network(Resource):
    """A layer-2 segment. VMs and pods attach to it through ports."""

    class Spec(Data):
        id: str = field(
            "OpenStack id; a fresh UUID by default.", default="", immutable=True, openstack="id", selectable=True
        )
        display_name: str = field(
            "Name as the user wrote it; may repeat.", default="", openstack="name", selectable=True
        )
        description: str = field("Free text.", default="", openstack="description", max_length=255)
        shared: bool = field(
            "Every project may attach to it.", default=False, column="Shared", openstack="shared", selectable=True
        )
        external: bool = field(
            "Leads out of the cloud: routers of all projects have their gateways and floating IPs here.",
            default=False,
            openstack="router:external",
            selectable=True,
        )
        admin_state_up: bool = field("Carries traffic.", default=True, openstack="admin_state_up")
        mtu: int = field("Largest packet, bytes.", default=1450, minimum=68, maximum=9216, openstack="mtu")
        segment: int = field(
            "VXLAN network identifier; 0: allocated.",
            default=0,
            minimum=0,
            maximum=16777215,
            openstack="provider:segmentation_id",
        )
        port_security: bool = field(
            "Ports refuse spoofed addresses by default.", default=True, openstack="port_security_enabled"
        )
        dns_domain: str = field("Domain of its ports' names.", default="", openstack="dns_domain")
        tags: list[str] = field("OpenStack tags.", default_factory=list, openstack="tags")

    class Status(Data):
        phase: str = field("ACTIVE, DOWN, BUILD or ERROR.", default="", column="Status", openstack="status")
        subnets: list[str] = field("Names of its subnets.", default_factory=list)
        conditions: list[Condition] = field("Observations.", default_factory=list)

    spec: Spec = field("What is wanted.", default_factory=Spec)
    status: Status = field("What is observed.", default_factory=Status)
