# SPDX-License-Identifier: Apache-2.0
"""Container images written by hand: a tar archive that containerd, docker and podman load. The same input gives the
same bytes."""

from __future__ import annotations

import hashlib
import io
import json
import platform
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())


@dataclass(frozen=True, slots=True)
class Root:
    """A root file system: path → content. `modes` are the permissions of those that are not 0755 (folders, files)."""

    folders: tuple[str, ...] = ()
    files: Mapping[str, bytes] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)  # path → what the hard link points at
    modes: Mapping[str, int] = field(default_factory=dict)


def layer(root: Root) -> bytes:
    """The root file system as an uncompressed tar; files before the links to them."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for path in sorted(root.folders):
            tar.addfile(_entry(root, path, tarfile.DIRTYPE))
        for path in sorted(root.files):
            entry = _entry(root, path, tarfile.REGTYPE)
            entry.size = len(root.files[path])
            tar.addfile(entry, io.BytesIO(root.files[path]))
        for path in sorted(root.links):
            entry = _entry(root, path, tarfile.LNKTYPE)
            entry.linkname = root.links[path]
            tar.addfile(entry)
    return out.getvalue()


def _entry(root: Root, path: str, kind: bytes) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(path)
    entry.type = kind
    entry.mode = root.modes.get(path, 0o755)
    return entry


def write_archive(out: Path, tag: str, root: Root, *, command: tuple[str, ...], path: str = "/bin") -> None:
    """An image of one layer. tag: its full name, such as `docker.io/library/busybox:latest`."""
    content = layer(root)
    digest = hashlib.sha256(content).hexdigest()
    config = json.dumps(
        {
            "architecture": ARCHITECTURE,
            "os": "linux",
            "config": {"Env": [f"PATH={path}"], "Cmd": list(command)},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
            "history": [{"created_by": "lichen"}],
        },
        sort_keys=True,
    ).encode()
    name = hashlib.sha256(config).hexdigest() + ".json"
    manifest = json.dumps([{"Config": name, "RepoTags": [tag], "Layers": [f"{digest}.tar"]}]).encode()
    out.parent.mkdir(parents=True, exist_ok=True)
    new = out.with_name(out.name + ".new")
    new.write_bytes(layer(Root(files={"manifest.json": manifest, name: config, f"{digest}.tar": content})))
    new.rename(out)
