# SPDX-License-Identifier: Apache-2.0
"""Files that others append to are moved over under them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from lichen.drivers.appended import move_over

WRITER = """
import itertools, select, sys
for number in itertools.count():
    told = select.select([sys.stdin], [], [], 0)[0]
    sys.stderr.write(f"line {number}{' and last' if told else ''}\\n")
    if told:
        break
"""
"""Speaks until its input ends."""


def old(file: Path, count: int = 2) -> list[Path]:
    return [file.with_name(f"{file.name}.{number + 1}") for number in range(count)]


def test_a_short_file_and_none_are_let_be(tmp_path: Path):
    file = tmp_path / "a.log"
    assert move_over(file, 10, old(file)) is False
    file.write_text("short\n")
    assert move_over(file, 10, old(file)) is False
    assert [path.name for path in tmp_path.iterdir()] == ["a.log"]


def test_each_content_moves_on_and_the_last_goes(tmp_path: Path):
    file = tmp_path / "a.log"
    for content in ("first of all\n", "second of all\n", "third of all\n"):
        file.write_text(content)
        assert move_over(file, 10, old(file)) is True
    assert file.read_text() == ""
    assert [path.read_text() for path in old(file)] == ["third of all\n", "second of all\n"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.log", "a.log.1", "a.log.2"]


def test_of_a_file_that_grew_far_too_long_the_newest_whole_lines_are_kept(tmp_path: Path):
    file = tmp_path / "a.log"
    file.write_text("".join(f"line {number}\n" for number in range(1000)))
    move_over(file, 20, old(file), most=25)
    assert old(file)[0].read_text() == "line 998\nline 999\n"


def test_a_line_without_end_is_cut(tmp_path: Path):
    file = tmp_path / "a.log"
    file.write_bytes(b"early" + b"x" * 100)
    move_over(file, 100, old(file), most=100)
    assert old(file)[0].read_bytes() == b"x" * 100


def test_whoever_has_it_as_its_stderr_goes_on_at_the_new_end(tmp_path: Path):
    """Every line is whole, none is twice, and what is said after the last move is there."""
    file, parts = tmp_path / "a.log", []
    with file.open("ab") as log:
        writer = subprocess.Popen([sys.executable, "-u", "-c", WRITER], stderr=log, stdin=subprocess.PIPE)
    while len(parts) < 3:
        if move_over(file, 1 << 12, old(file)):
            parts.append(old(file)[0].read_text())
    writer.communicate(timeout=30)
    lines = "".join([*parts, file.read_text()]).splitlines()
    numbers = [int(line.removeprefix("line ").removesuffix(" and last")) for line in lines]
    assert numbers == sorted(set(numbers))
    assert lines[-1].endswith(" and last")


def test_without_room_nothing_but_the_oldest_is_lost(tmp_path: Path):
    file = tmp_path / "a.log"
    file.write_text("the newest\n")
    old(file)[0].write_text("before\n")
    (tmp_path / "a.log.1.part").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left"):
        move_over(file, 10, old(file))
    assert (file.read_text(), old(file)[0].read_text()) == ("the newest\n", "before\n")
