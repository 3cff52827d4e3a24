# SPDX-License-Identifier: Apache-2.0
"""What the agent asks of an engine. Five protocols; each engine, real or fake, passes the same conformance suite.

Rules for every driver:
* Every verb is idempotent: doing what is done already succeeds and changes nothing; removing what is gone succeeds.
* `discover` reads the machine, not memory: it finds what an earlier process of the driver started.
* What a driver starts outlives the process that started it (own session, no pipes back, own cgroup).
* Temporary and Permanent are the only errors that leave a driver on purpose.
* A driver knows no State, no kind and no other driver; its inputs are the plain structs below.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from socket import socket
from typing import Protocol, runtime_checkable

# --- networks ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SubnetSpec:
    """A range on a network. `gateway` is the address that the network's own namespace answers on, "" for none."""

    id: str
    cidr: str
    gateway: str = ""
    dhcp: bool = True
    dns_nameservers: tuple[str, ...] = ()
    host_routes: tuple[tuple[str, str], ...] = ()  # (destination, next hop)


@dataclass(frozen=True, slots=True)
class Lease:
    """One port as DHCP and DNS know it."""

    port_id: str
    mac: str
    hostname: str
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NetworkSpec:
    """A whole network as one node needs it: a bridge, and a network namespace that answers on the gateways'
    addresses, serves DHCP and translates cluster services' addresses."""

    id: str
    mtu: int = 1450
    segment: int = 0
    subnets: tuple[SubnetSpec, ...] = ()
    leases: tuple[Lease, ...] = ()
    external: bool = False  # leads out: the host itself answers on the gateways' addresses
    addresses: tuple[tuple[str, int], ...] = ()  # (ip, prefix length) of routers' interfaces, besides the gateways


@dataclass(frozen=True, slots=True)
class PortSpec:
    """One interface. addresses are `(ip, prefix length)`; gateway and mtu are for a pod's own configuration."""

    id: str
    network_id: str
    mac: str
    addresses: tuple[tuple[str, int], ...] = ()
    gateway: str = ""
    mtu: int = 1450
    port_security: bool = True
    groups: tuple[str, ...] | None = None  # ids of its security groups; None: all traffic passes


@dataclass(frozen=True, slots=True)
class FilterRule:
    """Traffic that a security group lets through. protocol: an IP protocol's number, 0 for all; ports: first and last
    (for ICMP type and code), None for all; remote: a range, or the id of a group, "" for everyone."""

    ingress: bool
    version: int = 4
    protocol: int = 0
    port_min: int | None = None
    port_max: int | None = None
    remote_cidr: str = ""
    remote_group: str = ""


@dataclass(frozen=True, slots=True)
class GroupSpec:
    """A security group: what its ports may receive and send, and the addresses that are in it."""

    id: str
    rules: tuple[FilterRule, ...] = ()
    members: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RouterGateway:
    """A router's way out: its port on an external network. next_hop: that network's gateway, "" for none."""

    network_id: str
    mac: str
    addresses: tuple[tuple[str, int], ...] = ()
    next_hop: str = ""
    snat: bool = True


@dataclass(frozen=True, slots=True)
class RouterSpec:
    """Leads between networks and out. interfaces: (network id, the ranges behind it); floating: (address outside,
    address inside)."""

    id: str
    interfaces: tuple[tuple[str, tuple[str, ...]], ...] = ()
    gateway: RouterGateway | None = None
    floating: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class ServiceRule:
    """A cluster service's address on a network: connections to it go evenly to one of the endpoints."""

    network_id: str
    ip: str
    protocol: str  # "TCP" | "UDP" | "SCTP"
    port: int
    endpoints: tuple[tuple[str, int], ...] = ()


