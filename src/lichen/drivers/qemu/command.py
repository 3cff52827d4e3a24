# SPDX-License-Identifier: Apache-2.0
"""QEMU's command line for a guest: pure, so that a test reads it as one list."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from lichen.drivers.base import GuestSpec
from lichen.drivers.qemu.nics import nic_arguments
from lichen.drivers.qemu.volumes import disk_arguments

SPARE_PORTS = 8
"""PCIe root ports left free, so that disks and interfaces can be plugged into a running guest."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What the command line needs beyond the guest. user: (uid, gid) QEMU drops to, None keeps the caller's.
    qmp: the inherited file descriptor that listens for the control connection."""

    accelerator: str
    tb_size: int  # MiB of translated code under TCG
    run: Path
    state: Path
    disk: Path | None
    config_drive: Path | None
    vhost: bool
    user: tuple[int, int] | None
    qmp: int
    second: Path | None = None  # the guest's own disk while it is booted from another


def qemu_command(guest: GuestSpec, machine: Machine) -> list[str]:
    """Arguments of one QEMU. Guest-given text other than ids stays out of them."""
    kvm = machine.accelerator == "kvm"
    accelerator = "kvm" if kvm else f"tcg,thread=multi,tb-size={machine.tb_size}"
    command = ["qemu-system-x86_64", "-name", f"guest={guest.id}"]
    command += ["-M", "q35,usb=off,vmport=off", "-accel", accelerator, "-cpu", "host" if kvm else "max"]
    command += ["-smp", str(guest.vcpus), "-m", str(guest.memory)]
    command += ["-nodefaults", "-no-user-config", "-display", "none", "-action", "shutdown=pause"]
    command += ["-rtc", "base=utc,driftfix=slew", "-global", "ICH9-LPC.disable_s3=1"]
    if re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", guest.id):
        command += ["-uuid", guest.id]
    command += _control(machine)
    command += _disks(machine)
    for number, nic in enumerate(guest.nics):
        command += nic_arguments(nic, number, vhost=machine.vhost)
    command += _device("virtio-rng-pci", id="rng0")
    for number in range(SPARE_PORTS):
        command += _device("pcie-root-port", id=f"spare{number}", chassis=number + 1, bus="pcie.0")
    command += disk_arguments(guest.disks)
    command += ["-sandbox", "on,obsolete=deny,spawn=deny,resourcecontrol=deny"]
    if machine.user:
        command += ["-runas", "{}:{}".format(*machine.user)]
    return [*command, "-pidfile", str(machine.run / "pid")]


def with_qmp(command: list[str], descriptor: int) -> list[str]:
    """A running QEMU's arguments, but for the descriptor that its successor inherits."""
    return [re.sub(r"^socket,id=qmp,fd=\d+", f"socket,id=qmp,fd={descriptor}", word) for word in command]


def _control(machine: Machine) -> list[str]:
    log = f"logfile={_plain(machine.state / 'console.log')},logappend=on"
    return [
        *("-chardev", f"socket,id=qmp,fd={machine.qmp},server=on,wait=off"),
        *("-mon", "chardev=qmp,mode=control"),
        *("-chardev", f"socket,id=console,path={_plain(machine.run / 'console')},server=on,wait=off,{log}"),
        *("-serial", "chardev:console"),
    ]


def _disks(machine: Machine) -> list[str]:
    command: list[str] = []
    if machine.disk:
        command += _qcow2("root", machine.disk)
        command += _device("virtio-blk-pci", drive="root", id="disk0", bootindex=0)
    if machine.second:
        command += _qcow2("second", machine.second)
        command += _device("virtio-blk-pci", drive="second", id="disk1")
    if machine.config_drive:
        file = {"driver": "file", "filename": str(machine.config_drive)}
        drive = {"driver": "raw", "node-name": "config", "read-only": True, "file": file}
        command += ["-blockdev", json.dumps(drive)]
        command += _device("virtio-blk-pci", drive="config", id="config0")
    return command


def _qcow2(name: str, path: Path) -> list[str]:
    file = {"driver": "file", "filename": str(path), "discard": "unmap"}
    return ["-blockdev", json.dumps({"driver": "qcow2", "node-name": name, "discard": "unmap", "file": file})]


def _device(driver: str, **properties: str | int) -> list[str]:
    return ["-device", json.dumps({"driver": driver, **properties})]


def _plain(path: Path) -> str:
    """A path inside one of QEMU's comma-separated options."""
    return str(path).replace(",", ",,")
