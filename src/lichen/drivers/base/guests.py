# SPDX-License-Identifier: Apache-2.0
"""Virtual machines, by id."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol, runtime_checkable

from lichen.drivers.base.streams import Exec


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
    rescue: Path | None = None  # another image to boot from; the root disk is the guest's second then
    rescue_format: str = "qcow2"


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
        """Start the guest on its disk, or to be rescued on a disk made afresh from another image; returns when the
        engine runs it, not when it has booted. Permanent InvalidImage: of the rescue image."""
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

    async def capture(self, guest_id: str, target: Path) -> None:
        """Write the root disk as it is at one moment to the file `target`, as a qcow2 that needs no other file. A guest
        that runs stands still only until the engine has hold of that moment. Permanent NoDisk; Temporary."""
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


@runtime_checkable
class Speaking(GuestDriver, Protocol):
    """Optional, of a GuestDriver: consoles can be followed and typed on."""

    def console_grows(self, guest_id: str, grown: asyncio.Event) -> AbstractContextManager[object]:
        """While the block lasts, `grown` is set whenever the guest may have written on its console. OSError: it has
        none yet."""
        ...

    async def talk(self, guest_id: str) -> Exec:
        """The serial line of a running guest: what it says from now on, and what is typed. Any number may talk at once.
        `kill` lets go, `wait` is over with the guest's process and always 0. Permanent NotRunning."""
        ...
