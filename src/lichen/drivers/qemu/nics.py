# SPDX-License-Identifier: Apache-2.0
"""Interfaces plugged into and out of a running guest, over its control socket.

QEMU has dropped the right to open a tap: we open it and hand it the descriptor. Each interface has a PCIe root port of
its own, since nothing can be unplugged from the root bus.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import struct
from collections.abc import Iterator, Sequence

from lichen.drivers.base import GuestNic
from lichen.drivers.qemu.monitor import Monitor
from lichen.model.errors import Temporary

SPARE = "spare"
UNPLUG_SECONDS = 20.0
ASK_AGAIN = 5.0
"""Seconds after which a guest is asked once more to let go: one that boots does not notice."""
_TUNSETIFF = 0x400454CA
_TAP, _NO_HEADER, _OFFLOADS = 0x0002, 0x1000, 0x4000
Words = Sequence[str]


def nic_id(mac: str) -> str:
    return "nic-" + mac.replace(":", "").lower()


def nic_arguments(nic: GuestNic, number: int, *, vhost: bool) -> list[str]:
    """An interface on QEMU's command line: its root port, its tap, its device."""
    id = nic_id(nic.mac)
    port = {"driver": "pcie-root-port", "id": f"port-{id}", "chassis": 32 + number, "bus": "pcie.0"}
    device = {"driver": "virtio-net-pci", "netdev": f"net-{id}", "mac": nic.mac, "id": id, "bus": f"port-{id}"}
    tap = f"tap,id=net-{id},ifname={nic.tap},script=no,downscript=no{',vhost=on' if vhost else ''}"
    return ["-device", json.dumps(port), "-netdev", tap, "-device", json.dumps({**device, "romfile": ""})]


def with_nics(command: list[str], nics: Sequence[GuestNic]) -> list[str]:
    """A running QEMU's arguments, with the interfaces that it has now in the place of those it was started with."""
    pairs = [command[at : at + 2] for at in range(len(command)) if _is_nic(command, at)]
    first = next((at for at in range(len(command)) if _is_nic(command, at)), len(command))
    vhost = any("vhost=on" in word for pair in pairs for word in pair)
    kept: list[str] = []
    at = 0
    while at < len(command):
        if at == first:
            kept += [word for number, nic in enumerate(nics) for word in nic_arguments(nic, number, vhost=vhost)]
        if _is_nic(command, at):
            at += 2
        else:
            kept.append(command[at])
            at += 1
    return kept


def _is_nic(command: Words, at: int) -> bool:
    if command[at] != "-device" or at + 1 == len(command):
        return command[at] == "-netdev"
    return '"port-nic-' in command[at + 1] or '"virtio-net-pci"' in command[at + 1]


async def attach(monitor: Monitor, nic: GuestNic) -> None:
    """Plug it in, as far as that has not happened. Temporary: there is no slot left."""
    id = nic_id(nic.mac)
    if await _is_there(monitor, id):
        return
    bus = await _free_port(monitor)
    with contextlib.suppress(Temporary):  # what an attempt that was cut off left
        await monitor.execute("netdev_del", id=f"net-{id}")
    with _tap(nic.tap) as descriptor:
        await monitor.hand_over(f"fd-{id}", descriptor)
    await monitor.execute("netdev_add", type="tap", id=f"net-{id}", fd=f"fd-{id}")
    try:
        device = {"driver": "virtio-net-pci", "netdev": f"net-{id}", "mac": nic.mac, "id": id, "bus": bus}
        await monitor.execute("device_add", **device, romfile="")
    except Temporary:
        with contextlib.suppress(Temporary):
            await monitor.execute("netdev_del", id=f"net-{id}")
        raise


async def detach(monitor: Monitor, mac: str) -> None:
    """Take it out, as far as that has not happened. Temporary: the guest does not let go of it."""
    id = nic_id(mac)
    deadline = asyncio.get_running_loop().time() + UNPLUG_SECONDS
    while await _is_there(monitor, id):
        left = deadline - asyncio.get_running_loop().time()
        if left <= 0:
            raise Temporary(f"The guest does not let go of interface {mac}.", delay=5.0)
        gone = monitor.deleted(id)
        with contextlib.suppress(Temporary):  # it has been asked already
            await monitor.execute("device_del", id=id)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(gone.wait(), min(left, ASK_AGAIN))
    with contextlib.suppress(Temporary):
        await monitor.execute("netdev_del", id=f"net-{id}")


async def _is_there(monitor: Monitor, id: str) -> bool:
    found = await monitor.execute("qom-list", path="/machine/peripheral")
    return any(item["name"] == id for item in found)


async def _free_port(monitor: Monitor) -> str:
    for bus in await monitor.execute("query-pci"):
        for device in bus.get("devices", []):
            name = device.get("qdev_id", "")
            bridge = device.get("pci_bridge")
            if name.startswith(SPARE) and bridge is not None and not bridge.get("devices"):
                return str(name)
    raise Temporary("The guest has no slot left for another interface.", delay=30.0)


@contextlib.contextmanager
def _tap(name: str) -> Iterator[int]:
    """An open tap, as QEMU wants it: without packet information, with virtio's header."""
    descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        request = struct.pack("16sH22x", name.encode(), _TAP | _NO_HEADER | _OFFLOADS)
        fcntl.ioctl(descriptor, _TUNSETIFF, request)
        yield descriptor
    except OSError as error:
        raise Temporary(f"Tap {name} cannot be opened: {error}", delay=1.0) from error
    finally:
        os.close(descriptor)
