# SPDX-License-Identifier: Apache-2.0
"""Simulated pods: sandboxes with addresses, containers that run commands, logs on disk, exec."""

from __future__ import annotations

import asyncio
import hashlib
import re
import shutil
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

from lichen.drivers.base import (
    ContainerPhase,
    ContainerSpec,
    ContainerUsage,
    Exec,
    PodSpec,
    PodState,
    PortSpec,
)
from lichen.drivers.fake.commands import Io
from lichen.drivers.fake.containers import FakeContainer
from lichen.drivers.fake.faults import pod_fault
from lichen.drivers.fake.machine import Changes, FakeMachine, FakePod
from lichen.drivers.fake.places import held
from lichen.drivers.fake.usage import containers_usage
from lichen.model.errors import Permanent, Temporary

MISSING = "missing.lichen.dev/"
"""Images of this registry cannot be pulled."""

_IMAGE = re.compile(r"[a-zA-Z0-9][\w.\-]*(:\d+)?(/[a-z0-9][\w.\-]*)*(:[\w][\w.\-]{0,127})?(@sha256:[0-9a-f]{64})?")

Plug = Callable[[str, str], Awaitable[PortSpec | None]]
Unplug = Callable[[str], Awaitable[None]]


class FakePods:
    """PodDriver over a `FakeMachine`. plug and unplug: the agent's, as a CNI plugin calls them."""

    def __init__(self, machine: FakeMachine, *, plug: Plug | None = None, unplug: Unplug | None = None) -> None:
        self._machine = machine
        self.plug = plug
        self.unplug = unplug
        self._listening: list[Changes] = []

    async def discover(self) -> dict[str, PodState]:
        return {uid: _state(pod) for uid, pod in self._machine.pods.items()}

    async def usage(self) -> ContainerUsage:
        return containers_usage(self._machine)

    async def ensure_image(self, image: str) -> str:
        if _IMAGE.fullmatch(image) is None:
            raise Permanent("InvalidImageName", f'"{image}" is not the name of an image.')
        if image.startswith(MISSING):
            raise Temporary(f'Failed to pull image "{image}": not found (simulated).')
        if image not in self._machine.images:
            await self._machine.clock.sleep(self._machine.timing.image)
            self._machine.images[image] = f"sha256:{hashlib.sha256(image.encode()).hexdigest()}"
        return self._machine.images[image]

    async def images(self) -> list[tuple[tuple[str, ...], int]]:
        return [((image,), 4_000_000) for image in self._machine.images]

    async def start_sandbox(self, pod: PodSpec) -> tuple[str, ...]:
        known = self._machine.pods.get(pod.uid)
        if known is not None:
            return known.ips
        if pod_fault(pod.labels).kind == "sandbox":
            raise Temporary("The sandbox could not be made (simulated).")
        await self._machine.clock.sleep(self._machine.timing.sandbox)
        port = await self.plug(pod.uid, f"/run/netns/{pod.uid}") if self.plug and not pod.host_network else None
        ips = tuple(ip for ip, _ in port.addresses) if port is not None else ()
        self._machine.pods[pod.uid] = FakePod(pod, ips)
        return ips

    async def start_container(self, pod: PodSpec, container: ContainerSpec, *, attempt: int) -> str:
        known = self._machine.pods.get(pod.uid)
        if known is None:
            raise Temporary(f"Pod {pod.uid} has no sandbox.")
        attempts = known.containers.setdefault(container.name, [])
        same = next((a for a in attempts if a.attempt == attempt), None)
        if same is not None:
            return same.id
        if pod_fault(pod.labels).kind == "start":
            raise Temporary("The container could not be started (simulated).")
        image_id = await self.ensure_image(container.image)
        await self._machine.clock.sleep(self._machine.timing.container)
        places = self._machine.root / "places" / pod.uid / container.name
        new = FakeContainer(
            held(container, places), pod, attempt, image_id, self.log_path(pod.uid, container.name, attempt),
        )  # fmt: skip
        attempts.append(new)
        new.start(self._machine)
        return new.id

    async def stop_container(self, pod_uid: str, name: str, *, grace: float = 30.0) -> None:
        container = self._newest(pod_uid, name)
        if container is None or container.phase != ContainerPhase.RUNNING:
            return
        deaf = pod_fault(container.pod.labels).kind == "hang"
        if deaf:
            await self._machine.clock.sleep(grace)
        container.end(self._machine, 137 if deaf or grace <= 0 else 143)
        self._machine.tell_pod(pod_uid)

    async def remove_container(self, pod_uid: str, name: str) -> None:
        pod = self._machine.pods.get(pod_uid)
        if pod is None or name not in pod.containers:
            return
        for old in pod.containers[name][:-1]:
            old.log.unlink(missing_ok=True)
        del pod.containers[name][:-1]

    async def remove_sandbox(self, pod_uid: str, *, grace: float = 30.0) -> None:
        pod = self._machine.pods.get(pod_uid)
        if pod is None:
            return
        await asyncio.gather(*(self.stop_container(pod_uid, name, grace=grace) for name in pod.containers))
        if self.unplug is not None:
            await self.unplug(pod_uid)
        self._machine.pods.pop(pod_uid, None)
        for kept in ("logs", "places"):
            shutil.rmtree(self._machine.root / kept / pod_uid, ignore_errors=True)

    def log_path(self, pod_uid: str, name: str, attempt: int) -> Path:
        return self._machine.root / "logs" / pod_uid / name / f"{attempt}.log"

    async def exec(self, pod_uid: str, name: str, command: tuple[str, ...], *, tty: bool, stdin: bool) -> Exec:
        container = self._newest(pod_uid, name)
        if container is None or container.phase != ContainerPhase.RUNNING:
            raise Permanent("NotRunning", f"Container {name} of pod {pod_uid} does not run.")
        incoming: asyncio.Queue[bytes | None] = asyncio.Queue()
        outgoing: asyncio.Queue[tuple[int, bytes] | None] = asyncio.Queue()
        error = 1 if tty else 2
        io = Io(
            lambda data: outgoing.put_nowait((1, data)) if data else None,
            lambda data: outgoing.put_nowait((error, data)) if data else None,
            incoming if stdin else None,
            tty,
        )
        work = asyncio.ensure_future(container.shell(self._machine.clock).run(command, io))
        work.add_done_callback(lambda _: outgoing.put_nowait(None))
        return Exec(
            stdin=incoming.put_nowait,
            output=_drain(outgoing),
            resize=lambda columns, rows: None,
            wait=lambda: _code(work),
            kill=lambda: _cancel(work),
        )

    async def attach(self, pod_uid: str, name: str) -> Exec:
        container = self._newest(pod_uid, name)
        if container is None or container.phase != ContainerPhase.RUNNING:
            raise Permanent("NotRunning", f"Container {name} of pod {pod_uid} does not run.")
        outgoing: asyncio.Queue[tuple[int, bytes] | None] = asyncio.Queue()
        container.attached.append(outgoing)
        writes = container.spec.stdin
        over: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        async def said() -> AsyncIterator[tuple[int, bytes]]:
            async for item in _drain(outgoing):
                yield item
            over.set_result(0)

        def give(data: bytes | None) -> None:
            if writes and (data is not None or container.spec.stdin_once):
                container.stdin.put_nowait(data)

        def let_go() -> None:
            container.attached.remove(outgoing)
            give(None)

        return Exec(
            stdin=give,
            output=said(),
            resize=lambda columns, rows: None,
            wait=lambda: over,
            kill=let_go,
        )

    async def dial(self, pod_uid: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A simulated container that runs listens on all ports, and answers every page with its pod's name."""
        pod = self._machine.pods.get(pod_uid)
        running = pod is not None and any(a[-1].phase == ContainerPhase.RUNNING for a in pod.containers.values())
        if pod is None or not running:
            raise ConnectionRefusedError(f"nothing listens on port {port}")
        ours, theirs = socket.socketpair()
        self._machine.later(_answer_page(theirs, f"{pod.spec.name}:{port}\n".encode()))
        return await asyncio.open_connection(sock=ours)

    def changes(self) -> AsyncIterator[str]:
        changes = Changes(self._machine.pod_listeners)
        self._listening.append(changes)
        return changes

    async def cleanup(self) -> None:
        for uid in tuple(self._machine.pods):
            await self.remove_sandbox(uid, grace=0.0)
        for changes in self._listening:
            changes.tell(None)
        self._listening.clear()

    async def kill(self, pod_uid: str, name: str) -> None:
        """`kill -9` of a container's first process."""
        container = self._newest(pod_uid, name)
        if container is not None:
            container.end(self._machine, 137)
            self._machine.tell_pod(pod_uid)

    async def kill_sandbox(self, pod_uid: str) -> None:
        """`kill -9` of everything in a pod, its sandbox included."""
        pod = self._machine.pods.get(pod_uid)
        if pod is not None:
            pod.ready = False
            for name in pod.containers:
                await self.kill(pod_uid, name)
            self._machine.tell_pod(pod_uid)

    def _newest(self, pod_uid: str, name: str) -> FakeContainer | None:
        pod = self._machine.pods.get(pod_uid)
        attempts = pod.containers.get(name) if pod is not None else None
        return attempts[-1] if attempts else None


def _state(pod: FakePod) -> PodState:
    return PodState(
        uid=pod.spec.uid,
        namespace=pod.spec.namespace,
        name=pod.spec.name,
        ready=pod.ready,
        sandbox_id=hashlib.sha256(pod.spec.uid.encode()).hexdigest(),
        ips=pod.ips,
        containers=tuple(attempts[-1].state() for attempts in pod.containers.values() if attempts),
    )


async def _answer_page(connection: socket.socket, page: bytes) -> None:
    reader, writer = await asyncio.open_connection(sock=connection)
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(page)
    try:
        asked = await reader.readuntil(b"\r\n\r\n")
        if asked.startswith(b"PRI "):
            await _answer_grpc(asked, reader, writer)
            return
        writer.write(head + page)
        await writer.drain()
    except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        pass  # who asked for no page gets none
    finally:
        writer.close()


async def _answer_grpc(asked: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    from lichen.drivers.fake.health import answer_health  # h2 takes 40 ms, and few ask

    await answer_health(asked, reader, writer)


async def _drain(queue: asyncio.Queue[tuple[int, bytes] | None]) -> AsyncIterator[tuple[int, bytes]]:
    while (item := await queue.get()) is not None:
        yield item


async def _code(work: asyncio.Future[int]) -> int:
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        if work.cancelled():
            return 137
        raise


def _cancel(work: asyncio.Future[int]) -> None:
    work.cancel()
