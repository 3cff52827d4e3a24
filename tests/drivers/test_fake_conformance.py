# SPDX-License-Identifier: Apache-2.0
"""The simulated engines pass the suites of the real ones."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lichen.drivers.base import GuestDisk, GuestPower, Mount
from lichen.drivers.fake import FakeGuests, FakeMachine, FakeNetworks, FakePods, Timing
from lichen.drivers.fake.commands import Io
from lichen.drivers.fake.pods import MISSING
from lichen.drivers.fake.shell import Shell
from lichen.runtime.clock import SystemClock
from tests.conformance.guests import GuestConformance
from tests.conformance.networks import NetworkConformance
from tests.conformance.pods import ImageConformance, PodConformance

FAST = Timing(disk=0, start=0, boot=0.1, shutdown=0.02, image=0, sandbox=0, container=0)


@pytest.fixture
async def machine(tmp_path: Path) -> AsyncIterator[FakeMachine]:
    machine = FakeMachine("node", SystemClock(), tmp_path, timing=FAST)
    yield machine
    await machine.power_off()


class FakeBench:
    image_format = "raw"

    def __init__(self, machine: FakeMachine, image: Path) -> None:
        self._machine = machine
        self.image = image
        self.guests = FakeGuests(machine)

    async def booted(self, guest_id: str, boots: int = 1) -> None:
        async with asyncio.timeout(10):
            while (await self.guests.console(guest_id)).count(b" login:") < boots:  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    async def crash(self, guest_id: str) -> None:
        await self.guests.kill(guest_id)

    async def power_off_inside(self, guest_id: str) -> None:
        await self.guests.kill(guest_id, GuestPower.GUEST_OFF)

    async def a_disk(self, *, bootable: bool = False) -> GuestDisk:
        id = str(uuid.uuid4())
        return GuestDisk(id, Path("/simulated/volumes") / id, boot=bootable)

    async def sees(self, guest_id: str, disk: GuestDisk) -> None:
        assert disk.id in (await self.guests.discover())[guest_id].disks

    async def reopen(self) -> None:
        self.guests = FakeGuests(self._machine)


class TestFakeGuests(GuestConformance):
    @pytest.fixture
    async def bench(self, machine: FakeMachine, tmp_path: Path) -> FakeBench:
        image = tmp_path / "image"
        image.write_bytes(bytes(512))
        return FakeBench(machine, image)


class TestFakeNetworks(NetworkConformance):
    @pytest.fixture
    async def networks(self, machine: FakeMachine) -> FakeNetworks:
        return FakeNetworks(machine)

    @pytest.fixture
    def reopened(self, machine: FakeMachine):
        return lambda: FakeNetworks(machine)

    @pytest.fixture
    def netns(self) -> str:
        return "/run/netns/fake"


class TestFakePods(PodConformance, ImageConformance):
    missing = f"{MISSING}image"

    @pytest.fixture
    async def pods(self, machine: FakeMachine) -> FakePods:
        return FakePods(machine)

    @pytest.fixture
    def reopened(self, machine: FakeMachine):
        async def reopen() -> FakePods:
            return FakePods(machine)

        return reopen


@pytest.mark.parametrize("cwd", ["/", "/m"])
@pytest.mark.parametrize("path", ["/m/../secret", "/m/sub/../../secret", "../m/../secret", "/m/link"])
async def test_a_simulated_container_reaches_no_file_of_the_machine(tmp_path: Path, path: str, cwd: str) -> None:
    volume, secret = tmp_path / "volume", tmp_path / "secret"
    volume.mkdir()
    secret.write_text("of the machine")
    (volume / "link").symlink_to(secret)
    said: list[bytes] = []
    io = Io(said.append, lambda data: None)
    shell = Shell(SystemClock(), "pod", {}, (Mount(str(volume), "/m"),), {}, cwd)
    await shell.script(f"cat {path}; echo theirs > {path}; touch {path}; rm -f {path}", io)
    assert (said, secret.read_text()) == ([], "of the machine")


async def test_a_simulated_container_keeps_what_is_mounted_read_only(tmp_path: Path) -> None:
    (tmp_path / "conf").write_text("as it was")
    shell = Shell(SystemClock(), "pod", {}, (Mount(str(tmp_path), "/m", read_only=True),), {}, "/m")
    await shell.script("echo x > conf; echo x > ../m/conf; rm conf", Io(lambda data: None, lambda data: None))
    assert (tmp_path / "conf").read_text() == "as it was"