class NetworkDriver(Protocol):
    """Port in, interface out."""

    async def discover(self) -> tuple[frozenset[str], frozenset[str]]:
        """Ids of the networks and of the ports that exist on this machine."""
        ...

    async def ensure_network(self, network: NetworkSpec) -> None:
        """Make or change a network; leases and subnets included, without disturbing its ports."""
        ...

    async def remove_network(self, network_id: str) -> None: ...

    async def plug_tap(self, port: PortSpec) -> str:
        """A tap on the network's bridge, for a VM; returns its interface name."""
        ...

    async def plug_namespace(self, port: PortSpec, netns: str, interface: str = "eth0") -> None:
        """A veth into the network namespace at path `netns`, addressed, up, with its default route."""
        ...

    async def unplug(self, port_id: str) -> None: ...

    async def filter_port(self, port: PortSpec) -> None:
        """Give a plugged port the port security and the security groups that it is to have now. What is not plugged
        needs nothing; a group that is not known yet lets nothing through."""
        ...

    async def ensure_groups(self, groups: tuple[GroupSpec, ...]) -> None:
        """Make exactly these the security groups of this node (replaces the whole set); ports follow at once."""
        ...

    async def discover_routers(self) -> frozenset[str]:
        """Ids of the routers that exist on this machine."""
        ...

    async def ensure_router(self, router: RouterSpec) -> None:
        """Make or change a router. Temporary: one of its networks is not here yet."""
        ...

    async def remove_router(self, router_id: str) -> None: ...

    async def ensure_services(self, rules: tuple[ServiceRule, ...]) -> None:
        """Make exactly these the cluster services of this node (replaces the whole set, atomically)."""
        ...

    async def ensure_names(self, names: Mapping[str, tuple[tuple[str, str], ...]]) -> None:
        """Make exactly these (name, address) pairs what each network's name server says besides its ports' names, by
        network id."""
        ...

    async def cleanup(self) -> None:
        """Remove every interface, namespace and table that this driver ever made."""
        ...


@runtime_checkable
class Reachable(Protocol):
    """Optional, of a NetworkDriver: the node itself can speak to an address on a network (probes)."""

    async def reach(self, network_id: str, ip: str, port: int, data: bytes) -> bytes:
        """Connect by TCP, send `data` if there is any, and return the first bytes of the answer, b"" if nothing was
        sent. OSError: it cannot be reached."""
        ...


# --- volumes ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class BlockSpec:
    """A volume to make, of `size` bytes: empty, or a copy of one volume, snapshot or image (`image_format`: raw or
    qcow2) that is not larger."""

    id: str
    size: int
    volume_id: str = ""
    snapshot_id: str = ""
    image: Path | None = None
    image_format: str = "raw"


@dataclass(frozen=True, slots=True)
class Blocks:
    """What is there: bytes by id."""

    volumes: Mapping[str, int]
    snapshots: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Space:
    """Bytes of a pool; promised: what its volumes may still come to need of `free`."""

    total: int
    free: int
    promised: int


class BlockDriver(Protocol):
    """Volumes and snapshots by id. What a verb made is on disk when it returns, whole or not at all."""

    async def discover(self) -> Blocks: ...

    async def create(self, volume: BlockSpec) -> None:
        """Permanent: NoSpace, SourceMissing, TooSmall, InvalidImage."""
        ...

    async def grow(self, volume_id: str, size: int) -> None:
        """Make the volume `size` bytes, if it is smaller. Permanent: NoSpace, VolumeMissing."""
        ...

    async def delete(self, volume_id: str) -> None: ...

    async def snapshot(self, snapshot_id: str, volume_id: str) -> None:
        """Keep the volume as it is now, whether or not it is in use. Permanent: NoSpace, VolumeMissing."""
        ...

    async def delete_snapshot(self, snapshot_id: str) -> None: ...

    def path(self, volume_id: str) -> Path:
        """The raw bytes of the volume, a file or a block device."""
        ...

    async def space(self) -> Space: ...


class MountDriver(Protocol):
    """File systems on volumes, mounted for pods; each at a folder of its own, by the volume's id."""

    async def discover(self) -> frozenset[str]:
        """Ids of the volumes that are mounted on this machine."""
        ...

    async def mount(self, volume_id: str, device: Path, *, file_system: str = "ext4", read_only: bool = False) -> None:
        """Mount the raw bytes at `device`; an empty volume gets a file system first, one whose volume has grown grows
        too. Permanent: FailedMount."""
        ...

    async def unmount(self, volume_id: str) -> None: ...

    def folder(self, volume_id: str) -> Path:
        """Where the volume is, or would be, mounted."""
        ...

    async def cleanup(self) -> None:
        """Unmount everything that this driver mounted."""
        ...


@runtime_checkable
class Listening(Protocol):
    """Optional, of a NetworkDriver: the node itself can answer on a network (metadata)."""

    async def listen(self, network_id: str, ip: str, port: int) -> socket:
        """A listening TCP socket at an address of the network's own. Temporary: the network is not here."""
        ...


# --- machines ---------------------------------------------------------------------------------------------------------


class GuestPower(StrEnum):
    RUNNING = "Running"
    PAUSED = "Paused"
    SHUTDOWN = "Shutdown"  # not running; it was asked to stop or was never started
    GUEST_OFF = "GuestOff"  # the guest powered itself off
    CRASHED = "Crashed"  # its process is gone and nobody asked


