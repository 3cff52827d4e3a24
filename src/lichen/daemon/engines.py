# SPDX-License-Identifier: Apache-2.0
"""The real engines of one machine, as the node's process uses them and as `clean` puts them away."""

from __future__ import annotations

import logging
import pwd
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from lichen.daemon.settings import Settings
from lichen.drivers.base import PodDriver, PortSpec
from lichen.drivers.containerd.pods import ContainerdPods
from lichen.drivers.files.mounts import FileMounts
from lichen.drivers.files.volumes import FileVolumes
from lichen.drivers.linuxnet.networks import LinuxNetworks
from lichen.drivers.process.pods import ProcessPods
from lichen.drivers.qemu.guests import QemuGuests
from lichen.drivers.qemu.probe import choose_accelerator

log = logging.getLogger(__name__)

Plug = Callable[[str, str], Awaitable[PortSpec | None]]
Unplug = Callable[[str], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Engines:
    guests: QemuGuests
    containers: ContainerdPods
    processes: ProcessPods
    networks: LinuxNetworks
    blocks: FileVolumes
    mounts: FileMounts

    @property
    def pods(self) -> Mapping[str, PodDriver]:
        """By RuntimeClass."""
        return {"runc": self.containers, "crun": self.containers, "process": self.processes}

    async def cleanup(self) -> None:
        """Stop everything and leave nothing but data."""
        await self.processes.cleanup()
        await self.containers.cleanup()
        await self.mounts.cleanup()
        await self.guests.cleanup()
        await self.networks.cleanup()


async def find_accelerator(settings: Settings) -> str:
    """kvm or tcg, as a boot probe found once for this machine."""
    verdict = await choose_accelerator(settings.data_dir / "probe", settings.tiny_image)
    log.info("guests run under %s: %s", verdict.accelerator, verdict.why)
    return verdict.accelerator


def make_engines(
    settings: Settings, accelerator: str, plug: Plug, unplug: Unplug, sockets: Mapping[str, int]
) -> Engines:
    account = pwd.getpwnam(settings.service_user)
    return Engines(
        guests=QemuGuests(
            settings.guests_dir,
            settings.run_dir / "guests",
            accelerator=accelerator,
            cgroup_parent=settings.cgroup,
        ),
        containers=ContainerdPods(
            settings.data_dir / "containerd",
            settings.run_dir / "containerd",
            plug=plug,
            unplug=unplug,
            cgroup=settings.cgroup,
            archives=settings.container_images_dir,
        ),
        processes=ProcessPods(
            settings.data_dir / "processes",
            settings.processes_socket,
            uid=account.pw_uid,
            gid=account.pw_gid,
            sockets=sockets,
            cgroup=f"{settings.cgroup}/process",
        ),
        networks=LinuxNetworks(settings.run_dir / "networks", prefix=settings.prefix, namespace=settings.cgroup),
        blocks=FileVolumes(settings.volumes_dir),
        mounts=FileMounts(settings.data_dir / "mounts"),
    )
