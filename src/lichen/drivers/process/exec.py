# SPDX-License-Identifier: Apache-2.0
"""A command beside a running process: the same user, environment, folder and control group."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import AsyncIterator
from pathlib import Path

from lichen.drivers.base import Exec
from lichen.drivers.pipes import END_OF_INPUT, PipeReader, PipeWriter, merged
from lichen.drivers.process.watch import ended
from lichen.model.errors import Permanent

_DRAIN = 1.0

_ENTER = """
import ctypes, os, sys
target, user, group, tty, *command = sys.argv[1:]
for line in open(f"/proc/{target}/cgroup").read().splitlines():
    _, controllers, path = line.split(":", 2)
    name = controllers.removeprefix("name=") or ("unified" if os.path.isdir("/sys/fs/cgroup/unified") else "")
    try:
        open(f"/sys/fs/cgroup/{name}{path}/cgroup.procs", "w").write("0")
    except OSError:
        pass
os.setsid()
if tty == "1":
    import fcntl, termios
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
libc = ctypes.CDLL(None)
if os.geteuid() == 0:
    with open(f"/proc/{target}/ns/mnt") as mounts:
        libc.setns(mounts.fileno(), 0x20000)
os.chdir(f"/proc/{target}/cwd")
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(int(group))
    os.setuid(int(user))
libc.prctl(38, 1, 0, 0, 0)
try:
    os.execvp(command[0], command)
except OSError as error:
    print(error, file=sys.stderr)
    sys.exit(127 if isinstance(error, FileNotFoundError) else 126)
"""
"""Run by a fresh interpreter, so that nothing of the agent is forked into the user's process."""


async def start_exec(target: int, command: tuple[str, ...], *, tty: bool, stdin: bool) -> Exec:
    """target: the pid of the process that the command is run beside."""
    session = _Session()
    await session.start(target, command, tty=tty, stdin=stdin)
    return Exec(session.write, session.output(), session.resize, session.wait, session.kill, session.room)


class _Session:
    def __init__(self) -> None:
        self._readers: list[tuple[int, PipeReader]] = []
        self._stdin: PipeWriter | None = None
        self._terminal = -1
        self._pidfd = -1
        self._ended: asyncio.Task[int] | None = None
        self._closing: asyncio.Task[None] | None = None

    async def start(self, target: int, command: tuple[str, ...], *, tty: bool, stdin: bool) -> None:
        try:
            stat = Path(f"/proc/{target}").stat()
            environment = await _environment(target)
        except OSError as error:
            raise Permanent("ContainerNotRunning", "the process has ended") from error
        if tty:
            environment["TERM"] = "xterm"
        ours, theirs = _terminal() if tty else _pipes(stdin=stdin)
        argv = [sys.executable, "-IS", "-c", _ENTER, str(target), str(stat.st_uid), str(stat.st_gid), str(int(tty))]
        child = subprocess.Popen(  # noqa: ASYNC220 - only forks
            [*argv, *command], stdin=theirs[0], stdout=theirs[1], stderr=theirs[2], env=environment
        )
        self._pidfd = os.pidfd_open(child.pid)
        for descriptor in set(theirs):
            os.close(descriptor)
        self._attach(ours, tty=tty, stdin=stdin)
        self._ended = asyncio.create_task(self._run(child), name=f"exec {command[0]}")

    def _attach(self, ours: list[int], *, tty: bool, stdin: bool) -> None:
        for descriptor in ours:
            if descriptor >= 0:
                os.set_blocking(descriptor, False)
        if tty:
            self._terminal = ours[0]
            self._readers = [(1, PipeReader(os.dup(self._terminal)))]
            if stdin:
                self._stdin = PipeWriter(os.dup(ours[0]))
            return
        self._readers = [(1, PipeReader(ours[1])), (2, PipeReader(ours[2]))]
        if stdin:
            self._stdin = PipeWriter(ours[0])

    async def _run(self, child: subprocess.Popen[bytes]) -> int:
        try:
            while not await ended(self._pidfd, 3600.0):
                continue
            code = child.wait()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_DRAIN):
                    for _, reader in self._readers:
                        await reader.ended.wait()
            return 128 - code if code < 0 else code
        finally:
            self._release()

    def _release(self) -> None:
        for _, reader in self._readers:
            reader.close()
        if self._stdin is not None:
            self._stdin.close()
        for descriptor in (self._terminal, self._pidfd):
            if descriptor >= 0:
                os.close(descriptor)
        self._terminal = self._pidfd = -1

    def write(self, data: bytes | None) -> None:
        if self._stdin is None or self._closing is not None:
            return
        if data is not None:
            self._stdin.write(data)
        elif self._terminal >= 0:
            self._stdin.write(END_OF_INPUT)
        else:
            self._closing = asyncio.create_task(self._close_input(self._stdin))

    async def _close_input(self, pipe: PipeWriter) -> None:
        await pipe.drained()
        pipe.close()

    async def room(self) -> None:
        if self._stdin is not None:
            await self._stdin.room()

    def resize(self, columns: int, rows: int) -> None:
        if self._terminal >= 0:
            fcntl.ioctl(self._terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def kill(self) -> None:
        if self._pidfd >= 0:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)

    async def wait(self) -> int:
        assert self._ended is not None
        return await asyncio.shield(self._ended)

    def output(self) -> AsyncIterator[tuple[int, bytes]]:
        return merged(self._readers)


async def _environment(pid: int) -> dict[str, str]:
    """What a process was started with. It is empty for a moment while the kernel loads the program."""
    path = Path(f"/proc/{pid}/environ")
    for _ in range(100):
        if content := path.read_bytes():
            break
        await asyncio.sleep(0.005)
    entries = content.decode(errors="surrogateescape").split("\0")
    return dict(entry.split("=", 1) for entry in entries if "=" in entry)


def _terminal() -> tuple[list[int], list[int]]:
    """A pseudo terminal: our side, and theirs thrice."""
    ours, theirs = os.openpty()
    return [ours], [theirs] * 3


def _pipes(*, stdin: bool) -> tuple[list[int], list[int]]:
    """Three pipes: our ends and theirs, by descriptor number. Without stdin we have none, and theirs is empty."""
    read_in, write_in = os.pipe() if stdin else (os.open("/dev/null", os.O_RDONLY), -1)
    read_out, write_out = os.pipe()
    read_err, write_err = os.pipe()
    return [write_in, read_out, read_err], [read_in, write_out, write_err]