@dataclass(frozen=True, slots=True)
class GuestNic:
    """An interface of a guest: the tap it is on and its MAC address."""

    tap: str
    mac: str


@dataclass(frozen=True, slots=True)
class GuestDisk:
    """A volume as a disk of a guest: its raw bytes at `path`; the guest sees the first 20 letters of its id as the
    disk's serial number. boot: the guest boots from it."""

    id: str
    path: Path
    read_only: bool = False
    boot: bool = False


@dataclass(frozen=True, slots=True)
class GuestSpec:
    """A virtual machine as an engine needs it. `files` is the config drive: path → content (may hold secrets)."""

    id: str
    name: str
    vcpus: int
    memory: int  # MiB
    disk: int = 0  # GiB; 0: as large as the image
    image: Path | None = None  # the image's bytes on this node
    image_format: str = "qcow2"
    nics: tuple[GuestNic, ...] = ()
    files: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    disks: tuple[GuestDisk, ...] = ()  # volumes


@dataclass(frozen=True, slots=True)
class GuestState:
    """What is really there. has_disk: its root disk exists; started_at: unix seconds of the last start, 0: never;
    nics: MAC addresses of the interfaces that a running guest has; disks: ids of the volumes that are in it."""

    power: GuestPower
    has_disk: bool
    started_at: float = 0.0
    nics: tuple[str, ...] = ()
    disks: frozenset[str] = frozenset()


class GuestDriver(Protocol):
    """Virtual machines by id."""

    accelerator: str  # "kvm" | "tcg" | "fake": what a boot probe proved

    async def discover(self) -> dict[str, GuestState]:
        """Every guest that has anything on this machine."""
        ...

    async def create_disk(self, guest: GuestSpec) -> None:
        """Root disk from the image, copy on write where possible, grown to its size. Permanent: unusable image."""
        ...

    async def start(self, guest: GuestSpec) -> None:
        """Start the guest on its disk; returns when the engine runs it, not when it has booted."""
        ...

    async def stop(self, guest_id: str, *, grace: float = 30.0) -> None:
        """Ask the guest to power off, wait up to `grace` seconds, then cut the power."""
        ...

    async def reset(self, guest_id: str, *, grace: float = 0.0) -> None:
        """Reboot: politely within `grace` seconds, then by force."""
        ...

    async def pause(self, guest_id: str) -> None:
        """Let the guest's processors stand still; its memory is kept. One that does not run stays as it is."""
        ...

    async def unpause(self, guest_id: str) -> None: ...

    async def remove_disk(self, guest_id: str) -> None:
        """Remove the root disk of a guest that does not run, so that it can be made afresh."""
        ...

    async def grow_disk(self, guest_id: str, gib: int) -> None:
        """Make the root disk of a guest that does not run at least `gib` GiB large. It never shrinks."""
        ...

    async def attach_nic(self, guest_id: str, nic: GuestNic) -> None:
        """Plug an interface into a running guest. Temporary: it has no slot left."""
        ...

    async def detach_nic(self, guest_id: str, mac: str) -> None:
        """Take an interface out of a running guest. Temporary: the guest does not let go of it."""
        ...

    async def attach_disk(self, guest_id: str, disk: GuestDisk) -> None:
        """Plug a volume into a running guest; one that is off is given its disks at its start. Permanent
        NoFreeSlot."""
        ...

    async def detach_disk(self, guest_id: str, disk_id: str) -> None:
        """Take a volume out of a running guest; returns when nothing reads or writes it any more. Temporary: the guest
        does not let go of it yet."""
        ...

    async def resize_disk(self, guest_id: str, disk_id: str) -> None:
        """Let a running guest see that a volume has grown."""
        ...

    async def remove(self, guest_id: str) -> None:
        """Cut the power and remove its disk and all its files."""
        ...

    async def console(self, guest_id: str, *, tail: int = 0) -> bytes:
        """What the guest wrote on its serial console (all starts), the last `tail` lines or all. b"" if none."""
        ...

    def changes(self) -> AsyncIterator[str]:
        """Ids of guests whose power changed by itself, as it happens. Ends with the driver."""
        ...

    async def cleanup(self) -> None:
        """Stop every guest and remove what keeps no data (sockets, cgroups). Disks stay."""
        ...


# --- containers -------------------------------------------------------------------------------------------------------


class ContainerPhase(StrEnum):
    CREATED = "Created"
    RUNNING = "Running"
    EXITED = "Exited"


