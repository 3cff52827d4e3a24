# SPDX-License-Identifier: Apache-2.0
"""What every GuestDriver must do: QEMU and the fake run this same suite.

    class TestFakeGuests(GuestConformance):
        @pytest.fixture
        async def bench(self): ...   # a GuestBench on a machine of its own, cleaned up afterwards

The bench is what a test needs besides the driver: hands on the machine itself.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Protocol, cast

import pytest

from lichen.drivers.base import Exec, GuestDisk, GuestDriver, GuestPower, GuestSpec, Speaking
from lichen.model.errors import Permanent

DEADLINE = 120.0


class GuestBench(Protocol):
    """image: a bootable image, `image_format` of it. guests: the driver under test."""

    guests: GuestDriver
    image: Path
    image_format: str

    async def booted(self, guest_id: str, boots: int = 1) -> None:
        """Wait until the guest has finished booting as many times as given since it was made."""
        ...

    async def crash(self, guest_id: str) -> None:
        """Kill the guest behind the driver's back."""
        ...

    async def power_off_inside(self, guest_id: str) -> None:
        """Let the guest's own system power the guest off."""
        ...

    async def a_disk(self, *, bootable: bool = False) -> GuestDisk:
        """A volume of its own; bootable: made from the image."""
        ...

    async def sees(self, guest_id: str, disk: GuestDisk) -> None:
        """Wait until the guest's own system sees the disk, by its serial number."""
        ...

    async def reopen(self) -> None:
        """Let the driver go without a word to its guests, and put a new one on the same machine in `guests`."""
        ...


def a_guest(bench: GuestBench, **changes: object) -> GuestSpec:
    fields: dict[str, object] = {
        "id": str(uuid.uuid4()),
        "name": "web",
        "vcpus": 1,
        "memory": 96,
        "disk": 1,
        "image": bench.image,
        "image_format": bench.image_format,
        "files": {"openstack/latest/meta_data.json": b'{"hostname": "web"}'},
    }
    return GuestSpec(**{**fields, **changes})  # type: ignore[arg-type]


async def power_of(bench: GuestBench, guest: GuestSpec) -> GuestPower | None:
    state = (await bench.guests.discover()).get(guest.id)
    return state.power if state else None


async def disks_of(bench: GuestBench, guest: GuestSpec) -> set[str]:
    return set((await bench.guests.discover())[guest.id].disks)


async def running(bench: GuestBench, **changes: object) -> GuestSpec:
    """A guest that has booted."""
    guest = a_guest(bench, **changes)
    await bench.guests.create_disk(guest)
    await bench.guests.start(guest)
    await bench.booted(guest.id)
    return guest


@asynccontextmanager
async def listening(guests: GuestDriver) -> AsyncIterator[Callable[[str], Awaitable[None]]]:
    """Follow `changes` from now on; gives a function that waits until a guest's id has come."""
    seen: set[str] = set()
    news = asyncio.Event()
    changes = guests.changes()

    async def follow() -> None:
        async for guest_id in changes:
            seen.add(guest_id)
            news.set()

    async def wait_for(guest_id: str) -> None:
        async with asyncio.timeout(DEADLINE):
            while guest_id not in seen:
                news.clear()
                await news.wait()

    task = asyncio.create_task(follow())
    await asyncio.sleep(0)
    try:
        yield wait_for
    finally:
        task.cancel()


async def asked_to_log_in(bench: GuestBench, **changes: object) -> GuestSpec:
    """A guest that listens: what is typed before it asks is thrown away."""
    guest = await running(bench, **changes)
    async with asyncio.timeout(DEADLINE):
        while b"login:" not in await bench.guests.console(guest.id):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    return guest


async def hears(talk: Exec, what: bytes) -> None:
    """Listen until it has been said."""
    said = b""
    async with asyncio.timeout(DEADLINE):
        async for _, data in talk.output:
            said += data
            if what in said:
                return
    raise AssertionError(f"{what!r} was never said: {said!r}")


