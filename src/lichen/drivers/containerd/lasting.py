# SPDX-License-Identifier: Apache-2.0
"""A gRPC connection that outlives its owner by a while.

containerd breaks off what it does for a client whose connection closes. A container's start that is broken off after
its command ran is a failed attempt, and the command would run a second time; at some other points a task is left that
nothing can remove. So a shell holds the connection, too: when we are killed, what we asked for is brought to its end.
"""

from __future__ import annotations

import asyncio
import socket
import subprocess

from grpclib.client import Channel
from grpclib.protocol import H2Protocol

SECONDS = 30
_HOLD = f"read -r _; exec sleep {SECONDS}"
"""Until its input ends, which is when we do, and some time more."""


class LastingChannel(Channel):
    """path: of containerd's socket."""

    def __init__(self, path: str) -> None:
        super().__init__(path=path)
        self._socket_path = path
        self._holder: subprocess.Popen[bytes] | None = None

    async def _create_connection(self) -> H2Protocol:
        loop = asyncio.get_running_loop()
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.setblocking(False)
            await loop.sock_connect(connection, self._socket_path)
            self._let_go()
            self._holder = _hold(connection)
            _, protocol = await loop.create_unix_connection(self._protocol_factory, sock=connection)
        except BaseException:
            connection.close()
            raise
        return protocol

    def close(self) -> None:
        """At once, with what is under way."""
        super().close()
        self._let_go()

    def _let_go(self) -> None:
        if self._holder is not None:
            self._holder.kill()
            self._holder.communicate()
            self._holder = None


def _hold(connection: socket.socket) -> subprocess.Popen[bytes]:
    descriptor = connection.fileno()
    return subprocess.Popen(
        ["/bin/sh", "-c", _HOLD],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        pass_fds=(descriptor,),
        start_new_session=True,
        cwd="/",
        env={"PATH": "/usr/bin:/bin"},
    )
