# SPDX-License-Identifier: Apache-2.0
"""`lichen down`: stop the cloud's processes, then every workload; leave nothing behind but the data."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from lichen.cli.output import CommandError, Steps
from lichen.client.local import REAL_DATA_DIR, LocalCloud, find_local, read_local, simulated_data_dir

STOP_SECONDS = 60.0


def down(arguments: argparse.Namespace) -> int:
    cloud = find_local(arguments.data_dir.absolute() if arguments.data_dir else None)
    steps = Steps()
    if cloud is not None:
        with steps.step("stopping the cloud's processes"):
            _stop(cloud)
    known = cloud or _any_stopped(arguments.data_dir)
    if known is None:
        print("No cloud was ever started here." if cloud is None else "")
        return 0
    if not known.simulate:
        with steps.step("stopping machines, containers and networks"):
            _clean_up(known)
    if cloud is None:
        print("The cloud was not running; what it may have left behind is gone.")
    print(f"Its data stays in {known.data_dir}; `lichen up` finds it again.")
    return 0


def _any_stopped(data_dir: Path | None) -> LocalCloud | None:
    places = [data_dir.absolute()] if data_dir else [REAL_DATA_DIR, simulated_data_dir()]
    return next((cloud for place in places if (cloud := read_local(place))), None)


def _stop(cloud: LocalCloud) -> None:
    try:
        os.kill(cloud.pid, signal.SIGTERM)
    except ProcessLookupError:
        return
    except PermissionError:
        raise CommandError("the cloud belongs to another user: use sudo.") from None
    deadline = time.monotonic() + STOP_SECONDS
    while cloud.is_running:
        if time.monotonic() > deadline:
            raise CommandError(f"process {cloud.pid} does not end; see {cloud.data_dir}/log/daemon.log")
        time.sleep(0.05)


def _clean_up(cloud: LocalCloud) -> None:
    if os.geteuid() != 0:
        raise CommandError("the machine is cleaned up by root: use sudo.")
    command = [sys.executable, "-m", "lichen.daemon", "clean", "--data-dir", cloud.data_dir]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/")
    if ended.returncode:
        raise CommandError(f"something could not be removed:\n{ended.stderr.strip()}")