class GuestConformance:
    async def test_a_machine_without_guests_discovers_none(self, bench: GuestBench) -> None:
        assert await bench.guests.discover() == {}

    async def test_a_created_disk_is_found_and_the_guest_is_shut_down(self, bench: GuestBench) -> None:
        guest = a_guest(bench)
        await bench.guests.create_disk(guest)
        await bench.guests.create_disk(guest)
        state = (await bench.guests.discover())[guest.id]
        assert (state.power, state.has_disk, state.started_at) == (GuestPower.SHUTDOWN, True, 0.0)

    async def test_a_guest_without_disk_does_not_start(self, bench: GuestBench) -> None:
        with pytest.raises(Permanent):
            await bench.guests.start(a_guest(bench))

    async def test_an_image_that_is_none_is_refused(self, bench: GuestBench, tmp_path: Path) -> None:
        with pytest.raises(Permanent):
            await bench.guests.create_disk(a_guest(bench, image=tmp_path, image_format="vhdx"))

    async def test_a_started_guest_runs_boots_and_speaks_on_its_console(self, bench: GuestBench) -> None:
        guest = await running(bench)
        await bench.guests.start(guest)
        state = (await bench.guests.discover())[guest.id]
        assert state.power is GuestPower.RUNNING
        assert state.started_at > 0
        said = await bench.guests.console(guest.id)
        assert len(said.splitlines()) > 2
        assert await bench.guests.console(guest.id, tail=2) == b"".join(said.splitlines(keepends=True)[-2:])

    async def test_a_console_tells_when_it_grows(self, bench: GuestBench) -> None:
        assert isinstance(bench.guests, Speaking)
        guest, grown = a_guest(bench), asyncio.Event()
        await bench.guests.create_disk(guest)
        with bench.guests.console_grows(guest.id, grown):
            await bench.guests.start(guest)
            async with asyncio.timeout(DEADLINE):
                while not await bench.guests.console(guest.id):
                    await grown.wait()
                    grown.clear()

    async def test_a_stopped_guest_stays_shut_down_until_it_is_started_again(self, bench: GuestBench) -> None:
        guest = await running(bench)
        await bench.guests.stop(guest.id, grace=20)
        await bench.guests.stop(guest.id)
        assert await power_of(bench, guest) is GuestPower.SHUTDOWN
        await bench.guests.start(guest)
        await bench.booted(guest.id, 2)
        assert await power_of(bench, guest) is GuestPower.RUNNING

    async def test_power_is_cut_when_the_grace_is_over(self, bench: GuestBench) -> None:
        guest = a_guest(bench)
        await bench.guests.create_disk(guest)
        await bench.guests.start(guest)
        await bench.guests.stop(guest.id, grace=0)
        assert await power_of(bench, guest) is GuestPower.SHUTDOWN

    @pytest.mark.parametrize("grace", [0.0, 20.0], ids=["hard", "soft"])
    async def test_a_reset_guest_boots_once_more(self, bench: GuestBench, grace: float) -> None:
        guest = await running(bench)
        before = (await bench.guests.discover())[guest.id].started_at
        await bench.guests.reset(guest.id, grace=grace)
        await bench.booted(guest.id, 2)
        state = (await bench.guests.discover())[guest.id]
        assert state.power is GuestPower.RUNNING
        assert state.started_at > before

    async def test_a_paused_guest_stands_still_until_it_is_unpaused(self, bench: GuestBench) -> None:
        guest = await running(bench)
        for _ in range(2):
            await bench.guests.pause(guest.id)
            assert await power_of(bench, guest) == GuestPower.PAUSED
        for _ in range(2):
            await bench.guests.unpause(guest.id)
            assert await power_of(bench, guest) == GuestPower.RUNNING

    async def test_a_disk_grows_while_the_guest_is_off_and_one_that_is_removed_is_made_afresh(
        self, bench: GuestBench
    ) -> None:
        guest = await running(bench)
        await bench.guests.stop(guest.id, grace=0)
        await bench.guests.grow_disk(guest.id, 2)
        await bench.guests.grow_disk(guest.id, 1)
        await bench.guests.start(replace(guest, disk=2))
        await bench.booted(guest.id, 2)
        await bench.guests.stop(guest.id, grace=0)
        for _ in range(2):
            await bench.guests.remove_disk(guest.id)
        assert (await bench.guests.discover())[guest.id].has_disk is False
        await bench.guests.create_disk(guest)
        await bench.guests.start(guest)
        await bench.booted(guest.id, 3)

    async def test_a_root_disk_is_captured_while_its_guest_runs_on_and_another_boots_from_it(
        self, bench: GuestBench, tmp_path: Path
    ) -> None:
        guest = await running(bench)
        captured = tmp_path / "captured.qcow2"
        await bench.guests.capture(guest.id, captured)
        assert await power_of(bench, guest) is GuestPower.RUNNING
        assert captured.read_bytes()[:4] == b"QFI\xfb"
        await bench.guests.stop(guest.id, grace=0)
        await bench.guests.capture(guest.id, captured)
        assert await power_of(bench, guest) is GuestPower.SHUTDOWN
        await bench.guests.remove(guest.id)
        copy = a_guest(bench, image=captured, image_format="qcow2")
        await bench.guests.create_disk(copy)
        await bench.guests.start(copy)
        await bench.booted(copy.id)

    async def test_a_guest_is_rescued_from_another_image_and_then_has_its_own_disk_again(
        self, bench: GuestBench
    ) -> None:
        guest = await running(bench)
        await bench.guests.stop(guest.id, grace=0)
        await bench.guests.start(replace(guest, rescue=bench.image, rescue_format=bench.image_format))
        await bench.booted(guest.id, 2)
        await bench.guests.stop(guest.id, grace=0)
        await bench.guests.start(guest)
        await bench.booted(guest.id, 3)
        assert (await bench.guests.discover())[guest.id].has_disk

    async def test_what_has_no_disk_cannot_be_captured(self, bench: GuestBench, tmp_path: Path) -> None:
        with pytest.raises(Permanent):
            await bench.guests.capture("nothing", tmp_path / "none")

    async def test_a_killed_guest_is_noticed_and_has_crashed(self, bench: GuestBench) -> None:
        guest = await running(bench)
        async with listening(bench.guests) as wait_for:
            await bench.crash(guest.id)
            await wait_for(guest.id)
        assert await power_of(bench, guest) is GuestPower.CRASHED
        await bench.guests.start(guest)
        await bench.booted(guest.id, 2)

    async def test_a_guest_that_powers_itself_off_is_told_from_a_crash(self, bench: GuestBench) -> None:
        guest = await running(bench)
        async with listening(bench.guests) as wait_for:
            await bench.power_off_inside(guest.id)
            await wait_for(guest.id)
        assert await power_of(bench, guest) is GuestPower.GUEST_OFF

    async def test_a_new_driver_finds_what_the_old_one_started(self, bench: GuestBench) -> None:
        guest = await running(bench)
        before = await bench.guests.discover()
        await bench.reopen()
        assert await bench.guests.discover() == before
        async with listening(bench.guests) as wait_for:
            await bench.crash(guest.id)
            await wait_for(guest.id)
        assert await power_of(bench, guest) is GuestPower.CRASHED

    async def test_what_happened_without_a_driver_is_told_apart_afterwards(self, bench: GuestBench) -> None:
        crashed, off = await running(bench), await running(bench)
        await bench.crash(crashed.id)
        await bench.power_off_inside(off.id)
        await bench.reopen()
        assert await power_of(bench, crashed) is GuestPower.CRASHED
        assert await power_of(bench, off) is GuestPower.GUEST_OFF

    async def test_a_removed_guest_is_gone_and_removing_it_again_succeeds(self, bench: GuestBench) -> None:
        guest = await running(bench)
        await bench.guests.remove(guest.id)
        await bench.guests.remove(guest.id)
        assert await bench.guests.discover() == {}
        assert await bench.guests.console(guest.id) == b""

    async def test_verbs_on_a_guest_that_never_was_succeed(self, bench: GuestBench) -> None:
        await bench.guests.stop("11111111-0000-0000-0000-000000000000", grace=0)
        await bench.guests.remove("11111111-0000-0000-0000-000000000000")
        assert await bench.guests.discover() == {}

    async def test_two_talk_on_a_console_and_each_hears_what_the_other_types(self, bench: GuestBench) -> None:
        assert isinstance(bench.guests, Speaking)
        guest = await asked_to_log_in(bench)
        one, other = await bench.guests.talk(guest.id), await bench.guests.talk(guest.id)
        one.stdin(b"pebble")
        await hears(other, b"pebble")
        await hears(one, b"pebble")
        one.kill()
        again = await bench.guests.talk(guest.id)
        again.stdin(b"boulder")
        await hears(other, b"boulder")
        assert b"boulder" in await bench.guests.console(guest.id)

    async def test_a_talk_ends_with_the_guest_and_none_begins_when_it_is_off(self, bench: GuestBench) -> None:
        assert isinstance(bench.guests, Speaking)
        guest = await running(bench)
        talk = await bench.guests.talk(guest.id)
        await bench.guests.stop(guest.id, grace=0)
        async with asyncio.timeout(DEADLINE):
            assert b"never said" not in b"".join([data async for _, data in talk.output])
            assert await cast(Awaitable[int], talk.wait()) == 0
        with pytest.raises(Permanent):
            await bench.guests.talk(guest.id)

    async def test_a_volume_comes_into_a_running_guest_stays_over_resets_and_leaves(self, bench: GuestBench) -> None:
        guest = await running(bench)
        disk = await bench.a_disk()
        for _ in range(2):
            await bench.guests.attach_disk(guest.id, disk)
        assert await disks_of(bench, guest) == {disk.id}
        await bench.sees(guest.id, disk)
        await bench.guests.resize_disk(guest.id, disk.id)
        await bench.guests.reset(guest.id)
        await bench.booted(guest.id, 2)
        assert await disks_of(bench, guest) == {disk.id}
        await bench.reopen()
        assert await disks_of(bench, guest) == {disk.id}
        for _ in range(2):
            await bench.guests.detach_disk(guest.id, disk.id)
        assert await disks_of(bench, guest) == set()
        await bench.guests.attach_disk(guest.id, disk)
        assert await disks_of(bench, guest) == {disk.id}

    async def test_a_guest_is_started_with_its_volumes(self, bench: GuestBench) -> None:
        disk = await bench.a_disk()
        guest = await running(bench, disks=(disk,))
        assert await disks_of(bench, guest) == {disk.id}
        await bench.sees(guest.id, disk)
        await bench.guests.stop(guest.id, grace=0)
        assert await disks_of(bench, guest) == set()
        await bench.guests.attach_disk(guest.id, disk)
        await bench.guests.detach_disk(guest.id, disk.id)

    async def test_a_guest_boots_from_a_volume(self, bench: GuestBench) -> None:
        disk = await bench.a_disk(bootable=True)
        guest = await running(bench, disks=(disk,), image=None, disk=0)
        await bench.guests.stop(guest.id, grace=0)
        await bench.guests.start(guest)
        await bench.booted(guest.id, 2)

    async def test_cleanup_stops_guests_and_keeps_their_disks(self, bench: GuestBench) -> None:
        guest = await running(bench)
        await bench.guests.cleanup()
        await bench.reopen()
        state = (await bench.guests.discover())[guest.id]
        assert (state.power, state.has_disk) == (GuestPower.SHUTDOWN, True)
