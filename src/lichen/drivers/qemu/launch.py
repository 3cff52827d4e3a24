# SPDX-License-Identifier: Apache-2.0
"""Starts one QEMU: in its cgroup, with no parent, no terminal and no pipe to us, so that it outlives the agent.

QEMU inherits a socket that listens already: whoever connects waits in its queue for the greeting, and is cut off if
QEMU dies, so that nothing has to ask whether it is up. (`-daemonize` forks after the sandbox forbids that.)
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lichen.drivers import cgroups
from lichen.drivers.base import GuestSpec
from lichen.drivers.qemu.command import Machine, qemu_command, with_qmp
from lichen.drivers.qemu.disk import DISK, RESCUE
from lichen.drivers.qemu.iso9660 import iso9660
from lichen.model.errors import Temporary

MIB = 1 << 20
OVERHEAD = 512
"""MiB a QEMU may use beside the guest's memory and its translated code."""
QMP, LOG = "qmp", "qemu.log"
_DETACH = """
log=$1; shift
while [ "$1" != -- ]; do echo 0 > "$1" || exit 97; shift; done
shift
"$@" < /dev/null > "$log" 2>&1 &
"""


@dataclass(frozen=True, slots=True)
class Engine:
    """What all guests of a driver share. cgroup: parent of the guests' groups; users: drop each QEMU to a user id of
    its own."""

    accelerator: str
    tb_size: int
    cgroup: str
    users: bool

    def group(self, guest_id: str) -> str:
        return f"{self.cgroup}/{guest_id}"


async def launch(engine: Engine, guest: GuestSpec, state: Path, run: Path) -> None:
    """Start QEMU for a guest; its control socket `run`/qmp greets when its devices stand, and hangs up if they can't
    (complaint() says why). Temporary if its cgroup can't be joined."""
    disk = state / DISK
    run.mkdir(parents=True, exist_ok=True)
    group = engine.group(guest.id)
    memory = (guest.memory + engine.tb_size + OVERHEAD) * MIB
    cgroups.create(group)
    cgroups.limit(group, cpu_shares=1024 * guest.vcpus, memory_bytes=memory, tasks=256 + guest.vcpus)
    with _listening(run / QMP) as qmp:
        machine = Machine(
            accelerator=engine.accelerator,
            tb_size=engine.tb_size,
            run=run,
            state=state,
            disk=state / RESCUE if guest.rescue else disk if disk.exists() else None,
            second=disk if guest.rescue and disk.exists() else None,
            config_drive=_config_drive(run / "config.iso", guest.files),
            vhost=engine.accelerator == "kvm" and Path("/dev/vhost-net").exists(),
            user=_own_user(guest.id, state) if engine.users else None,
            qmp=qmp.fileno(),
        )
        await _spawn(group, run, qmp, qemu_command(guest, machine))


async def relaunch(engine: Engine, guest_id: str, arguments: list[str], run: Path) -> None:
    """Start QEMU once more as it was: with the arguments of the process that has just ended, in its cgroup."""
    with _listening(run / QMP) as qmp:
        await _spawn(engine.group(guest_id), run, qmp, with_qmp(arguments, qmp.fileno()))


async def _spawn(group: str, run: Path, qmp: socket.socket, command: list[str]) -> None:
    joins = [str(hierarchy / group / "cgroup.procs") for hierarchy in cgroups.hierarchies()]
    process = await asyncio.create_subprocess_exec(
        *("sh", "-c", _DETACH, "sh", str(run / LOG), *joins, "--", *command),
        cwd="/",
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
        pass_fds=(qmp.fileno(),),
    )
    if await process.wait() != 0:
        raise Temporary("QEMU could not be put into its cgroup")


def complaint(run: Path) -> str:
    """The last words of a QEMU that did not start."""
    try:
        return (run / LOG).read_text(errors="replace").strip()[-400:]
    except FileNotFoundError:
        return ""


def _listening(path: Path) -> socket.socket:
    path.unlink(missing_ok=True)
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(path))
    server.listen(4)
    return server


def _config_drive(path: Path, files: Mapping[str, bytes]) -> Path | None:
    path.unlink(missing_ok=True)
    if not files:
        return None
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as drive:
        drive.write(iso9660(files, "config-2"))
    return path


def _own_user(guest_id: str, state: Path) -> tuple[int, int]:
    """A user id that only this guest's QEMU has; its disk and log become that user's (the image's link does not)."""
    number = 1_600_000_000 + int.from_bytes(hashlib.sha256(guest_id.encode()).digest()[:3], "big")
    for path in (state, state / DISK, state / RESCUE, state / "console.log"):
        if path.exists():
            os.chown(path, number, number)
    return number, number
