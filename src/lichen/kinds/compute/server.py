# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from lichen.model.data import Data, field
from lichen.model.kind import Resource, kind
from lichen.model.meta import Condition


class ServerResources(Data):
    """The flavor, as it was when the server was made."""

    vcpus: int = field("Virtual CPUs.", default=0, openstack="vcpus")
    memory: int = field("Memory, MiB.", default=0, openstack="ram")
    disk: int = field("Root disk, GiB; 0: as large as the image.", default=0, openstack="disk")
    ephemeral: int = field("Second disk, GiB.", default=0, openstack="ephemeral")
    swap: int = field("Swap disk, MiB.", default=0, openstack="swap")
    extra_specs: dict[str, str] = field("Traits and limits.", default_factory=dict, openstack="extra_specs")


class ServerRescue(Data):
    """Booting from another image, to mend what is on the server's own disk."""

    image: str = field(
        "Image: name in this namespace, or namespace/name of a shared one; empty: the server's own.",
        default="",
        to="Image",
    )
    image_id: str = field("Id of that image, pinned at admission.", default="")
    at: str = field("When it was asked for, RFC 3339; a new moment begins anew.", default="")


class FormerSize(Data):
    """What a server was before a resize that is not confirmed yet."""

    flavor: str = field("Size.")
    flavor_id: str = field("Id of that flavor.", default="")
    resources: ServerResources = field("The flavor's figures.", default_factory=ServerResources)


class ServerNetwork(Data):
    """One interface: a network to make a port on, or a port that exists."""

    network: str = field(
        "Network: name in this namespace, or namespace/name of a shared one.", default="", to="Network"
    )
    port: str = field("Existing port in this namespace.", default="", to="Port")
    fixed_ip: str = field("Address wanted on the network.", default="")


class ServerVolume(Data):
    """A volume that the server has from its start; others are attached by VolumeAttachments of their own."""

    volume: str = field("Volume in this namespace.", to="Volume")
    device: str = field("What the disk is probably called in the guest.", default="")
    boot: bool = field("The server boots from it; it then needs no image.", default=False)
    delete_on_termination: bool = field("The volume goes with the server.", default=False)
    tag: str = field("Tag that the guest can read.", default="")


class ServerAddress(Data):
    """One address a server has."""

    network: str = field("Network's name as the user wrote it.")
    ip: str = field("Address.")
    mac: str = field("MAC address.", default="")
    version: int = field("4 or 6.", default=4)
    port: str = field("Port, by name.", default="")
    type: str = field("fixed or floating.", default="fixed")


