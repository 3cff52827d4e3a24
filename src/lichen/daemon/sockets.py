# SPDX-License-Identifier: Apache-2.0
"""Listening sockets, and how a child process finds those that its parent opened for it."""

from __future__ import annotations

import os
import resource
import socket

from lichen.daemon.settings import Settings

BACKLOG = 2048
SOCKETS_VARIABLE = "LICHEN_SOCKETS"
LISTENERS = ("kubernetes", "openstack", "node")


CONNECTIONS = 65536
"""Descriptors that a process may have, if the machine lets it: each connection takes one."""


def allow_connections() -> None:
    """As many connections as can be had. Systems begin with 1024, which one client can use up."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = CONNECTIONS if hard == resource.RLIM_INFINITY else min(CONNECTIONS, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def listen(address: str, port: int) -> socket.socket:
    """A listening TCP socket that a child process may inherit. OSError: the address is taken."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((address, port))
    except OSError as error:
        sock.close()
        raise OSError(error.errno, f"{address} port {port}: {error.strerror}") from None
    sock.listen(BACKLOG)
    sock.setblocking(False)
    return sock


def open_sockets(settings: Settings) -> dict[str, socket.socket]:
    """Every listener of the cloud, by name. OSError: an address is taken."""
    return {
        "kubernetes": listen(settings.listen, settings.kubernetes_port),
        "openstack": listen(settings.listen, settings.openstack_port),
        "node": listen("127.0.0.1", settings.node_port),
    }


def inherited(name: str, variable: str = SOCKETS_VARIABLE) -> socket.socket:
    """The listening socket that the supervisor passed on under `name`. KeyError: it passed none."""
    pairs = (entry.partition("=") for entry in os.environ.get(variable, "").split(",") if entry)
    numbers = {key: int(number) for key, _, number in pairs}
    os.set_inheritable(numbers[name], False)  # who is to have it, too, is given it
    return socket.socket(fileno=numbers[name])
