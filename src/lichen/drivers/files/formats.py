# SPDX-License-Identifier: Apache-2.0
"""What an image's first bytes say it is. Pure; only as much of each format as safety and the virtual size need.

A disk image can name other files (a backing file, an external data file, extents): on a host those names would be
opened with the host's rights, so such images are refused, whoever uploads them.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass

HEAD = 128 * 1024
"""How many of an image's first bytes `inspect` wants to see."""

INSPECTED = frozenset({"qcow2", "vmdk", "vdi", "vhd", "vhdx", "iso"})
_RAW_LIKE = frozenset({"raw", "aki", "ari", "ami", "ploop"})
_VMDK_SELF_CONTAINED = frozenset({b"monolithicSparse", b"streamOptimized"})


class BadImage(ValueError):
    """The bytes are not what was declared, or are not safe to use. The message is for the person who sent them."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What was found: the format's name and the size of the disk it describes (None: as long as the file)."""

    format: str
    virtual_size: int | None = None


def inspect(head: bytes) -> Shape:
    """The shape of an image that starts with `head` (its first HEAD bytes, or all of it if it is shorter)."""
    if head[:4] == b"QFI\xfb":
        return _qcow2(head)
    if head[:4] == b"KDMV" or head[:21] == b"# Disk DescriptorFile":
        return _vmdk(head)
    if head[:8] == b"vhdxfile":
        return Shape("vhdx")
    if head[:8] == b"conectix":
        return Shape("vhd", struct.unpack(">Q", head[48:56])[0] if len(head) >= 56 else None)
    if head[64:68] == b"\x7f\x10\xda\xbe":
        return Shape("vdi", struct.unpack("<Q", head[368:376])[0] if len(head) >= 376 else None)
    if head[32769:32774] == b"CD001":
        return Shape("iso")
    return Shape("raw")


def check(head: bytes, declared: str) -> Shape:
    """The shape of an image declared as `declared`. BadImage: it is another format, or refers to other files."""
    found = inspect(head)
    if declared in INSPECTED and found.format != declared:
        raise BadImage(f"Image content does not match disk_format: declared {declared}, found {found.format}")
    if declared in _RAW_LIKE and found.format not in ("raw", "iso"):
        raise BadImage(f"Image content does not match disk_format: declared {declared}, found {found.format}")
    return found if declared in INSPECTED else Shape(declared)


def _qcow2(head: bytes) -> Shape:
    if len(head) < 72:
        raise BadImage("Image is not a valid qcow2: its header is cut off")
    version, backing_offset, _, _, size = struct.unpack(">IQIIQ", head[4:32])
    if version not in (2, 3):
        raise BadImage(f"Image is not a valid qcow2: version {version} is unknown")
    if backing_offset:
        raise BadImage("Image refused: a qcow2 with a backing file is not allowed")
    if version == 3:
        _qcow2_features(head)
    return Shape("qcow2", size)


def _qcow2_features(head: bytes) -> None:
    if len(head) < 104:
        raise BadImage("Image is not a valid qcow2: its header is cut off")
    incompatible = struct.unpack(">Q", head[72:80])[0]
    if incompatible & 0b100:
        raise BadImage("Image refused: a qcow2 with an external data file is not allowed")
    if incompatible >> 5:
        raise BadImage("Image refused: it uses qcow2 features that are not known")


def _vmdk(head: bytes) -> Shape:
    kinds = set(re.findall(rb'createType="([^"]*)"', head))
    if head[:4] != b"KDMV" or not kinds or not kinds <= _VMDK_SELF_CONTAINED:
        raise BadImage("Image refused: only monolithicSparse and streamOptimized VMDKs are allowed")
    return Shape("vmdk", struct.unpack("<Q", head[12:20])[0] * 512)
