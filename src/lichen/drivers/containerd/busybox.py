# SPDX-License-Identifier: Apache-2.0
"""The image `busybox`, made of Debian's static busybox: what `image: busybox` means on a machine without a registry."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

from lichen.drivers.containerd.archive import Root, write_archive
from lichen.model.errors import Permanent

TAG = "docker.io/library/busybox:latest"

_FOLDERS = ("bin", "dev", "etc", "home", "proc", "root", "sys", "tmp", "usr", "usr/bin", "usr/sbin", "sbin", "var",
            "var/www")  # fmt: skip
_FILES = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/home:/bin/false\n",
    "etc/group": "root:x:0:\nnogroup:x:65534:\n",
    "etc/nsswitch.conf": "hosts: files dns\n",
}
_MODES = {"tmp": 0o1777, "root": 0o700, **dict.fromkeys(_FILES, 420)}


def build_busybox(out: Path, *, binary: Path | None = None) -> None:
    """Write the image's archive. binary: a static busybox; by default the installed one, or Debian's, downloaded."""
    with tempfile.TemporaryDirectory() as scratch:
        program = binary or find_busybox(Path(scratch))
        write_archive(out, TAG, root_of(program), command=("sh",), path="/bin:/sbin:/usr/bin:/usr/sbin")


def root_of(program: Path) -> Root:
    """Its root file system: the program, and a link for each thing that it can be."""
    listed = subprocess.run([str(program), "--list"], capture_output=True, check=True, text=True).stdout.split()
    return Root(
        folders=_FOLDERS,
        files={"bin/busybox": program.read_bytes(), **{path: text.encode() for path, text in _FILES.items()}},
        links={f"bin/{name}": "bin/busybox" for name in listed if name != "busybox"},
        modes=_MODES,
    )


def find_busybox(scratch: Path) -> Path:
    """The installed static busybox, else the one of Debian's package busybox-static, unpacked into `scratch`."""
    installed = shutil.which("busybox")
    if installed and _is_static(Path(installed)):
        return Path(installed)
    try:
        subprocess.run(["apt-get", "download", "-q", "busybox-static"], cwd=scratch, check=True, capture_output=True)
        package = next(scratch.glob("*.deb"))
        subprocess.run(["dpkg-deb", "-x", str(package), str(scratch)], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError, StopIteration) as error:
        raise Permanent("BusyboxMissing", f"no static busybox: apt install busybox-static ({error})") from error
    return next(path for path in (scratch / "bin/busybox", scratch / "usr/bin/busybox") if path.exists())


def _is_static(program: Path) -> bool:
    """An ELF without an interpreter (program header 3)."""
    content = program.read_bytes()
    start, size, count = (
        int.from_bytes(content[at : at + length], "little") for at, length in ((32, 8), (54, 2), (56, 2))
    )
    return all(content[start + size * n : start + size * n + 4] != b"\x03\0\0\0" for n in range(count))
