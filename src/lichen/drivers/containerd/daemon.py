# SPDX-License-Identifier: Apache-2.0
"""The containerd process: started apart from us, found again, watched, and brought back when it dies.

Pods do not depend on it: each has a shim of its own that outlives containerd and us.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import struct
import subprocess

from lichen.drivers import cgroups
from lichen.drivers.containerd.config import Layout, install
from lichen.model.errors import Permanent, Temporary

_RESTART_DELAY = 0.2


class Daemon:
    """One containerd. `on_start` is called whenever a fresh process answers, or a running one was found."""

    def __init__(self, layout: Layout, *, start_timeout: float = 30.0) -> None:
        self._layout = layout
        self._start_timeout = start_timeout
        self._child: subprocess.Popen[bytes] | None = None
        self._watcher: asyncio.Task[None] | None = None
        self._pid = 0

    @property
    def pid(self) -> int:
        """The running process, or 0."""
        return self._pid

    async def open(self) -> None:
        """Make sure that containerd answers, and keep it so."""
        if self._watcher is None:
            await self._ensure()
            self._watcher = asyncio.create_task(self._watch(), name="containerd")

    async def close(self) -> None:
        """Stop watching. The process and all pods stay."""
        if self._watcher is not None:
            self._watcher.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watcher
            self._watcher = None

    async def kill(self) -> None:
        """End the process; pods must have been removed before."""
        await self.close()
        pid = self._pid or listener(str(self._layout.socket))
        if pid:
            with contextlib.suppress(ProcessLookupError, TimeoutError):
                os.kill(pid, signal.SIGTERM)
                await exited(pid, timeout=10.0)
        self._reap()
        await cgroups.remove(self._layout.own_cgroup)
        self._pid = 0

    async def _watch(self) -> None:
        while True:
            await exited(self._pid)
            self._reap()
            while True:
                await asyncio.sleep(_RESTART_DELAY)
                with contextlib.suppress(Temporary):
                    await self._ensure()
                    break

    async def _ensure(self) -> None:
        self._pid = listener(str(self._layout.socket))
        if not self._pid:
            await self._start()

    async def _start(self) -> None:
        await asyncio.to_thread(install, self._layout)
        self._layout.socket.unlink(missing_ok=True)
        with self._layout.log.open("ab") as log:
            try:
                self._child = subprocess.Popen(  # noqa: ASYNC220 - only forks; what follows is awaited
                    ["containerd", "--config", str(self._layout.config)],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            except FileNotFoundError:
                raise Permanent("ContainerdMissing", "containerd is not installed: apt install containerd") from None
        cgroups.join(self._layout.own_cgroup, self._child.pid)
        await self._answering()

    async def _answering(self) -> None:
        """containerd makes its socket when its plugins have loaded, within a tenth of a second or so."""
        loop = asyncio.get_running_loop()
        until = loop.time() + self._start_timeout
        while not (pid := listener(str(self._layout.socket))):
            if self._child is not None and self._child.poll() is not None:
                raise Temporary(f"containerd ended with {self._child.returncode}; see {self._layout.log}", delay=5.0)
            if loop.time() > until:
                raise Temporary(f"containerd did not start in time; see {self._layout.log}", delay=5.0)
            await asyncio.sleep(0.01)
        self._pid = pid

    def _reap(self) -> None:
        if self._child is not None and self._child.poll() is not None:
            self._child = None


async def version() -> str:
    """`1.6.20`, of the containerd that is installed; "" if there is none."""
    try:
        asked = await asyncio.create_subprocess_exec("containerd", "--version", stdout=subprocess.PIPE)
    except FileNotFoundError:
        return ""
    words = (await asked.communicate())[0].decode().split()
    return words[2].partition("~")[0] if len(words) > 2 else ""


def listener(path: str) -> int:
    """The pid of the process that listens on a unix socket, 0 if none does."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(path)
        except OSError:
            return 0
        pid, _, _ = struct.unpack("3i", probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        return int(pid)


async def exited(pid: int, *, timeout: float | None = None) -> None:
    """Return when a process has ended, be it our child or not."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    loop = asyncio.get_running_loop()
    ended = loop.create_future()
    loop.add_reader(descriptor, lambda: None if ended.done() else ended.set_result(None))
    try:
        await asyncio.wait_for(ended, timeout)
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)
