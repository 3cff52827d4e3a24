# SPDX-License-Identifier: Apache-2.0
"""Simulated virtual machines: they take time to boot, write a boot log, answer a power button, and fail on demand."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from lichen.drivers.base import Exec, GuestDisk, GuestNic, GuestPower, GuestSpec, GuestState
from lichen.drivers.fake.blocks import FakePool
from lichen.drivers.fake.boot import boot_log, hostname_of
from lichen.drivers.fake.console import FakeConsole
from lichen.drivers.fake.faults import Fault, guest_fault
from lichen.drivers.fake.machine import Changes, FakeGuest, FakeMachine
from lichen.drivers.fake.shell import Shell
from lichen.model.errors import Permanent

LINES = 10
"""Moments of a boot at which a console that is followed is looked at."""
SLOTS = 8
"""Disks that a simulated guest has room for."""


class FakeGuests:
    """GuestDriver over a `FakeMachine`. pool: where its guests' volumes are."""

    accelerator = "fake"

    def __init__(self, machine: FakeMachine, pool: FakePool | None = None) -> None:
        self._machine = machine
        self._pool = pool or FakePool()
        self._listening: list[Changes] = []

    async def discover(self) -> dict[str, GuestState]:
        return {
            identity: GuestState(
                guest.power,
                guest.has_disk,
                guest.runs[-1][0] if guest.runs else 0.0,
                tuple(n.mac for n in guest.nics),
                _plugged(guest),
            )
            for identity, guest in self._machine.guests.items()
        }

    async def create_disk(self, guest: GuestSpec) -> None:
        known = self._machine.guests.get(guest.id)
        if known is not None and known.has_disk:
            return
        if guest_fault(guest.files).kind == "disk":
            raise Permanent("InvalidImage", "The image is unusable (simulated).")
        if guest.image is not None:
            _check(guest.image, guest.image_format)
        await self._machine.clock.sleep(self._machine.timing.disk)
        self._guest(guest).has_disk = True

    async def start(self, guest: GuestSpec) -> None:
        known = self._guest(guest)
        if known.power in (GuestPower.RUNNING, GuestPower.PAUSED):
            return
        fault = guest_fault(guest.files)
        if fault.kind == "start":
            raise Permanent("StartFailed", "The engine refused to start the guest (simulated).")
        if not known.has_disk:
            raise Permanent("NoDisk", f"Guest {guest.id} has no root disk.")
        if guest.rescue is not None:
            _check(guest.rescue, guest.rescue_format)
        await self._machine.clock.sleep(self._machine.timing.start)
        known.spec = guest
        known.nics = list(guest.nics)
        known.seen = {disk.id: self._size(disk.id) for disk in guest.disks}
        self._power_on(known, fault)

    async def stop(self, guest_id: str, *, grace: float = 30.0) -> None:
        guest = self._machine.guests.get(guest_id)
        if guest is None:
            return
        if guest.power in (GuestPower.RUNNING, GuestPower.PAUSED):
            await self._machine.clock.sleep(self._time_to_stop(guest, grace))
        _end(guest, GuestPower.SHUTDOWN, self._machine.clock.now())

    async def reset(self, guest_id: str, *, grace: float = 0.0) -> None:
        guest = self._machine.guests.get(guest_id)
        if guest is None or guest.power not in (GuestPower.RUNNING, GuestPower.PAUSED):
            return
        await self._machine.clock.sleep(self._time_to_stop(guest, grace))
        _end(guest, GuestPower.SHUTDOWN, self._machine.clock.now())
        self._power_on(guest, guest_fault(guest.spec.files))

    async def pause(self, guest_id: str) -> None:
        guest = self._machine.guests.get(guest_id)
        if guest is not None and guest.power == GuestPower.RUNNING:
            guest.power = GuestPower.PAUSED

    async def unpause(self, guest_id: str) -> None:
        guest = self._machine.guests.get(guest_id)
        if guest is not None and guest.power == GuestPower.PAUSED:
            guest.power = GuestPower.RUNNING

    async def remove_disk(self, guest_id: str) -> None:
        guest = self._machine.guests.get(guest_id)
        if guest is not None and guest.power not in (GuestPower.RUNNING, GuestPower.PAUSED):
            guest.has_disk = False

    async def grow_disk(self, guest_id: str, gib: int) -> None:
        guest = self._machine.guests.get(guest_id)
        if guest is not None and gib > guest.spec.disk:
            guest.spec = replace(guest.spec, disk=gib)

    async def capture(self, guest_id: str, target: Path) -> None:
        """A simulated disk has no bytes: an empty one of its size."""
        guest = self._machine.guests.get(guest_id)
        if guest is None or not guest.has_disk:
            raise Permanent("NoDisk", f"Guest {guest_id} has no root disk.")
        await self._machine.clock.sleep(self._machine.timing.disk)
        target.write_bytes(empty_qcow2(guest.spec.disk << 30 or 64 << 20))

    async def attach_nic(self, guest_id: str, nic: GuestNic) -> None:
        guest = self._machine.guests.get(guest_id)
        if guest is not None and nic.mac not in {held.mac for held in guest.nics}:
            guest.nics.append(nic)

    async def detach_nic(self, guest_id: str, mac: str) -> None:
        guest = self._machine.guests.get(guest_id)
        if guest is not None:
            guest.nics = [nic for nic in guest.nics if nic.mac != mac]

    async def attach_disk(self, guest_id: str, disk: GuestDisk) -> None:
        guest = self._machine.guests.get(guest_id)
        if guest is None or not _is_on(guest) or disk.id in _plugged(guest):
            return
        if len(guest.spec.disks) >= SLOTS:
            raise Permanent("NoFreeSlot", "The server has no free slot for another disk (simulated).")
        guest.spec = replace(guest.spec, disks=(*guest.spec.disks, disk))
        guest.seen[disk.id] = self._size(disk.id)

    async def detach_disk(self, guest_id: str, disk_id: str) -> None:
        guest = self._machine.guests.get(guest_id)
        if guest is None or disk_id not in _plugged(guest):
            return
        await self._machine.clock.sleep(min(1.0, self._machine.timing.shutdown))
        guest.spec = replace(guest.spec, disks=tuple(d for d in guest.spec.disks if d.id != disk_id))

    async def resize_disk(self, guest_id: str, disk_id: str) -> None:
        guest = self._machine.guests.get(guest_id)
        if guest is not None and disk_id in _plugged(guest):
            guest.seen[disk_id] = self._size(disk_id)

    async def remove(self, guest_id: str) -> None:
        guest = self._machine.guests.pop(guest_id, None)
        if guest is not None:
            _end(guest, GuestPower.SHUTDOWN, self._machine.clock.now())

    async def console(self, guest_id: str, *, tail: int = 0) -> bytes:
        guest = self._machine.guests.get(guest_id)
        if guest is None:
            return b""
        now, boot = self._machine.clock.now(), self._machine.timing.boot
        lines = [line for run in guest.runs for line in boot_log(guest.spec, run[0], run[1], now, boot)]
        text = "".join(f"{line}\n" for line in lines).encode() + (guest.console.said if guest.console else b"")
        return b"".join(text.splitlines(keepends=True)[-tail:]) if tail > 0 else text

    @contextmanager
    def console_grows(self, guest_id: str, grown: asyncio.Event) -> Iterator[None]:
        """What a simulated guest has said follows from the time that has passed."""
        speaking = asyncio.create_task(self._speak(grown))
        try:
            yield
        finally:
            speaking.cancel()

    async def talk(self, guest_id: str) -> Exec:
        guest = self._machine.guests.get(guest_id)
        if guest is None or not _is_on(guest):
            raise Permanent("NotRunning", "The server does not run: there is nobody to talk to (simulated).")
        if guest.console is None:
            host = hostname_of(guest.spec)
            guest.console = FakeConsole(Shell(self._machine.clock, host, {"HOSTNAME": host, "HOME": "/root"}))
            guest.talking = self._machine.later(guest.console.run())
        return guest.console.line.join()

    async def _speak(self, grown: asyncio.Event) -> None:
        while True:
            await self._machine.clock.sleep(self._machine.timing.boot / LINES)
            grown.set()

    def changes(self) -> AsyncIterator[str]:
        changes = Changes(self._machine.guest_listeners)
        self._listening.append(changes)
        return changes

    async def cleanup(self) -> None:
        for guest_id in tuple(self._machine.guests):
            await self.stop(guest_id, grace=0.0)
        for changes in self._listening:
            changes.tell(None)
        self._listening.clear()

    async def kill(self, guest_id: str, power: GuestPower = GuestPower.CRASHED) -> None:
        """`kill -9` of the guest's process; with GuestOff, the guest's own power-off."""
        guest = self._machine.guests.get(guest_id)
        if guest is not None and guest.power == GuestPower.RUNNING:
            _end(guest, power, self._machine.clock.now())
            self._machine.tell_guest(guest_id)

    def _size(self, disk_id: str) -> int:
        return self._pool.volumes.get(disk_id, 0)

    def _guest(self, spec: GuestSpec) -> FakeGuest:
        return self._machine.guests.setdefault(spec.id, FakeGuest(spec))

    def _time_to_stop(self, guest: FakeGuest, grace: float) -> float:
        """A guest answers the power button once it has booted, within the grace or never."""
        timing = self._machine.timing
        if guest_fault(guest.spec.files).kind == "hang":
            return grace
        booting = max(0.0, guest.runs[-1][0] + timing.boot - self._machine.clock.now())
        return min(grace, booting + timing.shutdown)

    def _power_on(self, guest: FakeGuest, fault: Fault) -> None:
        guest.power = GuestPower.RUNNING
        guest.runs.append((self._machine.clock.now(), None))
        if fault.kind in ("crash", "off"):
            power = GuestPower.CRASHED if fault.kind == "crash" else GuestPower.GUEST_OFF
            self._machine.later(self._end_after(guest, len(guest.runs), fault.after, power))

    async def _end_after(self, guest: FakeGuest, run: int, seconds: float, power: GuestPower) -> None:
        await self._machine.clock.sleep(seconds)
        if len(guest.runs) == run and guest.power == GuestPower.RUNNING:
            _end(guest, power, self._machine.clock.now())
            self._machine.tell_guest(guest.spec.id)