@dataclass(frozen=True, slots=True)
class Mount:
    host_path: str
    container_path: str
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class ContainerSpec:
    """One container of a pod, with everything resolved (environment, mounts, limits)."""

    name: str
    image: str
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    working_dir: str = ""
    tty: bool = False
    stdin: bool = False
    cpu_millis: int = 0  # limit; 0: none
    cpu_request_millis: int = 0
    memory_bytes: int = 0  # limit; 0: none
    mounts: tuple[Mount, ...] = ()
    run_as_user: int | None = None
    run_as_group: int | None = None
    privileged: bool = False
    read_only_root: bool = False
    capabilities_add: tuple[str, ...] = ()
    capabilities_drop: tuple[str, ...] = ()
    listen: str = ""  # process class only: name of the listening socket it inherits


@dataclass(frozen=True, slots=True)
class PodSpec:
    """A pod as an engine needs it. `port_id`: what the CNI plugin (or the driver's caller) plugs in."""

    uid: str
    namespace: str
    name: str
    hostname: str = ""
    host_network: bool = False
    port_id: str = ""
    dns_nameservers: tuple[str, ...] = ()
    dns_searches: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    runtime: str = "runc"  # runc | crun | microvm | process
    privileged: bool = False  # some container of it is


@dataclass(frozen=True, slots=True)
class ContainerState:
    """One attempt at a container. Times are unix seconds; `attempt` counts from 0."""

    id: str
    name: str
    attempt: int
    phase: ContainerPhase
    image: str = ""
    image_id: str = ""
    created_at: float = 0.0
    started_at: float = 0.0
    finished_at: float = 0.0
    exit_code: int = 0
    reason: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class PodState:
    """What is really there of one pod: its sandbox and the newest attempt of each of its containers."""

    uid: str
    namespace: str
    name: str
    ready: bool  # the sandbox runs
    sandbox_id: str = ""
    ips: tuple[str, ...] = ()
    containers: tuple[ContainerState, ...] = ()


@dataclass(frozen=True, slots=True)
class Exec:
    """A running command inside a container: bytes in, bytes out, an exit code."""

    stdin: Callable[[bytes | None], None]  # None closes it
    output: AsyncIterator[tuple[int, bytes]]  # (1 stdout | 2 stderr, data), ends when the command ends
    resize: Callable[[int, int], None]  # columns, rows
    wait: Callable[[], object]  # awaitable of the exit code
    kill: Callable[[], None]


@runtime_checkable
class Dialable(Protocol):
    """Optional, of a PodDriver: the node can connect to a pod's own loopback (port forwarding)."""

    async def dial(self, pod_uid: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """By TCP. OSError: nothing listens there. Temporary: the pod does not run."""
        ...


class PodDriver(Protocol):
    """Pods by uid, CRI-shaped."""

    async def discover(self) -> dict[str, PodState]: ...

    async def ensure_image(self, image: str) -> str:
        """The image's id. Temporary reason ErrImagePull / Permanent InvalidImageName when it cannot be had."""
        ...

    async def images(self) -> list[tuple[tuple[str, ...], int]]:
        """(names, bytes) of every image here, for the node's status."""
        ...

    async def start_sandbox(self, pod: PodSpec) -> tuple[str, ...]:
        """Make the sandbox and its network; returns the pod's addresses."""
        ...

    async def start_container(self, pod: PodSpec, container: ContainerSpec, *, attempt: int) -> str:
        """Create and start one attempt; returns its id."""
        ...

    async def stop_container(self, pod_uid: str, name: str, *, grace: float = 30.0) -> None: ...

    async def remove_container(self, pod_uid: str, name: str) -> None:
        """Remove ended attempts of a container but for the newest, whose log is kept."""
        ...

    async def remove_sandbox(self, pod_uid: str, *, grace: float = 30.0) -> None:
        """Stop and remove all containers, the sandbox, its network and logs."""
        ...

    def log_path(self, pod_uid: str, name: str, attempt: int) -> Path:
        """The CRI-format log (`RFC3339Nano stdout|stderr F|P line`) of an attempt."""
        ...

    async def exec(self, pod_uid: str, name: str, command: tuple[str, ...], *, tty: bool, stdin: bool) -> Exec: ...

    def changes(self) -> AsyncIterator[str]:
        """Uids of pods in which something changed by itself, as it happens."""
        ...

    async def cleanup(self) -> None:
        """Stop everything this driver started and remove what keeps no data."""
        ...
