# SPDX-License-Identifier: Apache-2.0
"""The guest suite over real QEMU with the tiny image."""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import signal
import tempfile
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lichen.drivers.base import BlockSpec, GuestDisk, GuestNic
from lichen.drivers.files.volumes import FileVolumes
from lichen.drivers.qemu import QemuGuests, choose_accelerator
from lichen.drivers.qemu.monitor import Monitor
from lichen.model.errors import Temporary
from tests.conformance.guests import DEADLINE, GuestConformance, a_guest, power_of, running
from tests.real.machine import NOTHING, belongings, tiny_image

pytestmark = pytest.mark.real
READY = b"lichen-tiny ready"


class QemuBench:
    """A driver over folders and a cgroup of its own."""

    image_format = "qcow2"

    def __init__(self, image: Path, accelerator: str) -> None:
        self.image = image
        self.accelerator = accelerator
        self.mark = f"lichen-test-{secrets.token_hex(4)}"
        self.folder = Path(tempfile.gettempdir()) / self.mark
        self.guests = self.driver()
        self.volumes = FileVolumes(self.folder / "volumes")

    def driver(self) -> QemuGuests:
        folders = self.folder / "state", self.folder / "run"
        return QemuGuests(*folders, accelerator=self.accelerator, cgroup_parent=self.mark)

    async def booted(self, guest_id: str, boots: int = 1) -> None:
        async with asyncio.timeout(DEADLINE):
            while (await self.guests.console(guest_id)).count(READY) < boots:  # noqa: ASYNC110
                await asyncio.sleep(0.05)

    async def crash(self, guest_id: str) -> None:
        pid = self.pid(guest_id)
        os.kill(pid, signal.SIGKILL)
        while os.path.exists(f"/proc/{pid}/exe"):  # noqa: ASYNC110
            await asyncio.sleep(0.01)

    async def power_off_inside(self, guest_id: str) -> None:
        """As a person would: by logging in on the console."""
        reader, writer = await asyncio.open_unix_connection(str(self.folder / "run" / guest_id / "console"))
        async with asyncio.timeout(DEADLINE):
            for prompt, answer in ((b"login:", b"root"), (b"Password:", b"lichen"), (b"# ", b"poweroff -f")):
                writer.write(b"\n" if prompt == b"login:" else b"")
                await reader.readuntil(prompt)
                writer.write(answer + b"\n")
            while b"Power down" not in (await self.guests.console(guest_id, tail=3)):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        writer.close()

    async def a_disk(self, *, bootable: bool = False) -> GuestDisk:
        id = str(uuid.uuid4())
        image = self.image if bootable else None
        await self.volumes.create(BlockSpec(id, 1 << 30, image=image, image_format=self.image_format))
        return GuestDisk(id, self.volumes.path(id), boot=bootable)

    async def sees(self, guest_id: str, disk: GuestDisk) -> None:
        """The guest's own word, on its console, for the disk of that serial number."""
        said = await self.typed(guest_id, "grep -H . /sys/block/vd*/serial")
        assert disk.id[:20].encode() in said, said

    async def typed(self, guest_id: str, command: str) -> bytes:
        """What a command says that is typed at the guest's console, by someone who logs in and out again."""
        reader, writer = await asyncio.open_unix_connection(str(self.folder / "run" / guest_id / "console"))
        async with asyncio.timeout(DEADLINE):
            for prompt, answer in ((b"login:", b"root"), (b"Password:", b"lichen"), (b"# ", command.encode())):
                writer.write(b"\n" if prompt == b"login:" else b"")
                await reader.readuntil(prompt)
                writer.write(answer + b"\n")
            said = await reader.readuntil(b"# ")
            writer.write(b"exit\n")
            await reader.readuntil(b"login:")
        writer.close()
        return said

    def opened(self, guest_id: str, disk: GuestDisk) -> bool:
        """Whether the guest's process has the volume's file open."""
        links = [os.readlink(entry) for entry in Path(f"/proc/{self.pid(guest_id)}/fd").iterdir()]
        return str(disk.path) in links

    async def reopen(self) -> None:
        await self.guests.close()
        self.guests = self.driver()

    def pid(self, guest_id: str) -> int:
        return int((self.folder / "run" / guest_id / "pid").read_text())

    async def close(self) -> None:
        await self.guests.cleanup()
        shutil.rmtree(self.folder)
        assert belongings(self.mark) == NOTHING


