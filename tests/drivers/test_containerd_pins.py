# SPDX-License-Identifier: Apache-2.0
"""A place inside a volume is never one outside of it, whatever a container that has the volume does meanwhile."""

from __future__ import annotations

import contextlib
import ctypes
import os
import threading
from pathlib import Path

import pytest

from lichen.drivers.containerd.pins import open_beneath
from lichen.model.errors import Permanent


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    (tmp_path / "outside").mkdir()
    (tmp_path / "volume" / "a" / "b").mkdir(parents=True)
    (tmp_path / "volume").chmod(0o777)
    (tmp_path / "volume" / "a" / "file").write_text("x")
    (tmp_path / "volume" / "near").symlink_to("a")
    (tmp_path / "volume" / "far").symlink_to("../outside")
    (tmp_path / "volume" / "absolute").symlink_to(tmp_path / "outside")
    (tmp_path / "volume" / "dangling").symlink_to("nothing")
    return tmp_path / "volume"


def opened(root: Path, place: str) -> str:
    """Where it leads, seen from the volume's parent."""
    descriptor = open_beneath(root, place)
    try:
        return os.path.relpath(os.readlink(f"/proc/self/fd/{descriptor}"), root.parent)
    finally:
        os.close(descriptor)


@pytest.mark.parametrize(
    ("place", "found"),
    [("a/b", "volume/a/b"), ("a/file", "volume/a/file"), ("near/b", "volume/a/b"), ("./a//b/", "volume/a/b")],
)
def test_places_inside_are_found_through_links_that_stay_inside(volume: Path, place: str, found: str) -> None:
    assert opened(volume, place) == found


def test_folders_that_are_missing_are_made_as_open_as_the_volume(volume: Path) -> None:
    assert opened(volume, "near/new/er") == "volume/a/new/er"
    assert [(volume / name).stat().st_mode & 0o777 for name in ("a/new", "a/new/er")] == [0o777, 0o777]


@pytest.mark.parametrize("place", ["far", "far/x", "absolute", "absolute/x", "../outside", "dangling", "a/file/x"])
def test_what_leads_out_or_to_nothing_is_refused(volume: Path, place: str) -> None:
    with pytest.raises(Permanent) as refusal:
        open_beneath(volume, place)
    assert refusal.value.reason == "FailedMount"
    assert list((volume.parent / "outside").iterdir()) == []


def test_a_folder_that_turns_into_a_link_again_and_again_never_leads_out(volume: Path) -> None:
    over = threading.Event()
    (volume.parent / "outside" / "b").mkdir()
    (volume / "trap").symlink_to("../outside")
    paths = os.fsencode(volume / "a"), os.fsencode(volume / "trap")
    libc = ctypes.CDLL(None)

    def swap() -> None:
        while not over.is_set():
            libc.renameat2(-100, paths[0], -100, paths[1], 2)  # each takes the other's name, at one moment

    thread = threading.Thread(target=swap)
    thread.start()
    found = set()
    try:
        for _ in range(3000):
            with contextlib.suppress(Permanent):
                found.add(opened(volume, "a/b").partition("/")[0])
    finally:
        over.set()
        thread.join()
    assert found == {"volume"}