def _is_on(guest: FakeGuest) -> bool:
    return guest.power in (GuestPower.RUNNING, GuestPower.PAUSED)


def _plugged(guest: FakeGuest) -> frozenset[str]:
    return frozenset(disk.id for disk in guest.spec.disks) if _is_on(guest) else frozenset()


def empty_qcow2(size: int) -> bytes:
    """A sound qcow2 of `size` bytes in which nothing is allocated."""
    bits = 16
    cluster, per_table = 1 << bits, 1 << (2 * bits - 3)
    tables = -(-size // per_table)  # entries of the first table, each of which covers 512 MiB
    table_clusters = -(-tables * 8 // cluster)
    counts_at = (1 + table_clusters) * cluster
    header = struct.pack(
        ">4sIQIIQIIQQIIQ", b"QFI\xfb", 2, 0, 0, bits, size, 0, tables, cluster, counts_at, 1, 0, 0,
    )  # fmt: skip
    used = 3 + table_clusters
    table = struct.pack(">Q", counts_at + cluster)
    counts = struct.pack(f">{used}H", *([1] * used))
    parts = [header, bytes(table_clusters * cluster), table, counts]
    return b"".join(part.ljust(-(-len(part) // cluster) * cluster, b"\0") for part in parts)


def _check(image: Path, format: str) -> None:
    """Refuse what an engine could not read. Permanent (InvalidImage)."""
    try:
        with image.open("rb") as file:
            head = file.read(4)
    except OSError as error:
        raise Permanent("InvalidImage", f"The image cannot be read: {error.strerror}.") from error
    if format == "qcow2" and head != b"QFI\xfb":
        raise Permanent("InvalidImage", "The image is not a qcow2 image, as it was said to be.")


def _end(guest: FakeGuest, power: GuestPower, now: float) -> None:
    """End the run, if one goes on; how an ended one ended is forgotten when the guest is stopped on purpose."""
    if guest.talking is not None:
        guest.talking.cancel()
        guest.talking = guest.console = None
    if guest.runs and guest.runs[-1][1] is None:
        guest.runs[-1] = (guest.runs[-1][0], now)
    guest.power = power
