# SPDX-License-Identifier: Apache-2.0
"""QemuGuests: virtual machines by id (GuestDriver)."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager
from pathlib import Path

from lichen.drivers import cgroups
from lichen.drivers.base import Exec, GuestDisk, GuestNic, GuestSpec, GuestState
from lichen.drivers.inotify import FileWatch
from lichen.drivers.qemu import console
from lichen.drivers.qemu.guest import Guest
from lichen.drivers.qemu.launch import Engine
from lichen.model.errors import Permanent

ROTATE_EVERY = 20.0
"""Seconds between looks at the size of the console logs: a file that grows can't be waited for cheaply."""


class QemuGuests:
    """state_dir keeps a folder per guest (disk, console, record) over reboots; run_dir (on a tmpfs, a short path:
    sockets) keeps what lives as long as a process. accelerator: "kvm" or "tcg", see probe.choose_accelerator.
    cgroup_parent: the guests' groups are made below it. separate_users: each QEMU drops to a user id of its own."""

    def __init__(
        self,
        state_dir: Path,
        run_dir: Path,
        *,
        accelerator: str,
        cgroup_parent: str = "lichen",
        tb_size: int = 64,
        separate_users: bool = True,
    ) -> None:
        self.accelerator = accelerator
        self._state_dir = state_dir
        self._run_dir = run_dir
        self._engine = Engine(accelerator, tb_size, f"{cgroup_parent}/guests", separate_users and os.geteuid() == 0)
        self._guests: dict[str, Guest] = {}
        self._listeners: set[asyncio.Queue[str | None]] = set()
        self._rotation: asyncio.Task[None] | None = None
        state_dir.mkdir(parents=True, exist_ok=True)
        run_dir.mkdir(parents=True, exist_ok=True)

    async def discover(self) -> dict[str, GuestState]:
        self._keep_consoles_small()
        ids = {path.name for path in (*self._state_dir.iterdir(), *self._run_dir.iterdir()) if path.is_dir()}
        guests = [self._guest(guest_id) for guest_id in sorted(ids)]
        states = await asyncio.gather(*(guest.state() for guest in guests))
        return {guest.id: state for guest, state in zip(guests, states, strict=True) if state is not None}

    async def create_disk(self, guest: GuestSpec) -> None:
        await self._guest(guest.id).create_disk(guest)

    async def start(self, guest: GuestSpec) -> None:
        self._keep_consoles_small()
        await self._guest(guest.id).start(guest)

    async def stop(self, guest_id: str, *, grace: float = 30.0) -> None:
        await self._guest(guest_id).stop(grace)

    async def reset(self, guest_id: str, *, grace: float = 0.0) -> None:
        await self._guest(guest_id).reset(grace)

    async def pause(self, guest_id: str) -> None:
        await self._guest(guest_id).pause()

    async def unpause(self, guest_id: str) -> None:
        await self._guest(guest_id).unpause()

    async def remove_disk(self, guest_id: str) -> None:
        await self._guest(guest_id).remove_disk()

    async def grow_disk(self, guest_id: str, gib: int) -> None:
        await self._guest(guest_id).grow_disk(gib)

    async def capture(self, guest_id: str, target: Path) -> None:
        await self._guest(guest_id).capture(target)

    async def attach_nic(self, guest_id: str, nic: GuestNic) -> None:
        await self._guest(guest_id).attach_nic(nic)

    async def detach_nic(self, guest_id: str, mac: str) -> None:
        await self._guest(guest_id).detach_nic(mac)

    async def attach_disk(self, guest_id: str, disk: GuestDisk) -> None:
        await self._guest(guest_id).attach_disk(disk)

    async def detach_disk(self, guest_id: str, disk_id: str) -> None:
        await self._guest(guest_id).detach_disk(disk_id)

    async def resize_disk(self, guest_id: str, disk_id: str) -> None:
        await self._guest(guest_id).resize_disk(disk_id)

    async def remove(self, guest_id: str) -> None:
        guest = self._guest(guest_id)
        await guest.remove()
        await guest.release()
        self._guests.pop(guest_id, None)

    async def console(self, guest_id: str, *, tail: int = 0) -> bytes:
        return await asyncio.to_thread(console.read, self._guest(guest_id).state_dir, tail)

    def console_grows(self, guest_id: str, grown: asyncio.Event) -> AbstractContextManager[object]:
        return FileWatch(self._guest(guest_id).state_dir, grown)

    async def talk(self, guest_id: str) -> Exec:
        return await self._guest(guest_id).serial.join()

    def changes(self) -> AsyncIterator[str]:
        queue: asyncio.Queue[str | None] = asyncio.Queue()
        self._listeners.add(queue)
        return self._drain(queue)

    async def cleanup(self) -> None:
        await asyncio.gather(*(self.stop(guest_id, grace=0) for guest_id in await self.discover()))
        await self.close()
        await cgroups.remove(self._engine.cgroup)
        for hierarchy in cgroups.hierarchies():
            with contextlib.suppress(OSError):  # other drivers have groups beside ours
                (hierarchy / self._engine.cgroup).parent.rmdir()

    async def close(self) -> None:
        """Let go of everything and end `changes`; the guests run on."""
        if self._rotation:
            self._rotation.cancel()
            self._rotation = None
        await asyncio.gather(*(guest.release() for guest in self._guests.values()))
        self._guests.clear()
        for queue in self._listeners:
            queue.put_nowait(None)

    def _guest(self, guest_id: str) -> Guest:
        if guest_id not in self._guests:
            if guest_id in ("", ".", "..") or "/" in guest_id or not guest_id.isascii():
                raise Permanent("InvalidId", f"{guest_id!r} can't be a guest's id")
            folders = self._state_dir / guest_id, self._run_dir / guest_id
            self._guests[guest_id] = Guest(guest_id, *folders, self._engine, self._notify)
        return self._guests[guest_id]

    def _notify(self, guest_id: str) -> None:
        for queue in self._listeners:
            queue.put_nowait(guest_id)

    async def _drain(self, queue: asyncio.Queue[str | None]) -> AsyncIterator[str]:
        try:
            while (guest_id := await queue.get()) is not None:
                yield guest_id
        finally:
            self._listeners.discard(queue)

    def _keep_consoles_small(self) -> None:
        if self._rotation is None:
            self._rotation = asyncio.create_task(self._rotate(), name="console-rotation")

    async def _rotate(self) -> None:
        while True:
            await asyncio.sleep(ROTATE_EVERY)
            for guest in tuple(self._guests.values()):
                with contextlib.suppress(OSError):  # its folder goes, or the disk is full: the next look may do better
                    await asyncio.to_thread(console.rotate, guest.state_dir)
