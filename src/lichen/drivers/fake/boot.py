# SPDX-License-Identifier: Apache-2.0
"""What a simulated guest writes on its serial console while it boots, line by line as its time passes."""

from __future__ import annotations

import msgspec

from lichen.drivers.base import GuestSpec
from lichen.drivers.fake.faults import META_DATA


def boot_log(guest: GuestSpec, started: float, ended: float | None, now: float, boot: float) -> list[str]:
    """Lines written until `now` in a run that began at `started` and ended at `ended`, None if it goes on."""
    until = min(now, ended if ended is not None else now) - started
    script = _script(guest, boot)
    lines = [f"[{at:12.6f}] {words}" for at, words in script if at <= until]
    if len(lines) == len(script):
        lines += ["", f"{hostname_of(guest)} login:"]
    return lines


def _script(guest: GuestSpec, boot: float) -> list[tuple[float, str]]:
    words = [
        "Linux version 6.1.0-simulated (lichen@simulate) #1 SMP",
        "Command line: console=ttyS0",
        f"Memory: {guest.memory * 1024}K/{guest.memory * 1024}K available",
        f"smp: Brought up 1 node, {guest.vcpus} CPU{'s' if guest.vcpus > 1 else ''}",
        *(f"virtio_net virtio{n}: MAC {nic.mac} on {nic.tap}" for n, nic in enumerate(guest.nics)),
        "Run /sbin/init as init process",
        f"config drive: {len(guest.files)} files",
        f"hostname set to {hostname_of(guest)}",
    ]
    return [(boot * n / len(words), line) for n, line in enumerate(words, start=1)]


def hostname_of(guest: GuestSpec) -> str:
    try:
        meta = msgspec.json.decode(guest.files.get(META_DATA, b"{}"))
    except msgspec.DecodeError:
        return guest.name
    return str(meta.get("hostname") or guest.name)
