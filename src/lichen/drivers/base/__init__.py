# SPDX-License-Identifier: Apache-2.0
"""What the agent asks of an engine. A file for each protocol; each engine, real or fake, passes the same
conformance suite.

Rules for every driver:
* Every verb is idempotent: doing what is done already succeeds and changes nothing; removing what is gone succeeds.
* `discover` reads the machine, not memory: it finds what an earlier process of the driver started.
* What a driver starts outlives the process that started it (own session, no pipes back, own cgroup).
* Temporary and Permanent are the only errors that leave a driver on purpose.
* A driver knows no State, no kind and no other driver; its inputs are the plain structs here.
"""

from __future__ import annotations

from lichen.drivers.base.guests import (
    GuestDisk,
    GuestDriver,
    GuestNic,
    GuestPower,
    GuestSpec,
    GuestState,
    Speaking,
)
from lichen.drivers.base.networks import (
    FilterRule,
    GroupSpec,
    Lease,
    Listening,
    NetworkDriver,
    NetworkSpec,
    PortSpec,
    Reachable,
    RouterGateway,
    RouterSpec,
    ServiceRule,
    SubnetSpec,
)
from lichen.drivers.base.pods import (
    Attachable,
    ContainerPhase,
    ContainerSpec,
    ContainerState,
    ContainerUsage,
    Dialable,
    Measuring,
    Mount,
    PodDriver,
    PodSpec,
    PodState,
    Storing,
)
from lichen.drivers.base.streams import Exec
from lichen.drivers.base.volumes import (
    BlockDriver,
    Blocks,
    BlockSpec,
    MemoryMounts,
    MountDriver,
    Readable,
    Space,
)

__all__ = [
    "Attachable",
    "BlockDriver",
    "BlockSpec",
    "Blocks",
    "ContainerPhase",
    "ContainerSpec",
    "ContainerState",
    "ContainerUsage",
    "Dialable",
    "Exec",
    "FilterRule",
    "GroupSpec",
    "GuestDisk",
    "GuestDriver",
    "GuestNic",
    "GuestPower",
    "GuestSpec",
    "GuestState",
    "Lease",
    "Listening",
    "Measuring",
    "MemoryMounts",
    "Mount",
    "MountDriver",
    "NetworkDriver",
    "NetworkSpec",
    "PodDriver",
    "PodSpec",
    "PodState",
    "PortSpec",
    "Reachable",
    "Readable",
    "RouterGateway",
    "RouterSpec",
    "ServiceRule",
    "Space",
    "Speaking",
    "Storing",
    "SubnetSpec",
]
