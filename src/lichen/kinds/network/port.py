# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from lichen.model.data import Data, field
from lichen.model.kind import Resource, kind
from lichen.model.meta import Condition


class FixedIP(Data):
    """One address of a port."""

    subnet: str = field("Subnet, in the network's namespace.", default="", to="Subnet")
    subnet_id: str = field("Id of that subnet.", default="", openstack="subnet_id")
    ip_address: str = field("Address.", default="", column="Address", openstack="ip_address")


class AddressPair(Data):
    """An address that a port may use besides its own."""

    ip_address: str = field("Address, or a range of them.", openstack="ip_address")
    mac_address: str = field("MAC address; empty: the port's own.", default="", openstack="mac_address")


class PodPort(Data):
    """A port that a pod's container calls by a name."""

    name: str = field("Name.")
    protocol: str = field("TCP, UDP or SCTP.", default="TCP")
    port: int = field("Number.")


class Binding(Data):
    """Where a port is plugged."""

    node: str = field("Node that carries it.", default="")


@kind("ports", group="network")
class Port(Resource):
    """A network interface of a VM, a pod or a router: one MAC address and its IP addresses.

    Admission fills mac and fixedIps before the answer; each address is claimed by an Address object.
    """

    class Spec(Data):
        id: str = field(
            "OpenStack id; a fresh UUID by default.", default="", immutable=True, openstack="id", selectable=True
        )
        display_name: str = field(
            "Name as the user wrote it; may repeat.", default="", openstack="name", selectable=True
        )
        description: str = field("Free text.", default="", openstack="description", max_length=255)
        network: str = field(
            "Network: name in this namespace, or namespace/name of a shared one.",
            to="Network",
            immutable=True,
            column="Network",
            selectable=True,
        )
        network_id: str = field(
            "Id of that network, pinned at admission.",
            default="",
            immutable=True,
            openstack="network_id",
            selectable=True,
        )
        mac: str = field(
            "MAC address; made if empty.", default="", column="MAC", openstack="mac_address", selectable=True
        )
        fixed_ips: list[FixedIP] = field(
            "Addresses; one of the first subnet if empty.",
            default_factory=list,
            column="Addresses",
            openstack="fixed_ips",
        )
        device_owner: str = field(
            "What it belongs to: compute:nova, pod, network:dhcp…",
            default="",
            openstack="device_owner",
            selectable=True,
        )
        device_id: str = field(
            "Id of the server, or uid of the pod, that it belongs to.",
            default="",
            openstack="device_id",
            selectable=True,
        )
        security_groups: list[str] | None = field(
            "Security groups of this namespace, by name. Absent: `default` for a server's port, no filter for a pod's; "
            "empty: nothing passes.",
            default=None,
            to="SecurityGroup",
        )
        security_group_ids: list[str] | None = field("Ids of those groups, pinned at admission.", default=None)
        allowed_address_pairs: list[AddressPair] = field(
            "Addresses that it may send from besides its own, as a shared virtual one.",
            default_factory=list,
            openstack="allowed_address_pairs",
        )
        port_security: bool | None = field(
            "Spoofed addresses are refused, and its security groups filter. Absent: as its network says; false: all "
            "passes.",
            default=None,
            openstack="port_security_enabled",
        )
        dns_name: str = field(
            "Name in its network's name server; by default that of what it belongs to.",
            default="",
            openstack="dns_name",
            max_length=63,
        )
        pod_labels: dict[str, str] | None = field(
            "Labels of the pod that it belongs to: network policies choose by them.", default=None
        )
        pod_ports: list[PodPort] | None = field("Ports that this pod calls by name.", default=None)
        node: str = field("Node that is to carry it.", default="", openstack="binding:host_id", selectable=True)
        admin_state_up: bool = field("Carries traffic.", default=True, openstack="admin_state_up")
        tags: list[str] = field("OpenStack tags.", default_factory=list, openstack="tags")

    class Status(Data):
        phase: str = field("ACTIVE, DOWN or BUILD.", default="", column="Status", openstack="status")
        conditions: list[Condition] = field("Observations.", default_factory=list)

    spec: Spec = field("What is wanted.")
    status: Status = field("What is observed.", default_factory=Status)
