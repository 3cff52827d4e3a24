# SPDX-License-Identifier: Apache-2.0
"""Who may use what is in a volume: `fsGroup`, as the kubelet hands it out."""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path


def belongs_to(root: Path, group: int) -> bool:
    """The volume's own folder is the group's already, and hands that on to what is made in it."""
    status = root.stat()
    return status.st_gid == group and bool(status.st_mode & stat.S_ISGID)


def give_to(root: Path, group: int, *, writable: bool) -> None:
    """All that is in a volume to a group, whose members may read it, and change it if it is `writable`. Containers may
    move things meanwhile: nothing outside is ever touched."""
    _give(str(root), None, group, writable)
    for _, folders, files, above in os.fwalk(root, follow_symlinks=False):
        for name in (*folders, *files):
            with contextlib.suppress(FileNotFoundError):
                _give(name, above, group, writable)


def _give(name: str, above: int | None, group: int, writable: bool) -> None:
    opened = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=above)
    try:
        mode = os.fstat(opened).st_mode
        if stat.S_ISLNK(mode):
            os.chown(name, -1, group, dir_fd=above, follow_symlinks=False)
            return
        wanted = stat.S_IMODE(mode) | (0o660 if writable else 0o440)
        if stat.S_ISDIR(mode):
            wanted |= 0o110 | stat.S_ISGID
        place = f"/proc/self/fd/{opened}"
        os.chown(place, -1, group)
        os.chmod(place, wanted)
    finally:
        os.close(opened)
