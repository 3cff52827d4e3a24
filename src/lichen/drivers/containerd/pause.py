# SPDX-License-Identifier: Apache-2.0
"""The image of what holds a pod's namespaces: one program of 132 bytes that sleeps until it is killed."""

from __future__ import annotations

import platform
import struct
from pathlib import Path

from lichen.drivers.containerd.archive import Root, write_archive
from lichen.drivers.containerd.config import PAUSE_IMAGE
from lichen.model.errors import Permanent

_BASE = 0x400000
_CODE = {
    # mov eax, 34 (pause); syscall; jmp back
    "x86_64": (62, bytes.fromhex("b822000000 0f05 ebf7")),
    # x0-x4 = 0; x8 = 73 (ppoll); svc 0; b back
    "aarch64": (183, bytes.fromhex("000080d2 010080d2 020080d2 030080d2 040080d2 280980d2 010000d4 f9ffff17")),
}


def program(machine: str = "") -> bytes:
    """A static ELF executable for this machine (or the one named) that only waits."""
    machine = machine or platform.machine()
    if machine not in _CODE:
        raise Permanent("UnknownMachine", f"no pause program for {machine} machines: x86_64 and aarch64 are known")
    number, code = _CODE[machine]
    size = 64 + 56 + len(code)
    ident = b"\x7fELF\x02\x01\x01" + bytes(9)
    header = ident + struct.pack("<HHIQQQIHHHHHH", 2, number, 1, _BASE + 120, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, _BASE, _BASE, size, size, 0x1000)
    return header + segment + code


def build_pause(out: Path) -> None:
    """Write the image's archive."""
    root = Root(files={"pause": program()})
    write_archive(out, PAUSE_IMAGE, root, command=("/pause",), path="/")
