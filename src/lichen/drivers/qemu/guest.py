# SPDX-License-Identifier: Apache-2.0
"""One guest: its folder, its record, and while it runs its process and control socket."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from lichen.drivers import cgroups, pidfd
from lichen.drivers.base import GuestDisk, GuestNic, GuestPower, GuestSpec, GuestState
from lichen.drivers.qemu import nics, volumes
from lichen.drivers.qemu.disk import DISK, create_rescue, create_root, drop_rescue, flatten, grow_root, hold_root
from lichen.drivers.qemu.launch import QMP, Engine, complaint, launch, relaunch
from lichen.drivers.qemu.monitor import Monitor
from lichen.drivers.qemu.record import Asked, Record, load, save
from lichen.drivers.qemu.serial import SOCKET, Serial
from lichen.model.errors import Permanent, Temporary

QUIT_TIMEOUT = 10.0
PRESS_AGAIN = 2.0
"""Seconds after which the power button is pressed once more: a guest that still boots does not notice it."""

_GONE = {Asked.OFF: GuestPower.SHUTDOWN, Asked.GUEST_OFF: GuestPower.GUEST_OFF}


class Guest:
    """Verbs hold `_lock`, so that they follow each other; reading the state does not wait for them."""

    def __init__(self, guest_id: str, state: Path, run: Path, engine: Engine, notify: Callable[[str], None]) -> None:
        self.id = guest_id
        self.state_dir = state
        self.run_dir = run
        self._engine = engine
        self._notify = notify
        self._lock = asyncio.Lock()
        self._capturing = asyncio.Lock()
        self._watch: pidfd.Watch | None = None
        self._monitor: Monitor | None = None
        self.serial = Serial(run / SOCKET)
        self._powered_off = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    # --- what is there ---

    async def state(self) -> GuestState | None:
        """What is really there, None if nothing is."""
        if not self._lock.locked():
            async with self._lock:
                await self._attach()
                await self._settle()
        record = load(self._record_path)
        if record is None and not self.state_dir.exists() and not self._alive:
            return None
        record = record or Record()
        has_disk = record.diskless or (self.state_dir / DISK).exists()
        return GuestState(
            await self._power(record),
            has_disk,
            record.started_at,
            tuple(mac for _, mac in record.nics),
            await self._volumes(),
        )

    async def _power(self, record: Record) -> GuestPower:
        if not self._alive:
            return _GONE.get(record.asked, GuestPower.CRASHED)
        status = "running"
        if self._monitor:
            with contextlib.suppress(Temporary):
                status = await self._monitor.status()
        if status == "shutdown":
            return _GONE.get(record.asked, GuestPower.RUNNING)
        return GuestPower.PAUSED if status in ("paused", "suspended") else GuestPower.RUNNING

    # --- verbs ---

    async def create_disk(self, spec: GuestSpec) -> None:
        async with self._lock:
            self.state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
            record = load(self._record_path) or Record()
            if spec.image is None and not spec.disk:
                record.diskless = True
            elif not (self.state_dir / DISK).exists():
                await create_root(self.state_dir, spec.image, spec.image_format, spec.disk)
            save(self._record_path, record)

    async def start(self, spec: GuestSpec) -> None:
        async with self._lock:
            await self._attach()
            await self._settle()
            if self._alive:
                await self._resume()
                return
            before = load(self._record_path)
            if before is None or not (before.diskless or (self.state_dir / DISK).exists()):
                raise Permanent("NoDisk", "The guest has no root disk to start from.")
            await self._end_leftovers()
            if spec.rescue is None:
                drop_rescue(self.state_dir)
            else:
                await create_rescue(self.state_dir, spec.rescue, spec.rescue_format)
            given = [(nic.tap, nic.mac) for nic in spec.nics]
            save(self._record_path, Record(Asked.ON, time.time(), before.diskless, given, spec.disks))
            try:
                await launch(self._engine, spec, self.state_dir, self.run_dir)
                await self._greeted()
            except (Temporary, OSError) as error:
                save(self._record_path, before)
                raise Temporary(str(error)) from error

    async def stop(self, grace: float) -> None:
        async with self._lock:
            await self._attach()
            self._ask(Asked.OFF)
            if self._alive and grace > 0:
                await self._press_power(grace)
            await self._quit()

    async def reset(self, grace: float) -> None:
        async with self._lock:
            await self._attach()
            if not self._alive:
                return
            if grace > 0:
                self._ask(Asked.RESET)
                await self._press_power(grace)
            if self._alive and self._monitor:
                await self._reset()
            else:
                self._notify(self.id)

    async def capture(self, target: Path) -> None:
        """A copy of the overlay is the moment; where files can share blocks it takes no time and no room."""
        async with self._capturing:
            async with self._lock:
                await self._attach()
                if not (self.state_dir / DISK).exists():
                    raise Permanent("NoDisk", f"Guest {self.id} has no root disk.")
                async with self._still():
                    copy = await hold_root(self.state_dir)
            await flatten(copy, target)

    @contextlib.asynccontextmanager
    async def _still(self) -> AsyncIterator[None]:
        """A guest that runs writes nothing meanwhile, and what it wrote is in its file."""
        monitor = self._monitor
        runs = self._alive and monitor is not None and await monitor.status() == "running"
        if runs and monitor is not None:
            await monitor.execute("stop")
        try:
            yield
        finally:
            if runs:
                await self._resume()

    async def pause(self) -> None:
        async with self._lock:
            await self._attach()
            if self._alive and self._monitor and await self._monitor.status() == "running":
                await self._monitor.execute("stop")

    async def unpause(self) -> None:
        async with self._lock:
            await self._attach()
            if self._alive:
                await self._resume()

    async def remove_disk(self) -> None:
        async with self._lock:
            await self._attach()
            if self._alive:
                raise Temporary("The guest runs: its disk stays.", delay=1.0)
            await self._end_leftovers()
            (self.state_dir / DISK).unlink(missing_ok=True)

    async def grow_disk(self, gib: int) -> None:
        async with self._lock:
            await self._attach()
            if self._alive:
                raise Temporary("The guest runs: its disk is not made larger.", delay=1.0)
            if gib and (self.state_dir / DISK).exists():
                await grow_root(self.state_dir, gib)

    async def attach_nic(self, nic: GuestNic) -> None:
        async with self._lock:
            await self._attach()
            if self._alive and self._monitor:
                await nics.attach(self._monitor, nic)
                self._keep_nics([n for n in self._held_nics() if n[1] != nic.mac] + [(nic.tap, nic.mac)])

    async def detach_nic(self, mac: str) -> None:
        async with self._lock:
            await self._attach()
            if self._alive and self._monitor:
                await nics.detach(self._monitor, mac)
            self._keep_nics([n for n in self._held_nics() if n[1] != mac])

    async def attach_disk(self, disk: GuestDisk) -> None:
        async with self._lock:
            await self._attach()
            if self._alive and self._monitor:
                if disk.id not in await volumes.plugged(self._monitor):
                    await volumes.plug(self._monitor, disk)
                self._keep_disks(lambda held: (*(d for d in held if d.id != disk.id), disk))

    async def detach_disk(self, disk_id: str) -> None:
        async with self._lock:
            await self._attach()
            if self._alive and self._monitor:
                await volumes.unplug(self._monitor, disk_id)
            self._keep_disks(lambda held: tuple(d for d in held if d.id != disk_id))

    async def resize_disk(self, disk_id: str) -> None:
        async with self._lock:
            await self._attach()
            disk = next((d for d in (load(self._record_path) or Record()).disks if d.id == disk_id), None)
            if self._alive and self._monitor and disk and disk_id in await volumes.plugged(self._monitor):
                await volumes.resize(self._monitor, disk)

    async def _volumes(self) -> frozenset[str]:
        """Ids of the volumes that are in the running guest."""
        if self._alive and self._monitor:
            with contextlib.suppress(Temporary):
                return await volumes.plugged(self._monitor)
        return frozenset()

    def _keep_disks(self, change: Callable[[tuple[GuestDisk, ...]], tuple[GuestDisk, ...]]) -> None:
        if (record := load(self._record_path)) is not None:
            record.disks = change(record.disks)
            save(self._record_path, record)

    def _held_nics(self) -> list[tuple[str, str]]:
        return (load(self._record_path) or Record()).nics

    def _keep_nics(self, held: list[tuple[str, str]]) -> None:
        if (record := load(self._record_path)) is not None:
            record.nics = held
            save(self._record_path, record)

    async def remove(self) -> None:
        async with self._lock:
            await self._attach()
            self._ask(Asked.OFF)
            await self._quit()
            await asyncio.to_thread(shutil.rmtree, self.state_dir, ignore_errors=True)

    async def release(self) -> None:
        """Let go of the guest, which runs on."""
        for task in tuple(self._tasks):
            task.cancel()
        if self._watch:
            self._watch.close()
        self._watch = None
        self.serial.release()
        await self._hang_up()

    # --- parts ---

    @property
    def _record_path(self) -> Path:
        return self.state_dir / "record.json"

    @property
    def _alive(self) -> bool:
        return self._watch is not None and not self._watch.ended.is_set()

    def _ask(self, asked: Asked) -> None:
        if not self.state_dir.exists():
            return
        record = load(self._record_path) or Record()
        if record.asked != asked:
            record.asked = asked
            save(self._record_path, record)

    async def _attach(self) -> None:
        """Find the process, watch it and open its control socket, as far as that is not so already."""
        if not self._alive:
            found = pidfd.find(self.run_dir / "pid", f"guest={self.id}")
            if found is None:
                return
            self._powered_off.clear()
            self._watch = pidfd.Watch(found)
            self._spawn(self._follow(self._watch))
        if self._monitor is None or not self._monitor.connected:
            await self._hang_up()
            monitor = Monitor(self.run_dir / QMP, self._on_event)
            with contextlib.suppress(Temporary):  # a dying or stopped process: its pidfd tells the rest
                await monitor.open()
                self._monitor = monitor

    async def _greeted(self) -> None:
        """Wait until the QEMU just launched answers. Temporary with its complaint if it ended instead."""
        self._monitor = Monitor(self.run_dir / QMP, self._on_event)
        try:
            await self._monitor.open()
        except Temporary as error:
            self._monitor = None
            await self._end_leftovers()
            raise Temporary(f"QEMU did not start: {complaint(self.run_dir) or error}") from error
        await self._attach()
        if not self._alive:
            raise Temporary(f"QEMU ended as soon as it had started: {complaint(self.run_dir)}")

    async def _settle(self) -> None:
        """Finish what a guest that powered off left open, be it itself or asked by a process of ours that died."""
        if not self._alive or not self._monitor:
            return
        try:
            off = await self._monitor.status() == "shutdown"
        except Temporary:
            return
        if not off:
            return
        asked = (load(self._record_path) or Record()).asked
        if asked is Asked.RESET:
            await self._reset()
            return
        if asked is Asked.ON:
            self._ask(Asked.GUEST_OFF)
        await self._quit()

    async def _resume(self) -> None:
        record = load(self._record_path) or Record()
        if record.asked is not Asked.ON:
            self._ask(Asked.ON)
        if self._monitor and await self._monitor.status() == "paused":
            await self._monitor.execute("cont")

    async def _reset(self) -> None:
        """Boot anew. Under TCG by a new process: code that was translated before makes the next boot take two to
        five times as long, since each write over it is trapped."""
        assert self._monitor and self._watch
        self._powered_off.clear()
        self._ask(Asked.RESET)
        if self._engine.accelerator == "tcg":
            arguments = pidfd.arguments(self._watch.process.pid)
            await self._end()
            held = [GuestNic(tap, mac) for tap, mac in self._held_nics()]
            arguments = nics.with_nics(arguments, held)
            arguments = volumes.with_disks(arguments, (load(self._record_path) or Record()).disks)
            await relaunch(self._engine, self.id, arguments, self.run_dir)
            await self._greeted()
        else:
            await self._monitor.execute("system_reset")
            if await self._monitor.status() != "running":
                await self._monitor.execute("cont")
        record = load(self._record_path) or Record()
        save(self._record_path, Record(Asked.ON, time.time(), record.diskless, record.nics, record.disks))

    async def _press_power(self, grace: float) -> None:
        """Press the power button until the guest is off, it is gone, or `grace` seconds have passed."""
        deadline = time.monotonic() + grace
        while self._alive and self._monitor and not self._powered_off.is_set():
            left = deadline - time.monotonic()
            if left <= 0:
                return
            try:
                if await self._monitor.status() == "paused":
                    await self._monitor.execute("cont")
                await self._monitor.execute("system_powerdown")
            except Temporary:
                return
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._powered_off.wait(), min(left, PRESS_AGAIN))

    async def _quit(self) -> None:
        """End the process and remove what it leaves."""
        await self._end()
        await self._end_leftovers()
        shutil.rmtree(self.run_dir, ignore_errors=True)

    async def _end(self) -> None:
        """End the process, by request and if that fails by force."""
        if self._watch and self._alive:
            if self._monitor:
                with contextlib.suppress(Temporary):
                    await self._monitor.execute("quit")
            else:
                self._watch.kill()
            try:
                await asyncio.wait_for(self._watch.ended.wait(), QUIT_TIMEOUT)
            except TimeoutError:
                self._watch.kill()
                await self._watch.ended.wait()
        await self._hang_up()

    async def _hang_up(self) -> None:
        monitor, self._monitor = self._monitor, None
        if monitor:
            await monitor.close()

    async def _end_leftovers(self) -> None:
        """No two QEMUs may ever hold one disk: whatever else is in the guest's cgroup ends here."""
        try:
            await cgroups.remove(self._engine.group(self.id))
        except OSError as error:
            raise Temporary(str(error), delay=1.0) from error

    def _on_event(self, name: str, data: dict[str, Any]) -> None:
        if name == "SHUTDOWN" and data.get("guest"):
            self._powered_off.set()
            if not self._lock.locked():
                self._spawn(self._guest_off())
        elif name in ("STOP", "RESUME") and not self._powered_off.is_set() and not self._lock.locked():
            self._notify(self.id)

    async def _guest_off(self) -> None:
        async with self._lock:
            if self._alive and self._powered_off.is_set():
                if (load(self._record_path) or Record()).asked is Asked.ON:
                    self._ask(Asked.GUEST_OFF)
                await self._quit()

    async def _follow(self, watch: pidfd.Watch) -> None:
        await watch.ended.wait()
        if self._watch is watch:
            await self._hang_up()
        if (load(self._record_path) or Record()).asked in (Asked.ON, Asked.GUEST_OFF):
            self._notify(self.id)

    def _spawn(self, work: Any) -> None:
        task = asyncio.create_task(work, name=f"guest-{self.id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
