# SPDX-License-Identifier: Apache-2.0
"""The pod driver over containerd."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

from lichen.drivers import cgroups
from lichen.drivers.base import ContainerPhase, ContainerSpec, ContainerState, ContainerUsage, Exec, PodSpec, PodState
from lichen.drivers.containerd import cri_pb2 as pb
from lichen.drivers.containerd import rpc, spec
from lichen.drivers.containerd.attach import start_attach
from lichen.drivers.containerd.config import Layout
from lichen.drivers.containerd.daemon import Daemon, listener
from lichen.drivers.containerd.dial import dial
from lichen.drivers.containerd.events import Events
from lichen.drivers.containerd.exec import end_strays, process_of, start_exec
from lichen.drivers.containerd.images import Images
from lichen.drivers.containerd.leftovers import sweep
from lichen.drivers.containerd.logs import keep_rotating
from lichen.drivers.containerd.netplug import Plug, PlugServer, Unplug
from lichen.drivers.containerd.pins import pinned
from lichen.model.errors import Permanent, Temporary

log = logging.getLogger(__name__)
MOST_TASKS = 4096
"""Processes and threads of a pod: more than programs need, less than a machine has."""
PUT_AWAY = 3
"""Tries, before all of containerd goes."""


class ContainerdPods:
    """PodDriver over a containerd of our own, which is started for the first pod: a node without pods has none.

    state_dir: what survives a reboot (images, containers, logs). run_dir: sockets and mounts, short-lived and with a
    short path (a unix socket's path has at most 107 characters). cgroup: the group that everything runs below.
    plug, unplug: make and take back a pod's interface; see `netplug`. archives: a directory of image archives
    (*.tar), imported when a pod asks for an image that one of them holds.
    """

    def __init__(
        self,
        state_dir: Path,
        run_dir: Path,
        *,
        plug: Plug,
        unplug: Unplug,
        cgroup: str = "lichen",
        archives: Path | None = None,
    ) -> None:
        self._archives = archives
        self.layout = Layout(state_dir, run_dir, cgroup)
        self.daemon = Daemon(self.layout)
        self._plugs = PlugServer(self.layout.cni_socket, plug, unplug)
        self._opened: asyncio.Future[None] | None = None
        self._woken = asyncio.Event()
        self._client: rpc.Client | None = None
        self._rotation: asyncio.Task[None] | None = None
        self._statuses: dict[str, ContainerState] = {}
        self._ips: dict[str, tuple[str, ...]] = {}

    async def open(self) -> None:
        """Start containerd or find it running. Every verb that needs it does this by itself; once is enough."""
        if self._opened is None or (self._opened.done() and self._opened.exception()):
            self._opened = asyncio.ensure_future(self._open())
        await asyncio.shield(self._opened)

    async def _open(self) -> None:
        self.layout.run.mkdir(parents=True, exist_ok=True)
        await self._plugs.close()
        await self._plugs.open()
        await self.daemon.open()
        self._client = self._client or rpc.Client(self.layout.socket)
        await self._client.ready()
        await end_strays(self._client, self.layout.execs)
        await Images(self._client, self.layout.socket).ensure_pause()
        self._rotation = self._rotation or asyncio.create_task(keep_rotating(self._client, self.layout), name="logs")
        self._woken.set()

    async def close(self) -> None:
        """Let go of containerd. It and all pods stay, for the next driver to find."""
        if self._rotation is not None:
            self._rotation.cancel()
            self._rotation = None
        if self._client is not None:
            await self._client.close()
        await self._plugs.close()
        await self.daemon.close()
        self._client = self._opened = None
        self._woken.clear()

    async def _ready(self) -> rpc.Client:
        await self.open()
        assert self._client is not None
        return self._client

    # --- what is there ---

    @property
    def _sleeps(self) -> bool:
        """There is no containerd, and nothing for it to know: a pod's folder of logs is made before all else of it."""
        return self._opened is None and not listener(str(self.layout.socket)) and not self._has_pods()

    def _has_pods(self) -> bool:
        return self.layout.logs.is_dir() and any(self.layout.logs.iterdir())

    async def discover(self) -> dict[str, PodState]:
        if self._sleeps:
            return {}
        client = await self._ready()
        sandboxes, containers = await asyncio.gather(
            client.call(rpc.LIST_SANDBOXES, pb.ListPodSandboxRequest()),
            client.call(rpc.LIST_CONTAINERS, pb.ListContainersRequest()),
        )
        states = await asyncio.gather(*(self._state(client, container) for container in containers.containers))
        by_pod: dict[str, list[ContainerState]] = {}
        for container, state in zip(containers.containers, states, strict=True):
            if state is not None:
                by_pod.setdefault(container.labels[spec.UID], []).append(state)
        self._forget(containers.containers, sandboxes.items)
        newest = _newest(sandboxes.items)
        ips = await asyncio.gather(*(self._addresses(client, sandbox) for sandbox in newest.values()))
        return {
            uid: PodState(
                uid=uid,
                namespace=sandbox.metadata.namespace,
                name=sandbox.metadata.name,
                ready=sandbox.state == pb.SANDBOX_READY,
                sandbox_id=sandbox.id,
                ips=own,
                containers=spec.newest(by_pod.get(uid, ())),
            )
            for (uid, sandbox), own in zip(newest.items(), ips, strict=True)
        }

    async def usage(self) -> ContainerUsage:
        found = {
            (uid, container.name, container.attempt): cgroups.usage(f"{self.layout.pod_cgroup(uid)}/{container.id}")
            for uid, pod in (await self.discover()).items()
            for container in pod.containers
            if container.phase is ContainerPhase.RUNNING
        }
        return {key: usage for key, usage in found.items() if usage is not None}

    async def written(self, pod_uid: str) -> dict[str, int]:
        pod = (await self.discover()).get(pod_uid)
        containers = pod.containers if pod is not None else ()
        client = await self._ready()
        found = await asyncio.gather(*(self._layer(client, container.id) for container in containers))
        return {container.name: size for container, size in zip(containers, found, strict=True)}

    async def _layer(self, client: rpc.Client, container_id: str) -> int:
        """What containerd last found in the container's writable layer: it looks every ten seconds by itself."""
        try:
            answer = await client.call(rpc.CONTAINER_STATS, pb.ContainerRequest(container_id=container_id))
        except rpc.Gone:
            return 0
        return int(answer.stats.writable_layer.used_bytes.value)

    async def _state(self, client: rpc.Client, container: pb.Container) -> ContainerState | None:
        """An attempt's state. What is known of one does not change while it stays in a phase, so it is asked once."""
        known = self._statuses.get(container.id)
        if known is not None and known.phase is spec.phase(container.state):
            return known
        try:
            answer = await client.call(rpc.CONTAINER_STATUS, pb.ContainerRequest(container_id=container.id))
        except rpc.Gone:
            return None
        self._statuses[container.id] = state = spec.container_state(answer.status)
        return state

    async def _addresses(self, client: rpc.Client, sandbox: pb.PodSandbox) -> tuple[str, ...]:
        if sandbox.state != pb.SANDBOX_READY:
            return ()
        if sandbox.id not in self._ips:
            try:
                request = pb.PodSandboxRequest(pod_sandbox_id=sandbox.id)
                self._ips[sandbox.id] = spec.addresses((await client.call(rpc.SANDBOX_STATUS, request)).status)
            except rpc.Gone:
                return ()
        return self._ips[sandbox.id]

    def _forget(self, containers: Iterable[pb.Container], sandboxes: Iterable[pb.PodSandbox]) -> None:
        here = {container.id for container in containers}
        self._statuses = {key: state for key, state in self._statuses.items() if key in here}
        here = {sandbox.id for sandbox in sandboxes}
        self._ips = {key: ips for key, ips in self._ips.items() if key in here}

    def log_path(self, pod_uid: str, name: str, attempt: int) -> Path:
        return self.layout.logs / pod_uid / name / f"{attempt}.log"

    async def changes(self) -> AsyncIterator[str]:
        if self._sleeps:
            await self._woken.wait()
        await self._ready()
        async for uid in Events(self._ready).changes():
            yield uid

    # --- images ---

    async def ensure_image(self, image: str) -> str:
        return await Images(await self._ready(), self.layout.socket, self._archives).ensure(image)

    async def images(self) -> list[tuple[tuple[str, ...], int]]:
        return await Images(await self._ready(), self.layout.socket).list()

    async def import_image(self, archive: Path) -> None:
        """Take in an OCI or docker archive (`docker save`). Permanent (InvalidImage) if it is none."""
        await Images(await self._ready(), self.layout.socket).load(archive)

    # --- pods ---

    async def start_sandbox(self, pod: PodSpec) -> tuple[str, ...]:
        client = await self._ready()
        return await client.whole(self._start_sandbox(client, pod))

    async def _start_sandbox(self, client: rpc.Client, pod: PodSpec) -> tuple[str, ...]:
        earlier = await self._sandboxes(client, pod.uid)
        if earlier and earlier[-1].state == pb.SANDBOX_READY:
            return await self._addresses(client, earlier[-1])
        for sandbox in earlier:
            await client.call(rpc.STOP_SANDBOX, pb.PodSandboxRequest(pod_sandbox_id=sandbox.id))
        attempt = earlier[-1].metadata.attempt + 1 if earlier else 0
        (self.layout.logs / pod.uid).mkdir(parents=True, exist_ok=True)
        await asyncio.to_thread(cgroups.create, self.layout.pod_cgroup(pod.uid))
        cgroups.limit(self.layout.pod_cgroup(pod.uid), tasks=MOST_TASKS)
        config = spec.sandbox_config(pod, self.layout, attempt=attempt)
        request = pb.RunPodSandboxRequest(config=config, runtime_handler=pod.runtime)
        made = (await client.call(rpc.RUN_SANDBOX, request)).pod_sandbox_id
        status = (await client.call(rpc.SANDBOX_STATUS, pb.PodSandboxRequest(pod_sandbox_id=made))).status
        self._ips[made] = ips = spec.addresses(status)
        return ips

    async def start_container(self, pod: PodSpec, container: ContainerSpec, *, attempt: int) -> str:
        client = await self._ready()
        return await client.whole(self._start_container(client, pod, container, attempt))

    async def _start_container(self, client: rpc.Client, pod: PodSpec, container: ContainerSpec, attempt: int) -> str:
        async with pinned(self.layout.pins(pod.uid, container.name), container) as still:
            return await self._make_container(client, pod, still, attempt)

    async def _make_container(self, client: rpc.Client, pod: PodSpec, container: ContainerSpec, attempt: int) -> str:
        for known in await self._containers(client, pod.uid, container.name):
            if known.metadata.attempt == attempt:
                if known.state == pb.CONTAINER_CREATED:
                    await self._start_made(client, known.id, container)
                return known.id
        sandboxes = await self._sandboxes(client, pod.uid)
        if not sandboxes or sandboxes[-1].state != pb.SANDBOX_READY:
            raise Temporary(f"pod {pod.namespace}/{pod.name} has no running sandbox")
        sandbox = sandboxes[-1]
        self.log_path(pod.uid, container.name, attempt).parent.mkdir(parents=True, exist_ok=True)
        self._write_hosts(pod, await self._addresses(client, sandbox))
        request = pb.CreateContainerRequest(
            pod_sandbox_id=sandbox.id,
            config=spec.container_config(pod, container, self.layout, attempt=attempt),
            sandbox_config=spec.sandbox_config(pod, self.layout, attempt=sandbox.metadata.attempt),
        )
        made = (await client.call(rpc.CREATE_CONTAINER, request)).container_id
        await self._start_made(client, made, container)
        return made

    async def _start_made(self, client: rpc.Client, container_id: str, container: ContainerSpec) -> None:
        """Permanent (CreateContainerConfigError): it would run as root, as its image says or leaves open."""
        if container.not_root and not (await process_of(client, container_id))["user"].get("uid"):
            await client.call(rpc.REMOVE_CONTAINER, pb.ContainerRequest(container_id=container_id))
            said = "container has runAsNonRoot and its image will run as root"
            raise Permanent("CreateContainerConfigError", said)
        await self._start(client, container_id)

    def _write_hosts(self, pod: PodSpec, ips: Iterable[str]) -> None:
        """Before each container, not once with the sandbox: an agent that was killed in between has not done it."""
        hosts = self.layout.pods / pod.uid / "hosts"
        hosts.parent.mkdir(parents=True, exist_ok=True)
        hosts.write_text(spec.hosts_file(pod, ips))

    async def _start(self, client: rpc.Client, container_id: str) -> None:
        """Start an attempt. One whose command cannot be run is an ended attempt, and CRI keeps the reason."""
        try:
            await client.call(rpc.START_CONTAINER, pb.ContainerRequest(container_id=container_id))
        except rpc.Refused:
            answer = await client.call(rpc.CONTAINER_STATUS, pb.ContainerRequest(container_id=container_id))
            if answer.status.state == pb.CONTAINER_CREATED:
                raise

    async def stop_container(self, pod_uid: str, name: str, *, grace: float = 30.0) -> None:
        client = await self._ready()
        running = [c for c in await self._containers(client, pod_uid, name) if c.state == pb.CONTAINER_RUNNING]
        await asyncio.gather(*(self._stop(client, container.id, grace) for container in running))

    async def _stop(self, client: rpc.Client, container_id: str, grace: float) -> None:
        request = pb.StopContainerRequest(container_id=container_id, timeout=round(grace + 0.499))
        with contextlib.suppress(rpc.Gone):
            await client.call(rpc.STOP_CONTAINER, request, timeout=grace + 60.0)

    async def remove_container(self, pod_uid: str, name: str) -> None:
        client = await self._ready()
        attempts = sorted(await self._containers(client, pod_uid, name), key=lambda c: c.metadata.attempt)
        for container in attempts[:-1]:
            if container.state == pb.CONTAINER_EXITED:
                await client.call(rpc.REMOVE_CONTAINER, pb.ContainerRequest(container_id=container.id))
                for log in self.layout.logs.glob(f"{pod_uid}/{name}/{container.metadata.attempt}.log*"):
                    log.unlink(missing_ok=True)

    async def remove_sandbox(self, pod_uid: str, *, grace: float = 30.0) -> None:
        client = await self._ready()
        containers = await self._containers(client, pod_uid)
        await asyncio.gather(*(self._stop(client, c.id, grace) for c in containers if c.state == pb.CONTAINER_RUNNING))
        for sandbox in await self._sandboxes(client, pod_uid):
            request = pb.PodSandboxRequest(pod_sandbox_id=sandbox.id)
            with contextlib.suppress(rpc.Gone):
                await client.call(rpc.STOP_SANDBOX, request)
                await client.call(rpc.REMOVE_SANDBOX, request)
        for folder in (self.layout.logs, self.layout.pods):
            await asyncio.to_thread(shutil.rmtree, folder / pod_uid, ignore_errors=True)
        await cgroups.remove(self.layout.pod_cgroup(pod_uid))

    async def exec(self, pod_uid: str, name: str, command: tuple[str, ...], *, tty: bool, stdin: bool) -> Exec:
        client = await self._ready()
        for container in await self._containers(client, pod_uid, name):
            if container.state == pb.CONTAINER_RUNNING:
                return await start_exec(client, self.layout.execs, container.id, command, tty=tty, stdin=stdin)
        raise Permanent("ContainerNotRunning", f"container {name} does not run")

    async def attach(self, pod_uid: str, name: str) -> Exec:
        client = await self._ready()
        for container in await self._containers(client, pod_uid, name):
            if container.state == pb.CONTAINER_RUNNING:
                return await start_attach(client, container.id)
        raise Permanent("ContainerNotRunning", f"container {name} does not run")

    async def dial(self, pod_uid: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await dial(self.layout.pod_cgroup(pod_uid), port)

    async def cleanup(self) -> None:
        for uid in await self.discover():
            await self._put_away(uid)
        await self.close()
        await self.daemon.kill()
        await sweep(self.layout)

    async def _put_away(self, uid: str) -> None:
        """containerd refuses to stop what ends in the same moment; what it still refuses after that is swept away."""
        for _ in range(PUT_AWAY):
            try:
                await self.remove_sandbox(uid, grace=0)
                return
            except Temporary as error:
                log.warning("pod %s is not put away yet: %s", uid, error.message)
                await asyncio.sleep(0.2)

    # --- what belongs to a pod ---

    async def _sandboxes(self, client: rpc.Client, uid: str) -> list[pb.PodSandbox]:
        """The pod's sandboxes, the newest last."""
        request = pb.ListPodSandboxRequest(filter=pb.PodSandboxFilter(label_selector={spec.UID: uid}))
        items = (await client.call(rpc.LIST_SANDBOXES, request)).items
        return sorted(items, key=lambda sandbox: sandbox.metadata.attempt)

    async def _containers(self, client: rpc.Client, uid: str, name: str = "") -> list[pb.Container]:
        """The pod's attempts, of one container or of all."""
        selector = {spec.UID: uid, **({spec.CONTAINER: name} if name else {})}
        request = pb.ListContainersRequest(filter=pb.ContainerFilter(label_selector=selector))
        return list((await client.call(rpc.LIST_CONTAINERS, request)).containers)


def _newest(sandboxes: Iterable[pb.PodSandbox]) -> dict[str, pb.PodSandbox]:
    """Each pod's last sandbox, by the pod's uid."""
    ordered = sorted(sandboxes, key=lambda sandbox: sandbox.metadata.attempt)
    return {sandbox.metadata.uid: sandbox for sandbox in ordered}
