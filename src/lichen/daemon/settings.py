# SPDX-License-Identifier: Apache-2.0
"""What a cloud on this machine is told at its start, and where its files are. Everything else is an object in it."""

from __future__ import annotations

import hashlib
import socket
from dataclasses import dataclass
from pathlib import Path

import msgspec

from lichen.client.local import REAL_DATA_DIR, write_private


@dataclass(frozen=True, slots=True)
class Settings:
    """Written to `<data dir>/settings.json` by `lichen up`, read by each of the cloud's processes."""

    data_dir: Path
    """Everything that must survive: the store, keys, images, disks."""
    simulate: bool = False
    """One process, fake drivers, no root."""
    nodes: int = 1
    """How many hosts to simulate."""
    listen: str = "127.0.0.1"
    """Address of both APIs."""
    kubernetes_port: int = 6443
    """Port of the Kubernetes API; 0: any free one."""
    openstack_port: int = 5000
    """Port of all OpenStack APIs; 0: any free one."""
    node_port: int = 10250
    """Port of the node agent's server for logs and consoles, on loopback; 0: any free one."""
    user: str = "lichen"
    """Unprivileged user of the kernel and the controllers (real mode)."""
    service_user: str = "lichen-api"
    """Unprivileged user of the OpenStack services (real mode)."""
    persist: bool = True
    """Keep the store on disk; a simulated cloud without a data directory of its own keeps it in memory."""

    @property
    def keys_dir(self) -> Path:
        """Private keys of the kernel alone."""
        return self.data_dir / "keys"

    @property
    def authority_dir(self) -> Path:
        """The private key of the cloud's certificate authority; root's alone in the real mode."""
        return self.data_dir / "authority"

    @property
    def access_dir(self) -> Path:
        """What the first users log in with, written by the kernel, handed over by `lichen up`."""
        return self.data_dir / "access"

    @property
    def store_dir(self) -> Path:
        return self.data_dir / "store"

    @property
    def guests_dir(self) -> Path:
        return self.data_dir / "guests"

    @property
    def volumes_dir(self) -> Path:
        """Volumes and snapshots, as raw files; root's alone."""
        return self.data_dir / "volumes"

    @property
    def tls_dir(self) -> Path:
        """The authority's certificate, and one folder of key and certificate for each listener."""
        return self.data_dir / "tls"

    @property
    def tokens_dir(self) -> Path:
        """Credentials of the cloud's own processes, renewed by the kernel."""
        return self.data_dir / "tokens"

    @property
    def service_tokens_dir(self) -> Path:
        """The same, of the processes that serve OpenStack's calls."""
        return self.data_dir / "service-tokens"

    @property
    def pods_dir(self) -> Path:
        """Where the agent keeps what is pods' own."""
        return self.data_dir / "pods"

    @property
    def images_dir(self) -> Path:
        return self.data_dir / "images"

    @property
    def tiny_image(self) -> Path:
        """lichen-tiny as `lichen up` builds it once: what the boot probe boots, and the demo's image."""
        return self.data_dir / "base" / "lichen-tiny.qcow2"

    @property
    def container_images_dir(self) -> Path:
        """Archives of container images that are imported when a pod asks for one of them."""
        return self.data_dir / "container-images"

    @property
    def log_dir(self) -> Path:
        return self.data_dir / "log"

    @property
    def run_dir(self) -> Path:
        """Sockets and process ids; short, since unix sockets' paths are limited to 107 bytes."""
        return Path("/run/lichen") if self.data_dir == REAL_DATA_DIR else self.data_dir / "run"

    @property
    def processes_socket(self) -> Path:
        """Where the host of processes answers."""
        return self.run_dir / "processes.sock"

    @property
    def metrics_dir(self) -> Path:
        """The sockets on which the cloud's processes tell the kernel their metrics."""
        return self.run_dir / "metrics"

    @property
    def prefix(self) -> str:
        """First letters of every interface, namespace, table and cgroup; of its own for a data directory elsewhere."""
        if self.data_dir == REAL_DATA_DIR:
            return "l"
        return "l" + hashlib.sha256(str(self.data_dir).encode()).hexdigest()[:3]

    @property
    def cgroup(self) -> str:
        return "lichen" if self.data_dir == REAL_DATA_DIR else f"lichen-{self.prefix}"

    @property
    def node_name(self) -> str:
        return socket.gethostname().split(".")[0].lower() or "node"

    @property
    def kubernetes_url(self) -> str:
        return f"https://{self.reachable}:{self.kubernetes_port}"

    @property
    def openstack_url(self) -> str:
        return f"https://{self.reachable}:{self.openstack_port}"

    @property
    def node_url(self) -> str:
        return f"https://127.0.0.1:{self.node_port}"

    @property
    def reachable(self) -> str:
        """An address by which this machine reaches what listens on `listen`."""
        return "127.0.0.1" if self.listen in ("0.0.0.0", "::", "") else self.listen  # noqa: S104

    def save(self) -> None:
        content = msgspec.json.format(msgspec.json.encode(self, enc_hook=str))
        write_private(self.data_dir / "settings.json", content, 0o644)


def load_settings(data_dir: Path) -> Settings:
    """The settings that `lichen up` wrote for the cloud in `data_dir`. FileNotFoundError: there is none."""
    raw = (data_dir / "settings.json").read_bytes()
    return msgspec.json.decode(raw, type=Settings, dec_hook=lambda type_, value: type_(value))
