# SPDX-License-Identifier: Apache-2.0
"""A host of processes beside the tests, as the supervisor is one in a cloud."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def a_host(socket: Path) -> Iterator[Path]:
    """It runs until the end, or until it is killed."""
    command = [sys.executable, "-m", "lichen.drivers.process.host", str(socket)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as host:
        assert host.stdout is not None
        assert host.stdout.readline() == b"ready\n"
        try:
            yield socket
        finally:
            host.kill()
