# SPDX-License-Identifier: Apache-2.0
"""What the QEMU driver writes: config drive, initramfs, records, console logs, command line."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest

from lichen.drivers.base import GuestNic, GuestSpec
from lichen.drivers.qemu import console
from lichen.drivers.qemu.command import Machine, qemu_command, with_qmp
from lichen.drivers.qemu.cpio import Archive
from lichen.drivers.qemu.iso9660 import BLOCK, iso9660
from lichen.drivers.qemu.nics import with_nics
from lichen.drivers.qemu.record import Asked, Record, load, save

GUEST_ID = "11111111-2222-3333-4444-555555555555"


def read_iso(image: bytes) -> dict[str, bytes]:
    """Files of an image by their Rock Ridge paths, as a reader finds them from the volume descriptor on."""
    volume = image[16 * BLOCK : 17 * BLOCK]
    assert volume[:6] == b"\x01CD001"
    assert struct.unpack_from("<I", volume, 80)[0] * BLOCK == len(image)
    files: dict[str, bytes] = {}
    _read_folder(image, volume[156:190], "", files)
    return files


def _read_folder(image: bytes, record: bytes, path: str, files: dict[str, bytes]) -> None:
    block, size = struct.unpack_from("<I", record, 2)[0], struct.unpack_from("<I", record, 10)[0]
    data = image[block * BLOCK : block * BLOCK + size]
    at = 0
    while at < size:
        length = data[at]
        if length == 0:
            at = (at // BLOCK + 1) * BLOCK
            continue
        entry = data[at : at + length]
        at += length
        if entry[32] == 1 and entry[33] in (0, 1):
            continue
        mark = entry.index(b"NM")
        name = f"{path}/{entry[mark + 5 : mark + entry[mark + 2]].decode()}".lstrip("/")
        if entry[25] & 2:
            _read_folder(image, entry, name, files)
        else:
            start, count = struct.unpack_from("<I", entry, 2)[0], struct.unpack_from("<I", entry, 10)[0]
            files[name] = image[start * BLOCK : start * BLOCK + count]


def test_a_config_drive_gives_back_every_file() -> None:
    files = {f"openstack/content/{number:04}": bytes([number]) * number * 97 for number in range(120)}
    files |= {"openstack/latest/meta_data.json": b"{}", "openstack/latest/user_data": b"", "ec2/latest/x.y.z": b"1"}
    image = iso9660(files, "config-2")
    assert read_iso(image) == files
    assert image[16 * BLOCK + 40 :][:32].decode() == "config-2".ljust(32)
    assert iso9660(files, "config-2") == image


def test_an_archive_is_a_row_of_padded_newc_entries() -> None:
    archive = Archive()
    archive.folder("etc")
    archive.file("etc/a", b"12345", 0o600)
    archive.link("b", "etc/a")
    archive.device("dev/console", 5, 1)
    data = archive.close()
    assert len(data) % 4 == 0
    assert data.count(b"070701") == 5
    assert data.endswith(b"TRAILER!!!\0\0\0\0")
    assert data.index(b"12345") % 4 == 0


def a_machine(tmp_path: Path, **changes: object) -> Machine:
    fields: dict[str, object] = {
        "accelerator": "tcg",
        "tb_size": 64,
        "run": tmp_path / "run",
        "state": tmp_path / "a,b",
        "disk": tmp_path / "a,b" / "root.qcow2",
        "config_drive": None,
        "vhost": False,
        "user": (7, 8),
        "qmp": 5,
    }
    return Machine(**{**fields, **changes})  # type: ignore[arg-type]


def test_the_command_line_holds_no_text_of_the_user(tmp_path: Path) -> None:
    guest = GuestSpec(GUEST_ID, "evil,name", 2, 512, nics=(GuestNic("lt0", "fa:16:3e:00:00:01"),), files={"x": b"key"})
    command = qemu_command(guest, a_machine(tmp_path))
    assert "evil" not in " ".join(command)
    assert command[command.index("-uuid") + 1] == GUEST_ID
    assert command[command.index("-smp") + 1] == "2"
    assert command[command.index("-runas") + 1] == "7:8"
    assert f"logfile={tmp_path}/a,,b/console.log,logappend=on" in " ".join(command)
    assert "tap,id=net-nic-fa163e000001,ifname=lt0,script=no,downscript=no" in command


def test_kvm_gives_the_guest_the_hosts_processor_and_vhost(tmp_path: Path) -> None:
    guest = GuestSpec(GUEST_ID, "a", 1, 64, nics=(GuestNic("lt0", "fa:16:3e:00:00:01"),))
    command = qemu_command(guest, a_machine(tmp_path, accelerator="kvm", vhost=True, user=None))
    assert (command[command.index("-accel") + 1], command[command.index("-cpu") + 1]) == ("kvm", "host")
    assert "tap,id=net-nic-fa163e000001,ifname=lt0,script=no,downscript=no,vhost=on" in command
    assert "-runas" not in command


def test_a_successor_has_the_same_arguments_but_for_its_control_socket(tmp_path: Path) -> None:
    command = qemu_command(GuestSpec(GUEST_ID, "a", 1, 64), a_machine(tmp_path))
    again = with_qmp(command, 99)
    assert [b for a, b in zip(command, again, strict=True) if a != b] == ["socket,id=qmp,fd=99,server=on,wait=off"]


def test_a_successor_has_the_interfaces_that_its_guest_has_now(tmp_path: Path) -> None:
    first, second = GuestNic("lt0", "fa:16:3e:00:00:01"), GuestNic("lt1", "fa:16:3e:00:00:02")
    both = qemu_command(GuestSpec(GUEST_ID, "a", 1, 64, nics=(first, second)), a_machine(tmp_path))
    one = qemu_command(GuestSpec(GUEST_ID, "a", 1, 64, nics=(first,)), a_machine(tmp_path))
    assert with_nics(one, [first, second]) == both
    assert with_nics(both, [first]) == one


def test_every_device_is_readable_json(tmp_path: Path) -> None:
    command = qemu_command(GuestSpec(GUEST_ID, "a", 1, 64), a_machine(tmp_path, config_drive=tmp_path / "c"))
    devices = [json.loads(command[n + 1]) for n, word in enumerate(command) if word in ("-device", "-blockdev")]
    assert {"driver": "virtio-blk-pci", "drive": "root", "id": "disk0", "bootindex": 0} in devices


def test_a_record_is_kept_and_a_torn_one_is_none(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    assert load(path) is None
    save(path, Record(Asked.ON, 12.5))
    assert load(path) == Record(Asked.ON, 12.5)
    path.write_bytes(b'{"asked": "o')
    assert load(path) is None


def test_a_console_that_grew_large_keeps_its_last_megabyte(tmp_path: Path) -> None:
    log = tmp_path / console.LOG
    log.write_bytes(b"early\n" + b"x" * console.LIMIT)
    console.rotate(tmp_path)
    with log.open("ab") as appended:
        appended.write(b"\nlate\nlater\n")
    assert console.read(tmp_path, 2) == b"late\nlater\n"
    said = console.read(tmp_path, 0)
    assert len(said) == console.LIMIT + len(b"\nlate\nlater\n")
    assert b"early" not in said


@pytest.mark.parametrize("tail", [0, 3])
def test_a_guest_that_never_spoke_has_an_empty_console(tmp_path: Path, tail: int) -> None:
    assert console.read(tmp_path, tail) == b""
    console.rotate(tmp_path)
