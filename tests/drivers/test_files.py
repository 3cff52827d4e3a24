# SPDX-License-Identifier: Apache-2.0
"""The image store keeps whole, honest images and nothing else."""

from __future__ import annotations

import errno
import hashlib
import os
import struct
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lichen.drivers.files.formats import BadImage, check
from lichen.drivers.files.images import ImageStore, StoreFull, TooBig

ID = "6f0fd1f1-7f0c-4c57-9a9b-0b3c8f8f6a11"


def qcow2(size: int = 1 << 30, *, version: int = 3, backing: int = 0, incompatible: int = 0) -> bytes:
    head = b"QFI\xfb" + struct.pack(">IQIIQ", version, backing, 0, 16, size)
    return head + bytes(72 - len(head)) + struct.pack(">QQQII", incompatible, 0, 0, 4, 104) + bytes(4096)


async def chunks(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def read(store: ImageStore, *arguments: int) -> bytes:
    return b"".join([chunk async for chunk in await store.open(ID, *arguments)])


async def test_stores_a_raw_image_with_its_digests(tmp_path: Path) -> None:
    store = ImageStore(tmp_path / "images")
    data = os.urandom(3_000_000)
    stored = await store.put(ID, chunks(data[:7], data[7:2_000_000], data[2_000_000:]), format="raw")
    assert (stored.size, stored.virtual_size, stored.format) == (3_000_000, 3_000_000, "raw")
    assert stored.md5 == hashlib.md5(data).hexdigest()
    assert stored.sha512 == hashlib.sha512(data).hexdigest()
    assert await read(store) == data
    assert await read(store, 10, 20) == data[10:30]
    assert await read(store, 2_999_990) == data[2_999_990:]


async def test_reads_the_virtual_size_of_a_qcow2(tmp_path: Path) -> None:
    stored = await ImageStore(tmp_path).put(ID, chunks(qcow2(5 << 30)), format="qcow2")
    assert (stored.virtual_size, stored.format) == (5 << 30, "qcow2")


@pytest.mark.parametrize(
    ("data", "declared", "says"),
    [
        (b"not an image", "qcow2", "declared qcow2, found raw"),
        (qcow2(), "raw", "declared raw, found qcow2"),
        (qcow2(backing=512), "qcow2", "backing file"),
        (qcow2(incompatible=4), "qcow2", "external data file"),
        (qcow2(incompatible=64), "qcow2", "not known"),
        (qcow2(version=9), "qcow2", "version 9"),
        (b"QFI\xfb\0", "qcow2", "cut off"),
        (b'# Disk DescriptorFile\ncreateType="monolithicFlat"', "vmdk", "VMDK"),
        (b"KDMV" + bytes(600) + b'createType="monolithicFlat"', "vmdk", "VMDK"),
    ],
)
async def test_refuses_what_is_not_what_it_says_or_reaches_for_other_files(
    tmp_path: Path, data: bytes, declared: str, says: str
) -> None:
    store = ImageStore(tmp_path)
    with pytest.raises(BadImage, match=says):
        await store.put(ID, chunks(data), format=declared)
    assert list(tmp_path.iterdir()) == []


def test_knows_the_other_formats_by_their_magic() -> None:
    assert check(b"vhdxfile" + bytes(100), "vhdx").format == "vhdx"
    assert check(bytes(64) + b"\x7f\x10\xda\xbe" + bytes(300) + struct.pack("<Q", 77), "vdi").virtual_size == 77
    assert check(bytes(32769) + b"CD001", "iso").format == "iso"
    assert (
        check(b"KDMV" + bytes(8) + struct.pack("<Q", 2) + b'createType="streamOptimized"', "vmdk").virtual_size == 1024
    )


async def test_stops_at_the_limit_and_keeps_nothing(tmp_path: Path) -> None:
    with pytest.raises(TooBig):
        await ImageStore(tmp_path).put(ID, chunks(bytes(60), bytes(60)), format="raw", limit=100)
    assert list(tmp_path.iterdir()) == []


async def test_an_upload_that_breaks_off_leaves_nothing(tmp_path: Path) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield bytes(2_000_000)
        raise ConnectionError("gone")

    with pytest.raises(ConnectionError):
        await ImageStore(tmp_path).put(ID, broken(), format="raw")
    assert list(tmp_path.iterdir()) == []


async def test_a_full_disk_is_said_clearly_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("lichen.drivers.files.images.os.fsync", full)
    with pytest.raises(StoreFull, match="no room"):
        await ImageStore(tmp_path).put(ID, chunks(bytes(10)), format="raw")
    assert list(tmp_path.iterdir()) == []


async def test_deleting_twice_is_fine_and_ids_cannot_leave_the_directory(tmp_path: Path) -> None:
    store = ImageStore(tmp_path)
    await store.put(ID, chunks(b"x"), format="raw")
    await store.delete(ID)
    await store.delete(ID)
    assert store.size(ID) is None
    with pytest.raises(ValueError, match="not an image id"):
        store.path("../../etc/passwd")
    with pytest.raises(FileNotFoundError):
        await store.open(ID)


async def test_knows_what_is_here_and_what_is_being_uploaded(tmp_path: Path) -> None:
    store, other = ImageStore(tmp_path), "7f0fd1f1-7f0c-4c57-9a9b-0b3c8f8f6a12"
    await store.put(ID, chunks(b"x"), format="raw")
    seen: list[set[str]] = []

    async def watched() -> AsyncIterator[bytes]:
        yield b"y"
        seen.append(await store.uploading())

    await store.put(other, watched(), format="raw")
    assert seen == [{other}]
    assert (await store.ids(), await store.uploading()) == ({ID, other}, set())


async def test_what_a_killed_upload_left_is_removed(tmp_path: Path) -> None:
    left = tmp_path / f".{ID}.abc"
    left.write_bytes(b"half")
    os.utime(left, (0, 0))
    assert await ImageStore(tmp_path).uploading() == set()
    assert list(tmp_path.iterdir()) == []
