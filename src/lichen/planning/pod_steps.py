# SPDX-License-Identifier: Apache-2.0
"""What a pod's planner sees and what it may order, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from lichen.model.data import Object


@dataclass(frozen=True, slots=True)
class ContainerActual:
    """The newest attempt at one container. phase: Created, Running or Exited; times are unix seconds. forgiven: the
    attempt from which on its ends count when it is to start again."""

    name: str
    phase: str = "Running"
    attempt: int = 0
    id: str = ""
    image: str = ""
    image_id: str = ""
    started_at: float = 0.0
    finished_at: float = 0.0
    exit_code: int = 0
    reason: str = ""
    message: str = ""
    forgiven: int = 0


@dataclass(frozen=True, slots=True)
class Failure:
    """The last of `count` failures in a row to start something. reason: ErrImagePull, CreateContainerConfigError…"""

    reason: str
    message: str
    at: float
    count: int = 1


@dataclass(frozen=True, slots=True)
class Probes:
    """What a container's probes say; None where it has none. A probe that was never answered is False, but for
    liveness, which is True until it fails."""

    started: bool | None = None
    ready: bool | None = None
    alive: bool | None = None
    message: str = ""


@dataclass(frozen=True, slots=True)
class PodActual:
    """What really is of a pod on this machine.

    sandbox: "" none, Ready, or Dead. failures: by container's name, "" for the sandbox. engine: prefix of container
    ids. address_ready: its Port has its addresses (or it needs none). evicted: why the node must not keep it.
    """

    sandbox: str = ""
    ips: tuple[str, ...] = ()
    containers: tuple[ContainerActual, ...] = ()
    failures: Mapping[str, Failure] = field(default_factory=dict, hash=False)
    probes: Mapping[str, Probes] = field(default_factory=dict, hash=False)
    engine: str = "containerd"
    host_ip: str = ""
    address_ready: bool = True
    evicted: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """Merge this into status."""

    status: Object = field(hash=False)


@dataclass(frozen=True, slots=True)
class StartSandbox:
    """Make the sandbox and its network."""


@dataclass(frozen=True, slots=True)
class RemoveSandbox:
    """Stop all containers within `grace` seconds and remove everything."""

    grace: float


@dataclass(frozen=True, slots=True)
class StartContainer:
    """Have the image as the policy says, then create and start one attempt."""

    name: str
    attempt: int


@dataclass(frozen=True, slots=True)
class StopContainer:
    """Stop one container within `grace` seconds. why: what was wrong with it, "" when the pod ends."""

    name: str
    grace: float
    why: str = ""


@dataclass(frozen=True, slots=True)
class RemoveVolumes:
    """Remove the volumes that are the pod's own, with what is in them."""


@dataclass(frozen=True, slots=True)
class Release:
    """Delete the pod with grace 0: nothing of it is left here."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Plan again at this time, unix seconds."""

    until: float


PodStep = Report | StartSandbox | RemoveSandbox | StartContainer | StopContainer | RemoveVolumes | Release | Wait