@kind("servers", group="compute", short=("srv",), subresources=("status", "log", "attach"))
class Server(Resource):
    """A virtual machine.

    Verbs are intent: stop is `power: Off`, start is `power: On`, reboot moves `rebootedAt`.
    """

    class Spec(Data):
        id: str = field(
            "OpenStack id; a fresh UUID by default.", default="", immutable=True, openstack="id", selectable=True
        )
        display_name: str = field(
            "Name as the user wrote it; may repeat.", default="", openstack="name", selectable=True
        )
        description: str | None = field("Free text.", default=None, openstack="description", max_length=255)
        flavor: str = field("Size.", to="Flavor", column="Flavor")
        flavor_id: str = field("Id of that flavor, pinned at admission.", default="")
        resources: ServerResources = field(
            "The flavor's figures, copied at admission.", default_factory=ServerResources
        )
        image: str = field(
            "Image: name in this namespace, or namespace/name of a public one.", default="", to="Image", column="Image"
        )
        image_id: str = field("Id of that image, pinned at admission.", default="")
        networks: list[ServerNetwork] | None = field(
            "Interfaces, in order. Absent: the one network that the project can use; empty: none.", default=None
        )
        security_groups: list[str] | None = field(
            "Security groups of this namespace for the ports that are made for it; absent: `default`.",
            default=None,
            to="SecurityGroup",
        )
        volumes: list[ServerVolume] = field("Volumes it has from its start, in order.", default_factory=list)
        keypair: str = field("Key put into the guest.", default="", to="Keypair", openstack="key_name")
        user_data_secret: str = field("Secret of this namespace whose key `userdata` the guest gets.", default="")
        config_drive: bool = field("Give the guest a config drive.", default=True, openstack="config_drive")
        metadata: dict[str, str] = field("Pairs the guest can read.", default_factory=dict, openstack="metadata")
        tags: list[str] = field("OpenStack tags.", default_factory=list, openstack="tags")
        power: str = field(
            "Wanted power state. Paused and Suspended: the guest's processors stand still, its memory is kept.",
            default="On",
            enum=("On", "Off", "Paused", "Suspended"),
            column="Wanted",
        )
        shelved: bool = field(
            "Put aside: its power is off until it is taken down again, which any other power does.", default=False
        )
        run_policy: str = field(
            "Restart: a guest that crashed is started again; Never: it stays off.",
            default="Restart",
            enum=("Restart", "Never"),
        )
        rebooted_at: str = field("Moves when a reboot is asked for, RFC 3339.", default="")
        reboot_type: str = field("How.", default="Soft", enum=("Soft", "Hard"))
        rebuilt_at: str = field("Moves when the root disk is to be made afresh from the image, RFC 3339.", default="")
        rescue: ServerRescue | None = field(
            "Boot from another image; its own disk is the second one meanwhile. Absent: from its own.", default=None
        )
        former_size: FormerSize | None = field(
            "Set by a change of flavor, until that is confirmed by taking it away, or reverted by naming this flavor.",
            default=None,
        )
        locked: bool = field("Only the cloud's admin, or who locked it, may change it.", default=False)
        locked_by: str = field("owner or admin; filled at admission.", default="")
        locked_reason: str = field("Why it is locked.", default="", max_length=255)
        group: str = field("Server group it belongs to.", default="", to="ServerGroup", immutable=True)
        group_id: str = field("Id of that group, pinned at admission.", default="", immutable=True)
        group_policy: str = field("That group's policy, pinned at admission.", default="", immutable=True)
        availability_zone: str = field("Zone to run in.", default="", openstack="OS-EXT-AZ:availability_zone")
        node: str = field(
            "Node it runs on, set by the scheduler.",
            default="",
            column="Node",
            openstack="OS-EXT-SRV-ATTR:host",
            selectable=True,
        )
        node_selector: dict[str, str] = field("Labels its node must have.", default_factory=dict)
        disk_config: str = field(
            "Kept for clients: nothing inside of an image is changed either way.",
            default="MANUAL",
            enum=("AUTO", "MANUAL"),
            openstack="OS-DCF:diskConfig",
        )
        access_ipv4: str = field(
            "Address that its owner says it is reached by.", default="", openstack="accessIPv4", wire="accessIPv4"
        )
        access_ipv6: str = field("The same, for IPv6.", default="", openstack="accessIPv6", wire="accessIPv6")
        user_id: str = field("User who made it.", default="", openstack="user_id")

    class Status(Data):
        phase: str = field(
            "Pending, Building, Running, Stopped, Paused, Suspended, Rebooting, Deleting or Error.",
            default="",
            column="Status",
            selectable=True,
        )
        power: str = field(
            "Running, Shutdown, Paused, Crashed or NoState.", default="", openstack="OS-EXT-STS:power_state"
        )
        task: str = field(
            "What is being done: scheduling, networking, spawning, powering-off…",
            default="",
            openstack="OS-EXT-STS:task_state",
        )
        zone: str = field("Zone of its node.", default="")
        addresses: list[ServerAddress] = field("Addresses.", default_factory=list)
        ips: str = field("Addresses in one line.", default="", column="IP")
        security_groups: list[str] = field("Names of its ports' security groups.", default_factory=list)
        launched_at: str = field("When it first ran, RFC 3339.", default="", openstack="OS-SRV-USG:launched_at")
        started_at: str = field("When the guest was last started, RFC 3339.", default="")
        rebooted_at: str = field("The spec.rebootedAt that was last carried out.", default="")
        rebuilt_at: str = field("The spec.rebuiltAt that was last carried out.", default="")
        rescued_at: str = field("The spec.rescue.at that was last carried out; empty: it has its own disk.", default="")
        resources: ServerResources | None = field("The figures that the guest was made to.", default=None)
        restarts: int = field("How often a crashed guest was started again.", default=0)
        guest_off: bool = field("The guest powered itself off; it stays off until power moves.", default=False)
        fault: str = field("Why it is in Error, in words.", default="")
        conditions: list[Condition] = field("Observations.", default_factory=list)

    spec: Spec = field("What is wanted.")
    status: Status = field("What is observed.", default_factory=Status)
