# SPDX-License-Identifier: Apache-2.0
"""Keeps the processes of pods: starts each, writes what it says as a CRI log, and records how it ended. It outlives
the agent, and they end with it. There is one, which imports next to nothing: in a cloud, the supervisor.

    host = Host(path)                # the socket at which the driver finds it; root's alone
    host.wait(60.0)                  # what is due now, for ever

A message there is one of two (SOCK_SEQPACKET), and the connection is closed once the end of the process is on record:

`start`, with a file that holds an `Order` as marshal, and the listening socket if it names one: answered by `ok` once
the process runs, or by why it does not.
`follow <folder of an attempt>`: for an agent that was started again.

Written in the attempt's folder: `started` and `ended`, see `orders`.
"""

from __future__ import annotations

import contextlib
import logging
import marshal
import os
import selectors
import signal
import socket
import struct
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from lichen.drivers.process.birth import NotRun, spawn
from lichen.drivers.process.crilog import Log
from lichen.drivers.process.orders import Ended, Order, Process, Started, process_of, write_ended, write_started

log = logging.getLogger(__name__)

DRAIN = 1.0
"""Seconds that output may outlive its process."""
KILLED = 5.0
"""Seconds in which what was killed must be gone; what hangs in the kernel's hands longer is left to it."""
LONGEST_MESSAGE = 8192
NOT_RUN = 128
"""The exit code of a command that could not be run."""


@dataclass(slots=True)
class _Kept:
    """A process that runs, or has ended and is not on record yet. until: when its output is waited for no more."""

    order: Order
    process: Process
    pidfd: int
    log: Log
    outputs: dict[int, str]
    followers: set[socket.socket] = field(default_factory=set)
    until: float | None = None


