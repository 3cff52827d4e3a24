# SPDX-License-Identifier: Apache-2.0
"""Folders whose files change all at once, laid out as the kubelet does: containers may rely on it.

key -> ..data/key              what readers open
..data -> ..2026_11_27_…       replaced in one step
..2026_11_27_…/key             written whole before that, and never changed
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

DATA = "..data"
_NEW = "..data_tmp"


class File(NamedTuple):
    content: bytes
    mode: int


def write_files(root: Path, files: Mapping[str, File], ready: Callable[[Path], None] = lambda _: None) -> bool:
    """Have `root` hold these files, by their paths in it, and no others; whether anything had to be changed. No path
    may begin with `..`. ready: told where they are before anybody sees them. What is the same is left alone: who waits
    for a change is not woken by none. OSError."""
    if _held(root) == {path: file.content for path, file in files.items()}:
        _show(root, files)
        return False
    new = Path(tempfile.mkdtemp(prefix=time.strftime("..%Y_%m_%d_%H_%M_%S."), dir=root))
    new.chmod(0o755)
    for path, file in files.items():
        (new / path).parent.mkdir(parents=True, exist_ok=True)
        (new / path).write_bytes(file.content)
        (new / path).chmod(file.mode)
    ready(new)
    _link(root / _NEW, new.name)
    os.replace(root / _NEW, root / DATA)
    _show(root, files)
    for old in root.glob("..[0-9]*"):
        if old != new:
            shutil.rmtree(old, ignore_errors=True)
    return True


def _held(root: Path) -> dict[str, bytes] | None:
    """What readers find now; None: nothing was ever written, or it cannot be read."""
    try:
        data = (root / DATA).resolve(strict=True)
        return {str(p.relative_to(data)): p.read_bytes() for p in data.rglob("*") if p.is_file()}
    except OSError:
        return None


def _show(root: Path, files: Mapping[str, File]) -> None:
    """A link for each name at the top, and none for what is no more."""
    names = {path.partition("/")[0] for path in files}
    for name in names:
        if not (root / name).is_symlink():
            _remove_folder(root / name)  # a file, as earlier releases wrote it, is replaced
            _link(root / _NEW, f"{DATA}/{name}")
            os.replace(root / _NEW, root / name)
    for path in root.iterdir():
        is_folder = path.is_dir() and not path.is_symlink()  # somebody mounts a place that was not there
        if path.name not in names and not path.name.startswith("..") and not is_folder:
            path.unlink()


def _remove_folder(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)


def _link(path: Path, target: str) -> None:
    path.unlink(missing_ok=True)
    path.symlink_to(target)
