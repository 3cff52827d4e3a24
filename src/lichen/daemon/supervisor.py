# SPDX-License-Identifier: Apache-2.0
"""The supervisor: owns the listening sockets, starts the cloud's processes and starts them again when they end. It is
also the host of the pods of class `process`, which outlive the node's agent with it.

It does nothing else and imports nothing heavy, so that it has no reason to end itself. Because the sockets are its
own, connections to a child that restarts wait in the backlog instead of being refused.
"""

from __future__ import annotations

import logging
import os
import pwd
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from lichen import __version__
from lichen.client.local import LocalCloud, birth_of, write_private
from lichen.daemon import rotation
from lichen.daemon.interpreter import own_python
from lichen.daemon.settings import Settings
from lichen.daemon.sockets import LISTENERS, SOCKETS_VARIABLE, inherited
from lichen.drivers.process.host import Host
from lichen.model.metrics import STARTS
from lichen.runtime.scrape import showing_metrics

log = logging.getLogger("lichen.supervisor")

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0
STEADY_SECONDS = 10.0
STOP_SECONDS = 15.0


@dataclass(slots=True)
class Child:
    """One process of the cloud. user: "" keeps the supervisor's own."""

    role: str
    user: str = ""
    sockets: tuple[str, ...] = ()
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    pause: float = field(default=FIRST_PAUSE)
    due: float = 0.0


CHILDREN = (
    ("kernel", True, ("kubernetes",)),
    ("controllers", True, ()),
    ("node", False, ("node", "openstack")),
)


def run(settings: Settings) -> int:
    """The supervisor's whole life, from the note that it runs to the end of its children."""
    sockets = {name: inherited(name) for name in LISTENERS}
    write_cloud_file(settings)
    supervise(settings, sockets)
    return 0


def write_cloud_file(settings: Settings) -> None:
    """Tell `lichen` where this cloud answers; see `lichen.client.local`."""
    facts = LocalCloud(
        data_dir=str(settings.data_dir),
        pid=os.getpid(),
        born=birth_of(os.getpid()),
        simulate=settings.simulate,
        nodes=settings.nodes,
        kubernetes_url=settings.kubernetes_url,
        openstack_url=settings.openstack_url,
        version=__version__,
    )
    write_private(settings.data_dir / "cloud.json", msgspec.json.encode(facts), 0o644)


def supervise(settings: Settings, sockets: Mapping[str, socket.socket]) -> None:
    """Run the children until SIGTERM or SIGINT; then stop them, the kernel last."""
    host = Host(settings.processes_socket)
    received = _signals(host)
    with showing_metrics(settings.metrics_dir, "supervisor"):
        _supervise(settings, sockets, host, received)


def _signals(host: Host) -> set[int]:
    """What is received from now on, and wakes the host."""
    received: set[int] = set()
    ours, theirs = socket.socketpair()
    for end in (ours, theirs):
        end.setblocking(False)
    signal.set_wakeup_fd(theirs.detach(), warn_on_full_buffer=False)
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    host.also(ours.fileno(), lambda: received.update(ours.recv(4096)))
    return received


def _supervise(settings: Settings, sockets: Mapping[str, socket.socket], host: Host, received: set[int]) -> None:
    children = [Child(role, settings.user if drops else "", names) for role, drops, names in CHILDREN]
    while not received & {signal.SIGTERM, signal.SIGINT}:
        now = time.monotonic()
        for child in children:
            _reap(child)
            if child.process is None and child.due <= now:
                _start(child, settings, sockets)
        rotation.keep_small(settings.log_dir)
        waits = [child.due - now for child in children if child.process is None]
        host.wait(max(min([*waits, rotation.EVERY]), 0.0))
    for child in children[-1:]:
        _stop(child)  # the agent, which would start again what the host ends
    host.stop(STOP_SECONDS)
    for child in reversed(children[:-1]):
        _stop(child)


def _start(child: Child, settings: Settings, sockets: Mapping[str, socket.socket]) -> None:
    descriptors = {name: sockets[name].fileno() for name in child.sockets}
    environment = os.environ | {
        SOCKETS_VARIABLE: ",".join(f"{name}={number}" for name, number in descriptors.items()),
        "PYTHONUNBUFFERED": "1",
    }
    account = pwd.getpwnam(child.user) if child.user else None
    with (settings.log_dir / f"{child.role}.log").open("ab") as output:
        child.process = subprocess.Popen(
            [own_python(), "-m", "lichen.daemon", child.role, "--data-dir", str(settings.data_dir)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            pass_fds=list(descriptors.values()),
            env=environment,
            cwd="/",
            user=account.pw_uid if account else None,
            group=account.pw_gid if account else None,
            extra_groups=[] if account else None,
            start_new_session=True,
        )
    child.started = time.monotonic()
    STARTS.add(child.role)
    log.info("%s started, pid %d", child.role, child.process.pid)


def _reap(child: Child) -> None:
    if child.process is None or child.process.poll() is None:
        return
    lived = time.monotonic() - child.started
    child.pause = FIRST_PAUSE if lived > STEADY_SECONDS else min(child.pause * 2, LONGEST_PAUSE)
    child.due = time.monotonic() + child.pause
    log.warning("%s ended with %s; again in %.1f s", child.role, child.process.returncode, child.pause)
    child.process = None


def _stop(child: Child) -> None:
    if child.process is None:
        return
    child.process.terminate()
    try:
        child.process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        log.warning("%s did not stop within %.0f s and is killed", child.role, STOP_SECONDS)
        child.process.kill()
        child.process.wait()
