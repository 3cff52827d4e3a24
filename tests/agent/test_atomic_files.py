# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
import os
import threading
from pathlib import Path

import pytest

from lichen.agent.atomic_files import File, write_files
from lichen.drivers.inotify import FileWatch


def files(**content: str) -> dict[str, File]:
    return {name.replace("__", "/"): File(text.encode(), 0o644) for name, text in content.items()}


def seen(root: Path) -> dict[str, str]:
    """What who lists the folder finds, hidden names left out."""
    tops = [top for top in root.iterdir() if not top.name.startswith("..")]
    found = [path for top in tops for path in (top, *top.rglob("*")) if path.is_file()]
    return {str(path.relative_to(root)): path.read_text() for path in found}


def test_a_folder_holds_its_files_as_the_kubelet_lays_them_out(tmp_path: Path):
    assert write_files(tmp_path, {**files(a="1"), "d/x": File(b"2", 0o400)})
    assert seen(tmp_path) == {"a": "1", "d/x": "2"}
    assert [os.readlink(tmp_path / name) for name in ("a", "d")] == ["..data/a", "..data/d"]
    data = os.readlink(tmp_path / "..data")
    assert data.startswith("..2") and (tmp_path / data).stat().st_mode & 0o777 == 0o755
    assert ((tmp_path / "a").stat().st_mode & 0o777, (tmp_path / "d/x").stat().st_mode & 0o777) == (0o644, 0o400)


def test_all_files_change_at_once_and_nothing_of_before_is_left(tmp_path: Path):
    write_files(tmp_path, files(a="1", b="1", d__x="1"))
    before = os.readlink(tmp_path / "..data")
    assert write_files(tmp_path, files(a="2", c="2"))
    assert seen(tmp_path) == {"a": "2", "c": "2"}
    now = os.readlink(tmp_path / "..data")
    assert now != before
    assert {path.name for path in tmp_path.iterdir()} == {"..data", now, "a", "c"}


def test_what_is_the_same_is_left_alone(tmp_path: Path):
    write_files(tmp_path, files(a="1", d__x="1"))
    before = os.readlink(tmp_path / "..data")
    assert not write_files(tmp_path, files(a="1", d__x="1"))
    assert os.readlink(tmp_path / "..data") == before


def test_files_of_an_earlier_release_are_replaced(tmp_path: Path):
    (tmp_path / "d").mkdir()
    for name in ("a", "gone", ".a.new", "d/x"):
        (tmp_path / name).write_text("0")
    write_files(tmp_path, files(a="1", d__x="1"))
    assert (seen(tmp_path), (tmp_path / "a").is_symlink()) == ({"a": "1", "d/x": "1"}, True)


def test_a_folder_that_somebody_mounts_in_the_place_of_a_missing_key_stays_until_the_key_is_there(tmp_path: Path):
    write_files(tmp_path, files(a="1"))
    (tmp_path / "b").mkdir()
    write_files(tmp_path, files(a="2"))
    assert (tmp_path / "b").is_dir()
    write_files(tmp_path, files(a="2", b="2"))
    assert seen(tmp_path) == {"a": "2", "b": "2"}


@pytest.mark.parametrize("left", ["new folder", "swapped, not shown"])
def test_a_change_that_was_cut_off_is_made_whole(tmp_path: Path, left: str):
    write_files(tmp_path, files(a="1"))
    (tmp_path / "..2026_01_01_00_00_00.cut").mkdir()
    (tmp_path / "..data_tmp").symlink_to("nowhere")
    if left == "swapped, not shown":
        (tmp_path / "a").unlink()
        assert not write_files(tmp_path, files(a="1"))
    else:
        write_files(tmp_path, files(a="2"))
        assert len([path for path in tmp_path.iterdir() if path.name.startswith("..2")]) == 1
    assert list(seen(tmp_path)) == ["a"]


def test_who_reads_while_files_change_sees_one_or_the_other_whole(tmp_path: Path):
    texts = ["x" * 100_000, "y" * 100_000]
    write_files(tmp_path, files(a=texts[0]))
    over, broken = threading.Event(), []

    def read() -> None:
        while not over.is_set():
            try:
                text = (tmp_path / "a").read_text()
            except FileNotFoundError:
                continue  # between the folder's name and the file in it: readers try again, as upstream
            broken.extend([text[:10]] if text not in texts else [])

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(100):
        write_files(tmp_path, files(a=texts[number % 2]))
    over.set()
    reader.join()
    assert broken == []


def test_what_is_shown_was_made_ready_before(tmp_path: Path):
    told: list[tuple[bytes, bool]] = []
    write_files(tmp_path, files(a="1"), lambda made: told.append(((made / "a").read_bytes(), "a" in seen(tmp_path))))
    assert told == [(b"1", False)]


async def test_who_waits_for_changes_is_told_of_one_and_of_no_other(tmp_path: Path):
    write_files(tmp_path, files(a="1"))
    changed = asyncio.Event()
    with FileWatch(tmp_path, changed):
        write_files(tmp_path, files(a="1"))
        await asyncio.sleep(0.05)
        assert not changed.is_set()
        write_files(tmp_path, files(a="2"))
        await asyncio.wait_for(changed.wait(), 5)
