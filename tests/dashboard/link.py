# SPDX-License-Identifier: Apache-2.0
"""A wire between the browser and the cloud that can be cut, and mended to lead elsewhere."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator


class Link:
    """Passes on what comes to a port of its own. target: the port it leads to; None while it is cut."""

    def __init__(self, target: int) -> None:
        self.target: int | None = target
        self.accepted = 0
        self._sockets: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Every connection breaks; new ones break at once."""
        self.target = None
        for one in list(self._sockets):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def mend(self, target: int) -> None:
        self.target = target

    def close(self) -> None:
        self.cut()
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                here, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._pass, args=(here,), daemon=True).start()

    def _pass(self, here: socket.socket) -> None:
        with here:
            if self.target is None:
                return
            self.accepted += 1
            try:
                there = socket.create_connection(("127.0.0.1", self.target))
            except OSError:
                return
            with there:
                self._sockets |= {here, there}
                back = threading.Thread(target=_pour, args=(there, here), daemon=True)
                back.start()
                _pour(here, there)
                back.join()
                self._sockets -= {here, there}


def _pour(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


@contextlib.contextmanager
def a_link(target: int) -> Iterator[Link]:
    link = Link(target)
    try:
        yield link
    finally:
        link.close()
