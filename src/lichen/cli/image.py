# SPDX-License-Identifier: Apache-2.0
"""`lichen image build`: guest and container images made on this machine from Debian packages."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path

from lichen.cli.output import CommandError, Steps
from lichen.model.errors import LichenError

NAMES = {"tiny": "lichen-tiny.qcow2", "busybox": "busybox.tar"}
PLACES = {"tiny": "base", "busybox": "container-images"}


def build(arguments: argparse.Namespace) -> int:
    path = arguments.output or Path(NAMES[arguments.image])
    _build(arguments.image, path, print)
    print(f"{path} ({path.stat().st_size >> 10} KiB)")
    return 0


def build_base_images(data_dir: Path, steps: Steps) -> None:
    """The images that a real cloud starts with, each built once. The boot probe boots one of them."""
    for image, name in NAMES.items():
        path = base_image(data_dir, image)
        if not path.exists():
            with steps.step(f"building image {name} from Debian packages"):
                _build(image, path, lambda _: None)


def base_image(data_dir: Path, image: str) -> Path:
    return data_dir / PLACES[image] / NAMES[image]


def _build(image: str, path: Path, progress: Callable[[str], None]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(prefix="lichen-image-") as work:
            if image == "tiny":
                from lichen.drivers.qemu.tiny import build_tiny

                build_tiny(path, Path(work), progress)
            else:
                from lichen.drivers.containerd.busybox import build_busybox

                build_busybox(path)
    except LichenError as error:
        raise CommandError(f"the image cannot be built: {error}") from None
