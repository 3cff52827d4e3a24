# SPDX-License-Identifier: Apache-2.0
"""What a killed supervisor left: processes that still hold the cloud's listeners. Workloads are let be."""

from __future__ import annotations

import logging
import os
import signal
import time
from contextlib import suppress
from pathlib import Path

from lichen.cli.processes import Process, processes_of
from lichen.daemon.settings import Settings

log = logging.getLogger(__name__)

PATIENCE = 10.0
PAUSE = 0.02


def stop_leftovers(settings: Settings) -> None:
    """End every earlier process of this cloud but ourselves; the node agent starts the services' pods again."""
    for number, patience in ((signal.SIGTERM, PATIENCE), (signal.SIGKILL, 1.0)):
        left = _others(settings)
        for process in left:
            log.warning("%s (pid %d) was left by an earlier start and is ended", process.role, process.pid)
            with suppress(ProcessLookupError):
                os.kill(process.pid, number)
        deadline = time.monotonic() + patience
        while left and time.monotonic() < deadline:
            time.sleep(PAUSE)
            left = _others(settings)
        if not left:
            return


def _others(settings: Settings) -> list[Process]:
    ours = _lineage()
    return [process for process in processes_of(str(settings.data_dir)) if process.pid not in ours]


def _lineage() -> set[int]:
    """Ourselves and who started us (sudo, timeout, …), whose command lines look like ours."""
    pids, pid = set(), os.getpid()
    while pid > 1:
        pids.add(pid)
        pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return pids