class Host:
    """Serves its socket and its processes whenever it is waited on; never in between."""

    def __init__(self, path: Path) -> None:
        self._kept: dict[str, _Kept] = {}
        self._selector = selectors.DefaultSelector()
        self._listener = _listen(path)
        self.also(self._listener.fileno(), self._accept)

    def also(self, descriptor: int, ready: Callable[[], None]) -> None:
        """Have `ready` called, too, when there is something to read."""
        self._selector.register(descriptor, selectors.EVENT_READ, ready)

    def wait(self, timeout: float | None) -> None:
        """Do what is due, once something is, or after so many seconds at the latest."""
        for key, _ in self._selector.select(self._patience(timeout)):
            self._try(key.data)
        for kept in list(self._kept.values()):
            if kept.until is not None and (not kept.outputs or time.monotonic() >= kept.until):
                self._try(partial(self._finish, kept))

    @staticmethod
    def _try(act: Callable[[], None]) -> None:
        """Whatever goes wrong with one process is told, and no other's matter: with the host, all would end."""
        try:
            act()
        except Exception:
            log.exception("a process is not looked after as it should be")

    def stop(self, patience: float) -> None:
        """End all processes: asked first, killed after `patience` seconds."""
        for number, seconds in ((signal.SIGTERM, patience), (signal.SIGKILL, KILLED)):
            deadline = time.monotonic() + seconds
            for kept in self._kept.values():
                _signal(kept, number)
            while self._kept and time.monotonic() < deadline:
                self.wait(deadline - time.monotonic())

    def _patience(self, timeout: float | None) -> float | None:
        ends = [kept.until for kept in self._kept.values() if kept.until is not None]
        if not ends:
            return timeout
        soon = max(min(ends) - time.monotonic(), 0.0)
        return soon if timeout is None else min(soon, timeout)

    # --- the driver ---------------------------------------------------------------------------------------------------

    def _accept(self) -> None:
        connection, _ = self._listener.accept()
        _, uid, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        if uid != os.geteuid():
            connection.close()
            return
        self.also(connection.fileno(), lambda: self._hear(connection))

    def _hear(self, connection: socket.socket) -> None:
        """A message; or the driver's end, which changes nothing."""
        message, descriptors, _, _ = socket.recv_fds(connection, LONGEST_MESSAGE, 2, socket.MSG_CMSG_CLOEXEC)
        try:
            word, _, folder = message.decode().partition(" ")
            if word == "start" and descriptors:
                connection.send(self._start(connection, descriptors).encode()[:LONGEST_MESSAGE])
            elif word == "follow" and folder in self._kept:
                self._kept[folder].followers.add(connection)
            else:
                self._part(connection)
        except Exception:
            self._part(connection)
            raise
        finally:
            for descriptor in descriptors:
                os.close(descriptor)

    def _part(self, connection: socket.socket) -> None:
        for kept in self._kept.values():
            kept.followers.discard(connection)
        self._selector.unregister(connection.fileno())
        connection.close()

    # --- processes ----------------------------------------------------------------------------------------------------

    def _start(self, connection: socket.socket, descriptors: list[int]) -> str:
        """`ok`, or why it does not run, which is on record then."""
        with open(descriptors[0], "rb", closefd=False) as file:
            file.seek(0)
            order: Order = marshal.load(file)  # noqa: S302 - from the driver, which is who we are
        folder, record = order["folder"], Log(order["log"])
        try:
            process, out, err = spawn(order, descriptors[1] if order["listen"] else -1)
        except NotRun as error:
            record.close()
            write_ended(Path(folder), Ended(NOT_RUN, time.time(), str(error)))
            return str(error)
        except OSError:
            record.close()
            raise
        kept = _Kept(order, process, os.pidfd_open(process.pid), record, {out: "stdout", err: "stderr"}, {connection})
        self._kept[folder] = kept
        self.also(kept.pidfd, lambda: self._ended(kept))
        self.also(out, lambda: self._said(kept, out))
        self.also(err, lambda: self._said(kept, err))
        try:
            write_started(Path(folder), Started(process_of(os.getpid()), process, time.time()))
        except OSError:
            _signal(kept, signal.SIGKILL)  # nobody would find it
            raise
        return "ok"

    def _said(self, kept: _Kept, descriptor: int) -> None:
        data = os.read(descriptor, 65536)
        if data:
            kept.log.add(kept.outputs[descriptor], data)
        else:
            self._close(kept, descriptor)

    def _close(self, kept: _Kept, descriptor: int) -> None:
        self._selector.unregister(descriptor)
        os.close(descriptor)
        del kept.outputs[descriptor]

    def _ended(self, kept: _Kept) -> None:
        self._selector.unregister(kept.pidfd)
        kept.until = time.monotonic() + DRAIN
        _kill_rest(kept)

    def _finish(self, kept: _Kept) -> None:
        """Put an ended process on record, and tell who follows it."""
        del self._kept[kept.order["folder"]]
        try:
            self._record(kept)
        finally:
            for connection in list(kept.followers):
                self._part(connection)

    def _record(self, kept: _Kept) -> None:
        _kill_rest(kept)  # before it is reaped, so that its number is still its own
        code = os.waitstatus_to_exitcode(os.waitpid(kept.process.pid, 0)[1])
        os.close(kept.pidfd)
        for descriptor in list(kept.outputs):
            self._close(kept, descriptor)
        kept.log.close()
        write_ended(Path(kept.order["folder"]), Ended(128 - code if code < 0 else code, time.time()))


def _listen(path: Path) -> socket.socket:
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(str(path))
    path.chmod(0o600)
    listener.listen(128)
    return listener


def _signal(kept: _Kept, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        signal.pidfd_send_signal(kept.pidfd, number)


def _kill_rest(kept: _Kept) -> None:
    """What a container's first process leaves behind ends with it."""
    _kill(os.killpg, kept.process.pid)
    for path in kept.order["cgroup"][:1]:
        with contextlib.suppress(FileNotFoundError), open(path + "/cgroup.procs") as procs:
            for line in procs:
                _kill(os.kill, int(line))


def _kill(how: Callable[[int, int], None], pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        how(pid, signal.SIGKILL)


if __name__ == "__main__":
    alone = Host(Path(sys.argv[1]))
    print("ready", flush=True)
    while True:
        alone.wait(None)
