# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import resource
import subprocess
import sys

import pytest

from lichen.daemon.sockets import inherited, listen


def test_a_child_finds_the_sockets_passed_to_it_by_name(monkeypatch: pytest.MonkeyPatch):
    with listen("127.0.0.1", 0) as sock:
        copy = os.dup(sock.fileno())
        monkeypatch.setenv("LICHEN_SOCKETS", f"other=999,kubernetes={copy}")
        with inherited("kubernetes") as found:
            assert found.getsockname() == sock.getsockname()
        with pytest.raises(KeyError):
            inherited("node")


def test_a_taken_port_is_named_in_the_error():
    with listen("127.0.0.1", 0) as sock:
        port = sock.getsockname()[1]
        with pytest.raises(OSError, match=f"127.0.0.1 port {port}: Address already in use"):
            listen("127.0.0.1", port)


def test_a_process_may_have_more_connections_than_systems_begin_with():
    script = (
        "import resource; from lichen.daemon.sockets import allow_connections as a; a(); print(resource.getrlimit(7))"
    )
    few = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (256, 4096))  # noqa: E731
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, preexec_fn=few)
    assert done.stdout == "(4096, 4096)\n"
