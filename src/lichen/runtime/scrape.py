# SPDX-License-Identifier: Apache-2.0
"""How a process tells the kernel its metrics: on a unix socket, and whoever connects to it is told what was counted, as
JSON. There is nothing to ask for, so there is no request. The kernel's part is `apis.kubernetes.processes`.

Sockets are `<root>/<role>/<process>.sock`; the folder says who may make them and who may connect, see `daemon.layout`.
Nothing heavy is imported: the supervisor is to stay small.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec

from lichen.model.metrics import DECLARED, shown
from lichen.runtime.process import process_figures

log = logging.getLogger(__name__)

SECONDS = 5.0
"""For which an asker may hold up the next one."""


@contextlib.contextmanager
def showing_metrics(root: Path, role: str, name: str = "") -> Iterator[None]:
    """While the block runs, tell what this process counted to whoever connects. name: of one of several of a role; it
    begins with `<role>-`.

    A thread answers, in every process alike: the supervisor has no event loop, and a loop that hangs is when one wants
    to look.
    """
    path = root / role / f"{name or role}.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        try:
            _listen(listener, path)
        except OSError as fault:
            log.warning("this process shows no metrics: %s: %s", path, fault)
            yield
            return
        threading.Thread(target=_answer, args=(listener,), name="lichen-metrics", daemon=True).start()
        try:
            yield
        finally:
            path.unlink(missing_ok=True)
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)


def _listen(listener: socket.socket, path: Path) -> None:
    _remove_dead(path.parent)
    made = path.with_suffix(".new")  # nobody shall find it who would take it for dead
    made.unlink(missing_ok=True)
    listener.bind(str(made))
    made.chmod(0o660)
    listener.listen(8)
    made.rename(path)


def _answer(listener: socket.socket) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return  # the process is about to end
        try:
            with connection:
                connection.settimeout(SECONDS)
                connection.sendall(msgspec.json.encode(process_figures() + shown(DECLARED)))
        except OSError as fault:
            log.info("metrics were asked for and not taken: %s", fault)
        except Exception:
            log.exception("metrics cannot be told")


def _remove_dead(folder: Path) -> None:
    """Sockets of processes that were killed."""
    for path in folder.glob("*.sock"):
        with socket.socket(socket.AF_UNIX) as probe, contextlib.suppress(FileNotFoundError):
            try:
                probe.connect(str(path))
            except ConnectionRefusedError:
                path.unlink(missing_ok=True)
