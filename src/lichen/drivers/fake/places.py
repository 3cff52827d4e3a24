# SPDX-License-Identifier: Apache-2.0
"""Files at places inside volumes, as a mount holds them: the one that was there, whatever the volume holds later."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

from lichen.drivers.base import ContainerSpec, Mount


def held(container: ContainerSpec, folder: Path) -> ContainerSpec:
    """The container with files of its own below `folder`, on the volumes' file system, in place of such files."""
    shutil.rmtree(folder, ignore_errors=True)
    mounts = (_held(mount, folder / str(number)) for number, mount in enumerate(container.mounts))
    return replace(container, mounts=tuple(mounts))


def _held(mount: Mount, place: Path) -> Mount:
    if not mount.sub_path or not mount.source.is_file():
        return mount
    place.parent.mkdir(parents=True, exist_ok=True)
    os.link(mount.source.resolve(), place)
    return replace(mount, host_path=str(place), sub_path="")
