# SPDX-License-Identifier: Apache-2.0
"""Asking the cloud on this machine whether it answers."""

from __future__ import annotations

import ssl
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

from lichen.cli.output import CommandError
from lichen.client.local import LocalCloud, read_local

PAUSE = 0.05
LAST_WORDS = 3


def answers(url: str, ca_file: Path, *, timeout: float = 2.0) -> int:
    """The HTTP status of a GET; 0 if nothing answers."""
    try:
        context = ssl.create_default_context(cafile=str(ca_file))
        opener = urllib.request.build_opener(
            urllib.request.HTTPSHandler(context=context), urllib.request.ProxyHandler({})
        )
        with opener.open(url, timeout=timeout) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


def is_answering(cloud: LocalCloud) -> tuple[bool, bool]:
    """Whether the Kubernetes API and the OpenStack APIs answer."""
    kubernetes = answers(f"{cloud.kubernetes_url}/readyz", cloud.ca_file) == 200
    openstack = answers(f"{cloud.openstack_url}/identity/v3", cloud.ca_file) == 200
    return kubernetes, openstack


def wait_until_up(data_dir: Path, process: subprocess.Popen[bytes], seconds: float) -> LocalCloud:
    """The cloud that `process` starts, once both APIs answer. CommandError: it ended, or took too long."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise CommandError(f"the cloud did not start:\n{_tail(data_dir)}")
        cloud = read_local(data_dir)
        if cloud is not None and cloud.is_running and all(is_answering(cloud)):
            return cloud
        time.sleep(PAUSE)
    raise CommandError(f"the cloud does not answer after {seconds:.0f} s; see {data_dir / 'log'}:\n{_tail(data_dir)}")


def _tail(data_dir: Path) -> str:
    """The last words of each of the cloud's processes, without the requests they served."""
    said = []
    for path in sorted((data_dir / "log").glob("*.log")):
        lines = [line for line in path.read_text(errors="replace").splitlines() if '"lichen.access"' not in line]
        said += [f"    {path.stem}: {line[:300]}" for line in lines[-LAST_WORDS:]]
    return "\n".join(said)
