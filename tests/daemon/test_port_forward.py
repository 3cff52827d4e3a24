# SPDX-License-Identifier: Apache-2.0
"""kubectl port-forward, to pods and services of a simulated cloud."""

from __future__ import annotations

import contextlib
import re
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest

from tests.conformance.cloud import Here, until


@pytest.fixture(scope="module")
def pod(cloud: Here) -> str:
    cloud.kubectl_ok("-n", "demo", "run", "page", "--image=nginx", "--port=80")
    cloud.kubectl_ok("-n", "demo", "expose", "pod", "page", "--port=8080", "--target-port=80")
    cloud.kubectl_ok("-n", "demo", "wait", "pod/page", "--for=condition=Ready", "--timeout=30s")
    return "page"


@contextlib.contextmanager
def forwarded(cloud: Here, target: str, port: int) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """kubectl while it forwards a port of its own choice, and its address."""
    process = cloud.start("kubectl", "-n", "demo", "port-forward", target, f":{port}")
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.search(r"127\.0\.0\.1:(\d+)", line)
        assert found is not None, line + process.stdout.read()
        yield f"http://127.0.0.1:{found[1]}/", process
    finally:
        process.terminate()
        process.communicate(timeout=10)


def read(url: str) -> str:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=10) as answer:
        text: str = answer.read().decode()
        return text


def test_a_port_of_a_pod_is_forwarded_again_and_again(cloud: Here, pod: str):
    with forwarded(cloud, f"pod/{pod}", 80) as (url, _):
        assert [read(url) for _ in range(5)] == ["page:80\n"] * 5


def test_a_port_of_a_service_leads_to_the_port_of_its_pod(cloud: Here, pod: str):
    with forwarded(cloud, f"service/{pod}", 8080) as (url, _):
        assert read(url) == "page:80\n"


def test_a_port_where_nothing_listens_is_told(cloud: Here):
    script = "sleep 2; exit 0"
    cloud.kubectl_ok("-n", "demo", "run", "brief", "--image=busybox", "--restart=Never", "--", "sh", "-c", script)
    cloud.kubectl_ok("-n", "demo", "wait", "pod/brief", "--for=condition=Ready", "--timeout=30s")
    with forwarded(cloud, "pod/brief", 80) as (url, process):
        until("it ends", lambda: cloud.object("-n", "demo", "pod", "brief")["status"]["phase"] == "Succeeded")
        with pytest.raises((urllib.error.URLError, ConnectionError)):
            read(url)
        assert process.stdout is not None
        told = [process.stdout.readline() for _ in range(3)]
        assert "nothing listens on port 80" in "".join(told)


def test_who_may_not_is_refused(cloud: Here, pod: str):
    refusal = cloud.kubectl_refused("-n", "demo", "port-forward", f"pod/{pod}", ":80", "--as=nobody")
    assert "forbidden" in refusal.lower()
