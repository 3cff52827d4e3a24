# SPDX-License-Identifier: Apache-2.0
"""Root disks: a qcow2 overlay on a hard link of the image, so that deleting the image breaks no guest.

Images come from users and are not trusted: a format is never guessed, and an image that refers to other files
(backing file, external data file) or is encrypted is refused before any byte of it is used.
"""

from __future__ import annotations

import asyncio
import errno
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from lichen.model.errors import Permanent, Temporary

FORMATS = ("qcow2", "raw")
GIB = 1 << 30
DISK, HELD = "root.qcow2", "held-"
RESCUE, RESCUE_BASE = "rescue.qcow2", "rescue-base"
_LIMITS = ("prlimit", "--as=2147483648", "--cpu=30")


async def create_rescue(folder: Path, image: Path, image_format: str) -> None:
    """Make `folder`/rescue.qcow2, to boot from instead of the root disk, if it is not there. As `create_root`."""
    if not (folder / RESCUE).exists():
        await create_root(folder, image, image_format, 0, disk=RESCUE, base=RESCUE_BASE)


def drop_rescue(folder: Path) -> None:
    """Remove what `create_rescue` made."""
    for name in (RESCUE, RESCUE_BASE):
        (folder / name).unlink(missing_ok=True)


async def create_root(
    folder: Path, image: Path | None, image_format: str, gib: int, *, disk: str = "root.qcow2", base: str = "base"
) -> None:
    """Make `folder`/root.qcow2 of `gib` GiB (0: the image's size) from the image, or empty without one.
    Permanent InvalidImage or DiskTooSmall; Temporary if the disk is full."""
    size = gib * GIB
    backing: tuple[str, ...] = ()
    if image is not None:
        virtual = await image_size(image, image_format)
        if size and size < virtual:
            raise Permanent("DiskTooSmall", f"The image needs {-(-virtual // GIB)} GiB, the disk has {gib} GiB.")
        size = max(size, virtual)
        try:
            await asyncio.to_thread(_hold, image, folder / base)
        except OSError as error:
            raise Temporary(f"The image cannot be put beside the guest's disk: {error}") from error
        backing = ("-b", base, "-F", image_format)
    part = folder / (disk + ".part")
    part.unlink(missing_ok=True)
    options = ("-f", "qcow2", "-o", "lazy_refcounts=on,extended_l2=off", *backing)
    await _qemu_img("create", "-q", *options, str(part), str(-(-size // 512) * 512), cwd=folder)
    os.replace(part, folder / disk)


async def grow_root(folder: Path, gib: int) -> None:
    """Make a root disk that no QEMU has open at least `gib` GiB large. Temporary if the disk is full."""
    facts = json.loads(await _qemu_img("info", "-f", "qcow2", "--output=json", str(folder / DISK)))
    if facts["virtual-size"] < gib * GIB:
        await _qemu_img("resize", "-q", "-f", "qcow2", str(folder / DISK), str(gib * GIB))


async def hold_root(folder: Path) -> Path:
    """A copy of the overlay as it is, beside it, for `flatten`; one at a time. Temporary if the disk is full."""
    for left in folder.glob(f"{HELD}*"):  # by an agent that ended meanwhile
        left.unlink(missing_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=HELD, suffix=".qcow2", dir=folder)
    os.close(descriptor)
    process = await asyncio.create_subprocess_exec(
        "cp", "--reflink=auto", "--sparse=auto", "--", str(folder / DISK), name,
        stdin=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    _, err = await process.communicate()
    if process.returncode != 0:
        Path(name).unlink(missing_ok=True)
        raise Temporary(f"The disk cannot be held: {err.decode(errors='replace').strip()[-300:]}")
    return Path(name)


async def flatten(held: Path, target: Path) -> None:
    """Write what `held` shows, its image below it included, as one qcow2; `held` is gone then."""
    try:
        await _qemu_img("convert", "-q", "-f", "qcow2", "-O", "qcow2", str(held), str(target), cwd=held.parent)
    finally:
        held.unlink(missing_ok=True)


async def image_size(image: Path, image_format: str) -> int:
    """The virtual size in bytes of a harmless image. Permanent InvalidImage says what is wrong with it."""
    if image_format not in FORMATS:
        raise Permanent("InvalidImage", f"Images of format {image_format} cannot be used; convert it to qcow2 or raw.")
    if not image.is_file():
        raise Temporary(f"The image is not on this node yet: {image.name}")
    if image_format == "raw":
        return image.stat().st_size
    try:
        text = await _qemu_img("info", "-U", "-f", "qcow2", "--output=json", str(image))
        facts: dict[str, Any] = json.loads(text)
    except (Temporary, ValueError) as error:
        raise Permanent("InvalidImage", f"The image is no readable qcow2: {error}") from error
    fault = _fault(facts)
    if fault:
        raise Permanent("InvalidImage", f"The image is refused: it {fault}.")
    return int(facts["virtual-size"])


def _fault(facts: dict[str, Any]) -> str:
    data = facts.get("format-specific", {}).get("data", {})
    if "backing-filename" in facts or "full-backing-filename" in facts:
        return "refers to another file as its backing file"
    if "data-file" in data:
        return "keeps its data in another file"
    if facts.get("encrypted") or "encrypt" in data:
        return "is encrypted"
    if data.get("corrupt"):
        return "is marked as corrupt"
    return ""


def _hold(image: Path, base: Path) -> None:
    """A name of our own for the image's bytes; a copy only across file systems."""
    base.unlink(missing_ok=True)
    try:
        os.link(image, base)
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EPERM, errno.EMLINK):
            raise
        part = base.with_name(base.name + ".part")
        shutil.copyfile(image, part)
        os.replace(part, base)


async def _qemu_img(*arguments: str, cwd: Path | None = None) -> str:
    limits = _LIMITS if arguments[0] == "info" else ()
    process = await asyncio.create_subprocess_exec(
        *limits,
        "qemu-img",
        *arguments,
        cwd=cwd,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    if process.returncode != 0:
        raise Temporary(err.decode(errors="replace").strip()[-400:] or f"qemu-img ended with {process.returncode}")
    return out.decode()
