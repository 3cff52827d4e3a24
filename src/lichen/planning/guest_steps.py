# SPDX-License-Identifier: Apache-2.0
"""Data for planning a guest: what really runs of a server, and the steps that a plan is made of."""

from __future__ import annotations

from dataclasses import dataclass, field

from lichen.model.data import Object

STOP_GRACE = 60.0
"""Seconds a guest is given to power off before its power is cut."""


@dataclass(frozen=True, slots=True)
class PortActual:
    """An interface of the server. ready: it has its addresses and its network is known here."""

    name: str
    ready: bool = True
    mac: str = ""


@dataclass(frozen=True, slots=True)
class GuestActual:
    """What really is. power: as a driver tells it, "" if this machine has nothing of the guest.
    image: ready, waiting or lost, with words; ports: those that exist, of `ports_expected`; nics: MAC addresses of the
    interfaces that a running guest has, None if that is not known."""

    power: str = ""
    has_disk: bool = False
    started_at: float = 0.0
    image: str = "ready"
    image_message: str = ""
    ports: tuple[PortActual, ...] = ()
    ports_expected: int = 0
    nics: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """Merge this into status."""

    status: Object = field(hash=False)


@dataclass(frozen=True, slots=True)
class Hold:
    """Add the node's finalizer before anything is made that must be removed."""


@dataclass(frozen=True, slots=True)
class LetGo:
    """Take the node's finalizer off: nothing of the server is left here."""


@dataclass(frozen=True, slots=True)
class CreateDisk:
    """Make the root disk from the image."""


@dataclass(frozen=True, slots=True)
class PlugTap:
    """Make a tap for a port, named as the Port is."""

    port: str


@dataclass(frozen=True, slots=True)
class UnplugPort:
    """Remove a port's tap."""

    port: str


@dataclass(frozen=True, slots=True)
class StartGuest:
    """Power on."""


@dataclass(frozen=True, slots=True)
class StopGuest:
    """Power off: politely within `grace` seconds, then by force."""

    grace: float


@dataclass(frozen=True, slots=True)
class ResetGuest:
    """Reboot: Soft asks the guest, Hard does not."""

    type: str


@dataclass(frozen=True, slots=True)
class PauseGuest:
    """Let its processors stand still."""


@dataclass(frozen=True, slots=True)
class UnpauseGuest:
    """Let its processors go on."""


@dataclass(frozen=True, slots=True)
class RemoveDisk:
    """Remove the root disk, so that it is made afresh."""


@dataclass(frozen=True, slots=True)
class GrowDisk:
    """Make the root disk at least as large as the server's figures say."""


@dataclass(frozen=True, slots=True)
class AttachNic:
    """Plug the interface of a port, whose tap is there, into the running guest."""

    port: str


@dataclass(frozen=True, slots=True)
class DetachNic:
    """Take an interface out of the running guest."""

    mac: str


@dataclass(frozen=True, slots=True)
class RemoveGuest:
    """Cut the power and remove the disk and all files."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Plan again at this time, unix seconds."""

    until: float


Step = (
    Report | Hold | LetGo | CreateDisk | PlugTap | UnplugPort | StartGuest | StopGuest | ResetGuest | RemoveGuest | Wait
    | PauseGuest | UnpauseGuest | RemoveDisk | GrowDisk | AttachNic | DetachNic
)  # fmt: skip
