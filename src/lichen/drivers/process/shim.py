# SPDX-License-Identifier: Apache-2.0
"""The supervisor of one process: a program of its own that outlives the agent. It starts the process, writes what it
says as a CRI log, waits for it, and records how it ended. It imports next to nothing: there is one per container.

Read from stdin, as `marshal`: see `Order` in `orders.py`. Written in the attempt's folder:
`started`: supervisor's pid and start time, process's pid and start time, unix seconds.
`ended`: exit code, unix seconds, and a reason if it could not even be started.
Printed on stdout once the process runs: `ok`, or why it does not.
"""

from __future__ import annotations

import marshal
import os
import select
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ctypes
    from collections.abc import Callable

    from lichen.drivers.process.orders import Order

LONGEST = 16384  # bytes of a log line before it is cut into partial ones
ROTATE = 16 << 20  # bytes of a log before it is set aside as `.1`
DRAIN = 1.0  # seconds that output may outlive its process
CLONE_NEWNS, MS_RDONLY, MS_REMOUNT, MS_BIND, MS_REC, MS_SLAVE = 0x20000, 1, 32, 4096, 16384, 1 << 19
PR_SET_PDEATHSIG, PR_SET_NO_NEW_PRIVS, SIGKILL = 1, 38, 9


def start_time(pid: int) -> str:
    """When a process started, in ticks since boot: with the pid it names a process for good."""
    with open(f"/proc/{pid}/stat") as stat:
        return stat.read().rpartition(")")[2].split()[19]


def write_whole(path: str, text: str) -> None:
    """A reader sees all of it or nothing."""
    with open(path + ".new", "w") as file:
        file.write(text)
    os.rename(path + ".new", path)


def now() -> str:
    """RFC 3339 with nanoseconds."""
    seconds, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{nanoseconds:09d}Z"


class Log:
    """CRI's log: one line per line, stamped; a line too long, or the last one without an end, is partial."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.open()
        self.rest = {"stdout": b"", "stderr": b""}

    def open(self) -> None:
        self.file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
        self.size = os.fstat(self.file).st_size

    def add(self, stream: str, data: bytes) -> None:
        *lines, rest = (self.rest[stream] + data).split(b"\n")
        stamp = f"{now()} {stream} ".encode()
        out = []
        for line in lines:
            while len(line) > LONGEST:
                out.append(stamp + b"P " + line[:LONGEST])
                line = line[LONGEST:]
            out.append(stamp + b"F " + line)
        while len(rest) > LONGEST:
            out.append(stamp + b"P " + rest[:LONGEST])
            rest = rest[LONGEST:]
        self.rest[stream] = rest
        self.write(out)

    def close(self) -> None:
        for stream, rest in self.rest.items():
            if rest:
                self.write([f"{now()} {stream} P ".encode() + rest])
        os.close(self.file)

    def write(self, lines: list[bytes]) -> None:
        if not lines:
            return
        data = b"\n".join(lines) + b"\n"
        try:
            while data:
                written = os.write(self.file, data)
                self.size += written
                data = data[written:]
        except OSError:
            return  # a full disk costs log lines, not the process
        if self.size > ROTATE:
            os.close(self.file)
            os.rename(self.path, self.path + ".1")
            self.open()


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


def become(order: Order, out: int, err: int) -> None:
    """In the child: put everything off that is the agent's, and turn into the command."""
    os.setsid()
    for path in order["cgroup"]:
        with open(path + "/cgroup.procs", "w") as procs:
            procs.write("0")
    null = os.open("/dev/null", os.O_RDONLY)
    for source, target in ((null, 0), (out, 1), (err, 2)):
        os.dup2(source, target)
    environment = order["env"]
    if order["listen"]:
        os.dup2(order["socket"], 3)
        environment.update(LISTEN_FDS="1", LISTEN_FDNAMES=order["listen"], LISTEN_PID=str(os.getpid()))
    import ctypes  # in the child only: the supervisor stays small

    libc = ctypes.CDLL(None, use_errno=True)
    if order["mounts"]:
        bind(libc, order["mounts"])
    os.umask(0o077)
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(order["gid"])
        os.setuid(order["uid"])
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    libc.prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0)
    if order["cwd"]:
        os.chdir(order["cwd"])
    os.execvpe(order["argv"][0], order["argv"], environment)  # noqa: S606 - the command, as it was given


def spawn(order: Order) -> tuple[int, str, int, int, str]:
    """Start the command: its pid, its two outputs, and the reason if it could not be run."""
    out, out_child = os.pipe()
    err, err_child = os.pipe()
    fault, fault_child = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            # The pipe of faults must not lie where the listening socket goes; it closes itself by exec.
            fault_child = os.dup2(fault_child, 200, inheritable=False)
            become(order, out_child, err_child)
        except BaseException as error:
            os.write(fault_child, str(error).encode())
        os._exit(128)
    for descriptor in (out_child, err_child, fault_child):
        os.close(descriptor)
    if order["listen"]:
        os.close(order["socket"])
    started = start_time(pid)
    reason = os.read(fault, 4096).decode()
    os.close(fault)
    return pid, started, out, err, reason


def pump(log: Log, streams: dict[int, str], ended: int, at_end: Callable[[], None]) -> None:
    """Copy both outputs into the log until the process has ended and said all."""
    poll = select.poll()
    for descriptor in (*streams, ended):
        poll.register(descriptor, select.POLLIN)
    until = None
    while streams:
        wait = None if until is None else max(0, until - time.monotonic()) * 1000
        events = poll.poll(wait)
        if until is not None and not events:
            return
        for descriptor, _ in events:
            if descriptor == ended:
                poll.unregister(ended)
                until = time.monotonic() + DRAIN
                at_end()
                continue
            data = os.read(descriptor, 65536)
            if data:
                log.add(streams[descriptor], data)
            else:
                poll.unregister(descriptor)
                del streams[descriptor]


def kill(how: Callable[[int, int], None], pid: int) -> None:
    """Kill a process or a group; one that is gone already is what was wanted."""
    try:  # noqa: SIM105 - contextlib would have to be imported
        how(pid, SIGKILL)
    except ProcessLookupError:
        pass


def kill_rest(order: Order, pid: int) -> None:
    """What a container's first process leaves behind ends with it."""
    kill(os.killpg, pid)
    for path in order["cgroup"][:1]:
        with open(path + "/cgroup.procs") as procs:
            for line in procs:
                kill(os.kill, int(line))


def main() -> None:
    order: Order = marshal.loads(sys.stdin.buffer.read())  # noqa: S302 - from the driver, our parent
    folder = order["folder"]
    for path in order["own_cgroup"]:
        with open(path + "/cgroup.procs", "w") as procs:
            procs.write("0")
    log = Log(order["log"])
    pid, started, out, err, reason = spawn(order)
    if reason:
        os.waitpid(pid, 0)
        write_whole(folder + "/ended", f"128 {time.time()} {reason}")
        os.write(1, reason.encode())
        return
    own = f"{os.getpid()} {start_time(os.getpid())}"
    write_whole(folder + "/started", f"{own} {pid} {started} {time.time()}")
    os.write(1, b"ok")
    null = os.open("/dev/null", os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    ended = os.pidfd_open(pid)
    wait = select.poll()
    wait.register(ended, select.POLLIN)
    pump(log, {out: "stdout", err: "stderr"}, ended, lambda: kill_rest(order, pid))
    wait.poll()
    kill_rest(order, pid)  # before it is reaped, so that its number is still its own
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    log.close()
    write_whole(folder + "/ended", f"{128 - code if code < 0 else code} {time.time()} ")


if __name__ == "__main__":
    main()
