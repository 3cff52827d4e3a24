# SPDX-License-Identifier: Apache-2.0
"""Volumes as disks of a guest: on QEMU's command line, and plugged into and out of a running guest.

QEMU runs as a user who may open no volume: it is handed the open file. A disk leaves when the guest lets go of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
from collections.abc import Sequence
from typing import Any

from lichen.drivers.base import GuestDisk
from lichen.drivers.qemu.monitor import Monitor
from lichen.model.errors import Permanent, Temporary

LET_GO = 20.0
"""Seconds a guest is waited for at a time; one that still boots answers no request."""
ASK_AGAIN = 2.0
SPARE, PREFIX = "spare", "volume-"
_OURS = re.compile(r'"(node-name|id)": "volume-')


def disk_arguments(disks: Sequence[GuestDisk]) -> list[str]:
    """Disks on QEMU's command line."""
    command: list[str] = []
    for number, disk in enumerate(disks):
        command += ["-blockdev", json.dumps(_backend(disk, str(disk.path)))]
        command += ["-device", json.dumps(_frontend(disk, f"{SPARE}{number}"))]
    return command


def with_disks(command: Sequence[str], disks: Sequence[GuestDisk]) -> list[str]:
    """A running QEMU's arguments, with the disks that it has now in the place of those it was started with."""
    kept: list[str] = []
    for word in command:
        if word.startswith("{") and _OURS.search(word):
            kept.pop()
        else:
            kept.append(word)
    at = kept.index("-sandbox")
    return [*kept[:at], *disk_arguments(disks), *kept[at:]]


async def plugged(monitor: Monitor) -> frozenset[str]:
    """Ids of the volumes that are devices of the guest."""
    found = await monitor.execute("qom-list", path="/machine/peripheral")
    names = (str(entry["name"]) for entry in found)
    return frozenset(name.removeprefix(PREFIX) for name in names if name.startswith(PREFIX))


async def plug(monitor: Monitor, disk: GuestDisk) -> None:
    """Permanent NoFreeSlot. Temporary: QEMU refused; nothing is left of the try."""
    port = await _free_port(monitor)
    await _close(monitor, disk.id)
    try:
        descriptor = os.open(disk.path, os.O_RDONLY if disk.read_only else os.O_RDWR)
    except OSError as error:
        raise Temporary(f"The bytes of volume {disk.id} cannot be opened: {error.strerror}") from error
    try:
        lent = await monitor.lend(descriptor, _node(disk.id))
    finally:
        os.close(descriptor)
    try:
        await monitor.execute("blockdev-add", **_backend(disk, f"/dev/fdset/{lent}"))
        await monitor.execute("device_add", **_frontend(disk, port))
    except Temporary:
        await _close(monitor, disk.id)
        raise
    finally:
        with contextlib.suppress(Temporary):
            await monitor.take_back(_node(disk.id))


async def unplug(monitor: Monitor, disk_id: str) -> None:
    """Temporary: the guest does not let go of it yet."""
    deadline = asyncio.get_running_loop().time() + LET_GO
    while disk_id in await plugged(monitor):
        left = deadline - asyncio.get_running_loop().time()
        if left <= 0:
            raise Temporary("The guest does not let go of the disk yet.", delay=2.0)
        gone = monitor.deleted(PREFIX + disk_id)
        with contextlib.suppress(Temporary):  # it was asked before and has not answered
            await monitor.execute("device_del", id=PREFIX + disk_id)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(gone.wait(), min(left, ASK_AGAIN))
    await _close(monitor, disk_id)


async def resize(monitor: Monitor, disk: GuestDisk) -> None:
    """Tell the guest how large the volume is now."""
    await monitor.execute("block_resize", **{"node-name": _node(disk.id), "size": disk.path.stat().st_size})


def _node(disk_id: str) -> str:
    """The name of a volume's bytes in QEMU; at most 31 letters."""
    return PREFIX + disk_id.replace("-", "")[:24]


def _backend(disk: GuestDisk, filename: str) -> dict[str, Any]:
    """What `-blockdev` and blockdev-add take."""
    file = {"driver": "file", "filename": filename, "discard": "unmap", "read-only": disk.read_only}
    options = {"discard": "unmap", "detect-zeroes": "unmap", "read-only": disk.read_only}
    return {"driver": "raw", "node-name": _node(disk.id), **options, "file": file}


def _frontend(disk: GuestDisk, port: str) -> dict[str, Any]:
    """What `-device` and device_add take; port: the free root port."""
    boot = {"bootindex": 0} if disk.boot else {}
    names = {"drive": _node(disk.id), "id": PREFIX + disk.id, "serial": disk.id[:20]}
    return {"driver": "virtio-blk-pci", **names, "bus": port, **boot}


async def _free_port(monitor: Monitor) -> str:
    for bus in await monitor.execute("query-pci"):
        for device in bus.get("devices", []):
            name, bridge = str(device.get("qdev_id", "")), device.get("pci_bridge")
            if name.startswith(SPARE) and bridge is not None and not bridge.get("devices"):
                return name
    raise Permanent("NoFreeSlot", "The server has no free slot for another disk: detach one, or stop and start it.")


async def _close(monitor: Monitor, disk_id: str) -> None:
    """Close the bytes if no device uses them, and what was lent of them by a process that was killed meanwhile."""
    with contextlib.suppress(Temporary):
        await monitor.execute("blockdev-del", **{"node-name": _node(disk_id)})
    with contextlib.suppress(Temporary):
        await monitor.take_back(_node(disk_id))
