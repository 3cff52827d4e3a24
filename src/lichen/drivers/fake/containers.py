# SPDX-License-Identifier: Apache-2.0
"""One attempt at a simulated container: a process in the simulated shell, and its log in CRI's format."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from lichen.drivers.base import ContainerPhase, ContainerSpec, ContainerState, PodSpec
from lichen.drivers.fake.commands import COMMANDS, Io
from lichen.drivers.fake.faults import pod_fault
from lichen.drivers.fake.machine import Clock, FakeMachine
from lichen.drivers.fake.shell import Shell

_BASE_IMAGES = {"busybox", "alpine", "debian", "ubuntu"}
_SHELL_NAMES = {"sh", "bash", "ash", "dash", "busybox", "exit"}


@dataclass(slots=True)
class FakeContainer:
    """An attempt, running or ended."""

    spec: ContainerSpec
    pod: PodSpec
    attempt: int
    image_id: str
    log: Path
    id: str = field(default_factory=lambda: secrets.token_hex(32))
    phase: ContainerPhase = ContainerPhase.CREATED
    created_at: float = 0.0
    started_at: float = 0.0
    finished_at: float = 0.0
    exit_code: int = 0
    reason: str = ""
    message: str = ""
    task: asyncio.Task[None] | None = None
    stdin: asyncio.Queue[bytes | None] = field(default_factory=asyncio.Queue)
    attached: list[asyncio.Queue[tuple[int, bytes] | None]] = field(default_factory=list)

    def state(self) -> ContainerState:
        return ContainerState(
            id=self.id, name=self.spec.name, attempt=self.attempt, phase=self.phase, image=self.spec.image,
            image_id=self.image_id, created_at=self.created_at, started_at=self.started_at,
            finished_at=self.finished_at, exit_code=self.exit_code, reason=self.reason, message=self.message,
        )  # fmt: skip

    def start(self, machine: FakeMachine) -> None:
        self.created_at = self.started_at = machine.clock.now()
        self.phase = ContainerPhase.RUNNING
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self.log.touch()
        if self._runs_for_ever():
            return
        if not self._is_known() and not pod_fault(self.pod.labels).kind:
            self.message = f'exec: "{self._argv()[0]}": no such file or directory'
            self.end(machine, 128, "StartError")
            machine.tell_pod(self.pod.uid)
            return
        self.task = machine.later(self._run(machine))

    def end(self, machine: FakeMachine, code: int, reason: str = "") -> None:
        """The process is gone."""
        if self.phase != ContainerPhase.RUNNING:
            return
        self.phase, self.exit_code, self.finished_at = ContainerPhase.EXITED, code, machine.clock.now()
        self.reason = reason or ("Completed" if code == 0 else "Error")
        for queue in self.attached:
            queue.put_nowait(None)
        if self.task is not None and self.task is not asyncio.current_task():
            self.task.cancel()

    def shell(self, clock: Clock) -> Shell:
        """A shell inside the container."""
        hostname = self.pod.hostname or self.pod.name
        path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        return Shell(
            clock,
            hostname,
            {"PATH": path, "HOSTNAME": hostname, "HOME": "/root", **self.spec.env},
            self.spec.mounts,
            {"/etc/hostname": f"{hostname}\n", "/etc/resolv.conf": self._resolv_conf()},
            self.spec.working_dir or "/",
        )

    def _resolv_conf(self) -> str:
        lines = [f"nameserver {server}\n" for server in self.pod.dns_nameservers]
        searches = " ".join(self.pod.dns_searches)
        return "".join([f"search {searches}\n", *lines] if searches else lines)

    def _argv(self) -> tuple[str, ...]:
        return (*self.spec.command, *self.spec.args)

    def _runs_for_ever(self) -> bool:
        """What an application's image brings of its own is taken for a server; a base image has its shell only."""
        if pod_fault(self.pod.labels).kind or self._is_base_image():
            return False
        return not self.spec.command or not self._is_known()

    def _is_base_image(self) -> bool:
        return self.spec.image.rpartition("/")[2].partition(":")[0].partition("@")[0] in _BASE_IMAGES

    def _is_known(self) -> bool:
        name = self._argv()[0].rpartition("/")[2] if self._argv() else "sh"
        return name in COMMANDS or name in _SHELL_NAMES

    def _say(self, stream: int, data: bytes) -> None:
        for queue in self.attached if data else ():
            queue.put_nowait((stream, data))

    async def _run(self, machine: FakeMachine) -> None:
        fault = pod_fault(self.pod.labels)
        log = _Log(self.log, machine.clock)

        def out(data: bytes) -> None:
            log.stdout(data)
            self._say(1, data)

        def error(data: bytes) -> None:
            (log.stdout if self.spec.tty else log.stderr)(data)
            self._say(1 if self.spec.tty else 2, data)

        io = Io(out, error, self.stdin if self.spec.stdin else None, self.spec.tty)
        if fault.kind in ("crash", "oom"):
            await machine.clock.sleep(fault.after)
            code, reason = 137, "OOMKilled" if fault.kind == "oom" else "Error"
        else:
            code, reason = await self.shell(machine.clock).run(self._argv() or ("sh",), io), ""
        log.close()
        self.end(machine, code, reason)
        machine.tell_pod(self.pod.uid)


class _Log:
    """Writes whole lines as `time stream F line`, and what is left of one as P at the end."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._rest = {"stdout": b"", "stderr": b""}

    def stdout(self, data: bytes) -> None:
        self._write("stdout", data)

    def stderr(self, data: bytes) -> None:
        self._write("stderr", data)

    def close(self) -> None:
        for stream, rest in self._rest.items():
            if rest:
                self._append(stream, "P", [rest])

    def _write(self, stream: str, data: bytes) -> None:
        *lines, self._rest[stream] = (self._rest[stream] + data).split(b"\n")
        if lines:
            self._append(stream, "F", lines)

    def _append(self, stream: str, tag: str, lines: list[bytes]) -> None:
        stamp = datetime.fromtimestamp(self._clock.now(), UTC).strftime("%Y-%m-%dT%H:%M:%S.%f") + "000Z"
        with self._path.open("ab") as file:
            file.write(b"".join(f"{stamp} {stream} {tag} ".encode() + line + b"\n" for line in lines))