@pytest.fixture
async def bench() -> AsyncIterator[QemuBench]:
    image = await asyncio.to_thread(tiny_image)
    verdict = await choose_accelerator(image.parent / "verdict", image)
    bench = QemuBench(image, verdict.accelerator)
    yield bench
    await bench.close()


class TestQemuGuests(GuestConformance):
    pass


async def test_the_config_drive_names_the_guest_keeps_its_keys_and_runs_user_data(bench: QemuBench) -> None:
    files = {
        "openstack/latest/meta_data.json": b'{"hostname": "www-1", "public_keys": {"me": "ssh-ed25519 AAAA me\\n"}}',
        "openstack/latest/user_data": b"#!/bin/sh\necho user-data says $((6 * 7))\ncat /root/.ssh/authorized_keys\n",
    }
    guest = await running(bench, files=files)
    said = (await bench.guests.console(guest.id)).decode()
    assert "lichen-tiny: hostname www-1" in said
    assert "user-data says 42" in said
    assert "ssh-ed25519 AAAA me" in said
    assert "lichen-tiny: ssh on port 22" in said


async def test_qemu_runs_as_a_user_of_its_own_in_a_cgroup_of_its_own_with_its_secrets_out_of_sight(
    bench: QemuBench,
) -> None:
    files = {"openstack/latest/user_data": b"s3cret"}
    first = await running(bench, files=files)
    second = a_guest(bench)
    await bench.guests.create_disk(second)
    await bench.guests.start(second)
    users = {os.stat(f"/proc/{bench.pid(guest.id)}").st_uid for guest in (first, second)}
    assert len(users) == 2
    assert 0 not in users
    assert f"/{bench.mark}/guests/{first.id}" in Path(f"/proc/{bench.pid(first.id)}/cgroup").read_text()
    assert b"s3cret" not in Path(f"/proc/{bench.pid(first.id)}/cmdline").read_bytes()
    assert (bench.folder / "run" / first.id / "config.iso").stat().st_mode & 0o777 == 0o600


async def test_a_deleted_image_breaks_no_guest(bench: QemuBench) -> None:
    bench.image = Path(shutil.copy(bench.image, bench.folder / "image.qcow2"))
    guest = await running(bench)
    await bench.guests.stop(guest.id, grace=0)
    bench.image.unlink()
    await bench.guests.start(guest)
    await bench.booted(guest.id, 2)


async def test_a_qemu_that_cannot_start_says_why_and_leaves_nothing(bench: QemuBench) -> None:
    guest = a_guest(bench, nics=(GuestNic("no/such/tap", "fa:16:3e:00:00:01"),))
    await bench.guests.create_disk(guest)
    with pytest.raises(Temporary, match="did not start"):
        await bench.guests.start(guest)
    assert (await power_of(bench, guest)) == "Shutdown"
    assert belongings(bench.mark)["processes"] == set()


async def test_a_volumes_file_is_given_back_with_its_disk_though_its_driver_died_while_it_was_plugged_in(
    bench: QemuBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    guest, disk = await running(bench), await bench.a_disk()

    async def killed(*_: object) -> None:
        raise Temporary("the process is gone")

    with monkeypatch.context() as dying:
        dying.setattr(Monitor, "take_back", killed)
        await bench.guests.attach_disk(guest.id, disk)
    await bench.reopen()
    await bench.guests.attach_disk(guest.id, disk)
    assert bench.opened(guest.id, disk)
    await bench.guests.detach_disk(guest.id, disk.id)
    assert not bench.opened(guest.id, disk)
