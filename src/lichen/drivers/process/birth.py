# SPDX-License-Identifier: Apache-2.0
"""From an order to a running process: its user, control group, mounts and listening socket."""

from __future__ import annotations

import fcntl
import os
import signal
from typing import TYPE_CHECKING

from lichen.drivers.process.orders import Order, Process, process_of

if TYPE_CHECKING:
    import ctypes

CLONE_NEWNS, MS_RDONLY, MS_REMOUNT, MS_BIND, MS_REC, MS_SLAVE = 0x20000, 1, 32, 4096, 16384, 1 << 19
PR_SET_PDEATHSIG, PR_SET_NO_NEW_PRIVS = 1, 38
HIGH = 200
"""The pipe of faults lies above the descriptors that the command is given."""


def bind(libc: ctypes.CDLL, mounts: list[tuple[str, str, bool]]) -> None:
    """Show files of the host at other places too, to this process and its children alone."""
    import ctypes

    def must(call: str, *arguments: object) -> None:
        if getattr(libc, call)(*arguments):
            raise OSError(f"{call} {arguments[1] if call == 'mount' else ''}: {os.strerror(ctypes.get_errno())}")

    must("unshare", CLONE_NEWNS)
    must("mount", b"none", b"/", None, MS_REC | MS_SLAVE, None)
    for source, target, read_only in mounts:
        if os.path.isdir(source):
            os.makedirs(target, exist_ok=True)
        else:
            os.makedirs(os.path.dirname(target), exist_ok=True)
            os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644))
        place = os.fsencode(target)
        must("mount", os.fsencode(source), place, None, MS_BIND | MS_REC, None)
        if read_only:
            must("mount", b"none", place, None, MS_BIND | MS_REMOUNT | MS_RDONLY, None)


def become(order: Order, listener: int, out: int, err: int, fault: int) -> None:
    """In the child: put everything off that is the host's but `fault`, and turn into the command."""
    os.setsid()
    for path in order["cgroup"]:
        with open(path + "/cgroup.procs", "w") as procs:
            procs.write("0")
    null = os.open("/dev/null", os.O_RDONLY)
    for source, target in ((null, 0), (out, 1), (err, 2)):
        os.dup2(source, target)
    environment = order["env"]
    if order["listen"]:
        os.dup2(listener, 3)
        os.set_inheritable(3, True)  # which dup2 leaves as it was if the two are the same
        environment.update(LISTEN_FDS="1", LISTEN_FDNAMES=order["listen"], LISTEN_PID=str(os.getpid()))
    os.closerange(4 if order["listen"] else 3, fault)
    os.closerange(fault + 1, os.sysconf("SC_OPEN_MAX"))
    import ctypes  # in the child only: the host stays small

    libc = ctypes.CDLL(None, use_errno=True)
    if order["mounts"]:
        bind(libc, order["mounts"])
    os.umask(0o077)
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(order["gid"])
        os.setuid(order["uid"])
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if order["cwd"]:
        os.chdir(order["cwd"])
    os.execvpe(order["argv"][0], order["argv"], environment)  # noqa: S606 - the command, as it was given


class NotRun(Exception):
    """Why a command could not be run."""


def spawn(order: Order, listener: int) -> tuple[Process, int, int]:
    """Start the command: the process and its two outputs. listener: -1 for none. NotRun; OSError: the machine has no
    room for one more. Nothing stays open then."""
    out, out_child = os.pipe()
    err, err_child = os.pipe()
    fault, fault_child = os.pipe()
    try:
        pid = os.fork()
    except OSError:
        _close(out, out_child, err, err_child, fault, fault_child)
        raise
    if not pid:
        fault_child = fcntl.fcntl(fault_child, fcntl.F_DUPFD_CLOEXEC, HIGH)
        try:
            become(order, listener, out_child, err_child, fault_child)
        except BaseException as error:
            os.write(fault_child, str(error).encode())
        os._exit(128)
    _close(out_child, err_child, fault_child)
    process = process_of(pid)
    reason = os.read(fault, 4096).decode()
    os.close(fault)
    if reason:
        _close(out, err)
        os.waitpid(pid, 0)
        raise NotRun(reason)
    return process, out, err


def _close(*descriptors: int) -> None:
    for descriptor in descriptors:
        os.close(descriptor)
