# SPDX-License-Identifier: Apache-2.0
"""Root disks from images, and images that try to reach beyond themselves. Needs qemu-img."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from lichen.drivers.qemu.disk import GIB, create_root, image_size
from lichen.drivers.qemu.probe import choose_accelerator
from lichen.model.errors import Permanent, Temporary


def qemu_img(*arguments: str, cwd: Path) -> str:
    return subprocess.run(["qemu-img", *arguments], cwd=cwd, check=True, capture_output=True, text=True).stdout


def info(path: Path) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads(qemu_img("info", "-f", "qcow2", "--output=json", path.name, cwd=path.parent))
    return facts


async def test_a_disk_is_an_overlay_grown_to_its_size(tmp_path: Path) -> None:
    qemu_img("create", "-q", "-f", "qcow2", "image", "100M", cwd=tmp_path)
    guest = tmp_path / "guest"
    guest.mkdir()
    await create_root(guest, tmp_path / "image", "qcow2", 1)
    (tmp_path / "image").unlink()
    facts = info(guest / "root.qcow2")
    assert (facts["virtual-size"], facts["backing-filename"]) == (GIB, "base")


async def test_a_disk_of_size_zero_is_as_large_as_its_image(tmp_path: Path) -> None:
    (tmp_path / "image").write_bytes(bytes(5 << 20))
    await create_root(tmp_path, tmp_path / "image", "raw", 0)
    facts = info(tmp_path / "root.qcow2")
    assert (facts["virtual-size"], facts["backing-filename-format"]) == (5 << 20, "raw")


async def test_a_disk_without_an_image_is_empty(tmp_path: Path) -> None:
    await create_root(tmp_path, None, "qcow2", 2)
    facts = info(tmp_path / "root.qcow2")
    assert facts["virtual-size"] == 2 * GIB
    assert "backing-filename" not in facts


async def test_a_raw_image_that_looks_like_qcow2_is_still_raw(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"secret" * 1000)
    qemu_img("create", "-q", "-f", "qcow2", "-b", str(tmp_path / "secret"), "-F", "raw", "image", cwd=tmp_path)
    await create_root(tmp_path, tmp_path / "image", "raw", 1)
    assert info(tmp_path / "root.qcow2")["backing-filename-format"] == "raw"


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        (("-b", "/etc/passwd", "-F", "raw"), "backing file"),
        (("-o", "data_file=outside"), "keeps its data in another file"),
    ],
)
async def test_an_image_that_reaches_beyond_itself_is_refused(
    tmp_path: Path, options: tuple[str, ...], fault: str
) -> None:
    size = () if "-b" in options else ("10M",)
    qemu_img("create", "-q", "-f", "qcow2", *options, "image", *size, cwd=tmp_path)
    with pytest.raises(Permanent, match=fault) as refused:
        await create_root(tmp_path, tmp_path / "image", "qcow2", 1)
    assert refused.value.reason == "InvalidImage"
    assert not (tmp_path / "root.qcow2").exists()


async def test_an_encrypted_image_is_refused(tmp_path: Path) -> None:
    qemu_img("create", "-q", "-f", "qcow2", "image", "10M", cwd=tmp_path)
    with (tmp_path / "image").open("r+b") as image:
        image.seek(32)  # crypt_method of the header; making LUKS here would fail on a busy machine
        image.write(b"\0\0\0\1")
    with pytest.raises(Permanent, match="is encrypted"):
        await image_size(tmp_path / "image", "qcow2")


@pytest.mark.parametrize("content", [b"", b"no image at all", b"QFI\xfb" + bytes(range(200))])
async def test_an_image_that_is_none_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "image").write_bytes(content)
    with pytest.raises(Permanent, match="no readable qcow2"):
        await image_size(tmp_path / "image", "qcow2")


async def test_other_formats_are_refused_and_an_absent_image_is_waited_for(tmp_path: Path) -> None:
    with pytest.raises(Permanent, match="vmdk"):
        await image_size(tmp_path, "vmdk")
    with pytest.raises(Temporary):
        await image_size(tmp_path / "absent", "qcow2")


async def test_a_disk_smaller_than_its_image_is_refused(tmp_path: Path) -> None:
    qemu_img("create", "-q", "-f", "qcow2", "image", "3G", cwd=tmp_path)
    with pytest.raises(Permanent, match="needs 3 GiB, the disk has 1 GiB"):
        await create_root(tmp_path, tmp_path / "image", "qcow2", 1)


async def test_without_kvm_or_without_an_image_to_prove_it_the_verdict_is_tcg(tmp_path: Path) -> None:
    verdict = await choose_accelerator(tmp_path, None, kvm=tmp_path / "kvm")
    assert (verdict.accelerator, "missing" in verdict.why) == ("tcg", True)
    (tmp_path / "kvm").touch()
    verdict = await choose_accelerator(tmp_path, tmp_path / "absent", kvm=tmp_path / "kvm")
    assert (verdict.accelerator, "unproved" in verdict.why) == ("tcg", True)
    assert os.listdir(tmp_path) == ["kvm"]
