# SPDX-License-Identifier: Apache-2.0
"""The pod driver of host processes. Its memory is the disk: see `places`."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import marshal
import os
import shutil
import signal
import socket
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

from lichen.drivers import cgroups
from lichen.drivers.base import ContainerPhase, ContainerSpec, ContainerUsage, Exec, PodSpec, PodState
from lichen.drivers.process.exec import start_exec
from lichen.drivers.process.orders import Order, read_ended, read_started
from lichen.drivers.process.places import Places
from lichen.drivers.process.watch import Watcher, connected, ended, recorded
from lichen.model.errors import Permanent, Temporary

log = logging.getLogger(__name__)

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class ProcessPods:
    """PodDriver whose containers are processes of this machine.

    state_dir: records and logs. host: the socket of the host that keeps the processes, see `host`. uid, gid: who the
    processes run as (ourselves, if we are not root). sockets: listening sockets by name, for containers that inherit
    one; may change at any time. address: what the pods are reached at. cgroup: the group they run below; "" for none,
    as when we are not root.
    """

    def __init__(
        self,
        state_dir: Path,
        host: Path,
        *,
        uid: int = 65534,
        gid: int = 65534,
        sockets: Mapping[str, int] | None = None,
        address: str = "127.0.0.1",
        cgroup: str = "lichen/process",
    ) -> None:
        self._places = Places(state_dir)
        self._user = (uid, gid)
        self._sockets: Mapping[str, int] = {} if sockets is None else sockets
        self._address = address
        self._cgroup = cgroup
        self._host = host
        self._watcher = Watcher(host)

    async def open(self) -> None:
        """Watch what an earlier driver started. Every verb does this by itself."""
        for uid in self._places.uids():
            for name in self._places.names(uid):
                self._watch(uid, name)

    async def close(self) -> None:
        """Stop watching. All processes stay."""
        self._watcher.close()

    def _watch(self, uid: str, name: str) -> None:
        for attempt in self._places.attempts(uid, name):
            folder = self._places.attempt(uid, name, attempt)
            started = read_started(folder)
            if started is not None and read_ended(folder) is None:
                self._watcher.watch(uid, folder, started)

    async def discover(self) -> dict[str, PodState]:
        await self.open()
        found = (self._places.read_pod(uid, self._address) for uid in self._places.uids())
        return {pod.uid: pod for pod in found if pod is not None}

    async def usage(self) -> ContainerUsage:
        """None without control groups."""
        if not self._cgroup:
            return {}
        found = {
            (uid, container.name, container.attempt): cgroups.usage(f"{self._pod_group(uid)}/{container.name}")
            for uid, pod in (await self.discover()).items()
            for container in pod.containers
            if container.phase is ContainerPhase.RUNNING
        }
        return {key: usage for key, usage in found.items() if usage is not None}

    def log_path(self, pod_uid: str, name: str, attempt: int) -> Path:
        return self._places.log(pod_uid, name, attempt)

    async def changes(self) -> AsyncIterator[str]:
        await self.open()
        async for uid in self._watcher.changes():
            yield uid

    async def ensure_image(self, image: str) -> str:
        """Processes run what is installed: every name is here already."""
        return image

    async def images(self) -> list[tuple[tuple[str, ...], int]]:
        return []

    async def start_sandbox(self, pod: PodSpec) -> tuple[str, ...]:
        state = self._places.read_pod(pod.uid, self._address)
        if state is None or not state.ready:
            self._places.write_pod(pod)
        return (self._address,) if self._address else ()

    async def start_container(self, pod: PodSpec, container: ContainerSpec, *, attempt: int) -> str:
        identity = f"{pod.uid}/{container.name}/{attempt}"
        folder = self._places.attempt(pod.uid, container.name, attempt)
        if (folder / "started").exists() or (folder / "ended").exists():
            return identity
        if self._places.read_pod(pod.uid, self._address) is None:
            raise Temporary(f"pod {pod.namespace}/{pod.name} has no sandbox")
        order = self._order(pod, container, attempt)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        Path(order["log"]).parent.mkdir(parents=True, exist_ok=True, mode=0o750)
        (folder / "image").write_text(container.image)
        connection = await asyncio.to_thread(_handed_over, self._host, order, self._sockets)
        started = read_started(folder)
        if connection is not None and started is not None:
            self._watcher.watch(pod.uid, folder, started, connection)
        elif not (folder / "ended").exists():
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
            raise Temporary(f"{order['argv'][0]} was not started: the host of processes does not answer")
        return identity

    def _order(self, pod: PodSpec, container: ContainerSpec, attempt: int) -> Order:
        argv = [*container.command, *container.args]
        if not argv:
            raise Permanent("NoCommand", f"container {container.name} of class process says no command")
        if container.run_as_user == 0 or container.privileged:
            raise Permanent("RunAsRoot", f"container {container.name} of class process may not run as root")
        if container.mounts and os.geteuid() != 0:
            raise Permanent("MountsNeedRoot", f"container {container.name} has mounts, and this agent is not root")
        if container.listen and container.listen not in self._sockets:
            raise Temporary(f"no listening socket named {container.listen} is open on this node")
        uid, gid = self._user
        return Order(
            folder=str(self._places.attempt(pod.uid, container.name, attempt)),
            log=str(self._places.log(pod.uid, container.name, attempt)),
            argv=argv,
            env={"PATH": _PATH, "HOME": "/", "HOSTNAME": pod.hostname or pod.name, **container.env},
            cwd=container.working_dir or "/",
            uid=uid if container.run_as_user is None else container.run_as_user,
            gid=gid if container.run_as_group is None else container.run_as_group,
            mounts=[(str(mount.source), mount.container_path, mount.read_only) for mount in container.mounts],
            listen=container.listen,
            cgroup=self._group(pod.uid, container),
        )

    def _group(self, uid: str, container: ContainerSpec) -> list[str]:
        """The folders of a container's control group, made and limited."""
        if not self._cgroup:
            return []
        group = f"{self._pod_group(uid)}/{container.name}"
        cgroups.create(group)
        cgroups.limit(
            group,
            cpu_millis=container.cpu_millis,
            cpu_shares=(container.cpu_request_millis or container.cpu_millis) * 1024 // 1000,
            memory_bytes=container.memory_bytes,
        )
        return [str(base / group) for base in cgroups.hierarchies()]

    def _pod_group(self, uid: str) -> str:
        return f"{self._cgroup}/pod{uid}"

    async def stop_container(self, pod_uid: str, name: str, *, grace: float = 30.0) -> None:
        for attempt in self._places.attempts(pod_uid, name):
            folder = self._places.attempt(pod_uid, name, attempt)
            started = read_started(folder)
            if started is None:
                continue
            for number, wait in ((signal.SIGTERM, grace), (signal.SIGKILL, 10.0)):
                descriptor = started.process.open()
                if descriptor < 0:
                    break
                if number is signal.SIGKILL or grace > 0:
                    with contextlib.suppress(ProcessLookupError):
                        signal.pidfd_send_signal(descriptor, number)
                    await ended(descriptor, wait)
                os.close(descriptor)
            await recorded(self._host, folder, 10.0)

    async def remove_container(self, pod_uid: str, name: str) -> None:
        for attempt in self._places.attempts(pod_uid, name)[:-1]:
            folder = self._places.attempt(pod_uid, name, attempt)
            started = read_started(folder)
            if started is None or read_ended(folder) is not None or not started.process.alive():
                await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
                log = self._places.log(pod_uid, name, attempt)
                for path in (log, log.with_name(log.name + ".1")):
                    path.unlink(missing_ok=True)

    async def remove_sandbox(self, pod_uid: str, *, grace: float = 30.0) -> None:
        names = self._places.names(pod_uid)
        await asyncio.gather(*(self.stop_container(pod_uid, name, grace=grace) for name in names))
        if self._cgroup:
            await cgroups.remove(self._pod_group(pod_uid))
        for folder in (self._places.logs(pod_uid), self._places.pod(pod_uid)):
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    async def exec(self, pod_uid: str, name: str, command: tuple[str, ...], *, tty: bool, stdin: bool) -> Exec:
        state = self._places.read_container(pod_uid, name) if self._places.attempts(pod_uid, name) else None
        if state is None or state.phase is not ContainerPhase.RUNNING:
            raise Permanent("ContainerNotRunning", f"container {name} does not run")
        started = read_started(self._places.attempt(pod_uid, name, state.attempt))
        assert started is not None
        return await start_exec(started.process.pid, command, tty=tty, stdin=stdin)

    async def cleanup(self) -> None:
        for uid in self._places.uids():
            await self.remove_sandbox(uid, grace=0)
        self._watcher.close()
        if self._cgroup:
            await cgroups.remove(self._cgroup)


def _handed_over(host: Path, order: Order, sockets: Mapping[str, int]) -> socket.socket | None:
    """The connection that tells of the process's end; None if it was not started, which is on record if there is a
    host."""
    listener = [sockets[order["listen"]]] if order["listen"] else []
    try:
        connection = connected(host)
    except OSError:
        return None
    with open(os.memfd_create("order"), "wb") as file:
        file.write(marshal.dumps(dict(order)))
        file.flush()
        try:
            socket.send_fds(connection, [b"start"], [file.fileno(), *listener])
            if connection.recv(4096) == b"ok":
                return connection
        except OSError:
            log.warning("the host of processes ended while it started %s", order["argv"][0])
    connection.close()
    return None
