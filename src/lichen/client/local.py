# SPDX-License-Identifier: Apache-2.0
"""The cloud on this machine as its command finds it: `<data dir>/cloud.json`, written by the daemon when it answers."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

REAL_DATA_DIR = Path("/var/lib/lichen")


class LocalCloud(msgspec.Struct, frozen=True, kw_only=True):
    """Facts that are no secret. pid: the supervisor, or the one process of a simulated cloud; born: the kernel's
    count of clock ticks at which that process started, which tells it from a later process of the same number."""

    data_dir: str
    pid: int
    born: int
    simulate: bool
    nodes: int
    kubernetes_url: str
    openstack_url: str
    version: str

    @property
    def dashboard_url(self) -> str:
        return f"{self.kubernetes_url}/dashboard/"

    @property
    def ca_file(self) -> Path:
        return Path(self.data_dir) / "tls" / "ca.crt"

    @property
    def credentials_file(self) -> Path:
        return Path(self.data_dir) / "access" / "credentials.json"

    @property
    def is_running(self) -> bool:
        return birth_of(self.pid) == self.born


class Credentials(msgspec.Struct, frozen=True, kw_only=True):
    """What the first users log in with; kept in a file that only the cloud's owner reads."""

    admin_password: str = msgspec.field()
    demo_password: str = msgspec.field()
    admin_token: str = ""

    def __repr__(self) -> str:
        return "Credentials(…)"


def birth_of(pid: int) -> int:
    """Clock ticks after boot at which a process started; 0: there is no such process (or it is dead and unreaped)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return 0 if fields[0] in "ZX" else int(fields[19])


def simulated_data_dir() -> Path:
    """Where a simulated cloud without a data directory of its own keeps its keys."""
    base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(base) / "lichen" / "simulated"


def read_local(data_dir: Path) -> LocalCloud | None:
    """The cloud whose data is in `data_dir`, running or not; None if none was ever started there."""
    try:
        return msgspec.json.decode((data_dir / "cloud.json").read_bytes(), type=LocalCloud)
    except (FileNotFoundError, PermissionError):
        return None


def find_local(data_dir: Path | None) -> LocalCloud | None:
    """The running cloud in `data_dir`, or in one of the usual places."""
    places = [data_dir] if data_dir else [REAL_DATA_DIR, simulated_data_dir()]
    found = (read_local(place) for place in places)
    return next((cloud for cloud in found if cloud and cloud.is_running), None)


def is_elsewhere(cloud: LocalCloud) -> bool:
    """It is found only by whoever says where its data is."""
    return Path(cloud.data_dir) not in (REAL_DATA_DIR, simulated_data_dir())


def read_credentials(cloud: LocalCloud) -> Credentials:
    """PermissionError: only the user who started the cloud may read them."""
    return msgspec.json.decode(cloud.credentials_file.read_bytes(), type=Credentials)


def write_private(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Replace a file whole; it is never readable by more than `mode` says, not even for a moment."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(fresh, path)
