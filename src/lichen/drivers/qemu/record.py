# SPDX-License-Identifier: Apache-2.0
"""What the driver must remember of a guest beyond what the machine itself shows: one small JSON file in its folder."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path

import msgspec

from lichen.drivers.base import GuestDisk


class Asked(StrEnum):
    """What was last asked of a guest, or what it did itself. Anything but ON and RESET explains a process that is
    gone; with those two it crashed."""

    ON = "on"
    OFF = "off"
    RESET = "reset"  # power off, then on again in the same process
    GUEST_OFF = "guest-off"  # it powered itself off


class Record(msgspec.Struct):
    """started_at: unix seconds of the last start, 0: never. diskless: it was made without a root disk. nics: (tap, MAC
    address) of the interfaces that the last start, or a plug since, gave it. disks: the
    volumes, in the same way."""

    asked: Asked = Asked.OFF
    started_at: float = 0.0
    diskless: bool = False
    nics: list[tuple[str, str]] = []
    disks: tuple[GuestDisk, ...] = ()


def load(path: Path) -> Record | None:
    """The record at `path`, None if there is none or it is torn."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Record, dec_hook=lambda type_, value: type_(value))
    except (FileNotFoundError, NotADirectoryError, msgspec.DecodeError):
        return None


def save(path: Path, record: Record) -> None:
    """Replace the record; a reader sees the old one or the new one."""
    part = path.with_name(path.name + ".part")
    part.write_bytes(msgspec.json.encode(record, enc_hook=str))
    os.replace(part, path)
