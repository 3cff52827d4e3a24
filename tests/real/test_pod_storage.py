# SPDX-License-Identifier: Apache-2.0
"""Pods that fill a real disk further than they may, and folders in memory that do not become larger than they may."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.cloud import Here, a_cloud, until
from tests.real.machine import tiny_image

pytestmark = [pytest.mark.real, pytest.mark.timeout(300), pytest.mark.xdist_group("first-light")]


@pytest.fixture(scope="module")
def cloud() -> Iterator[Here]:
    with a_cloud(simulate=False, tiny=tiny_image()) as here:
        yield here
    assert str(here.data_dir) not in Path("/proc/mounts").read_text()


def demo(cloud: Here, *arguments: str, **more: Any) -> str:
    return cloud.kubectl_ok("-n", "demo", *arguments, **more)


def run(cloud: Here, name: str, script: str, empty_dir: dict[str, str], limit: str = "") -> None:
    container = {
        "name": "c",
        "image": "busybox",
        "command": ["sh", "-c", f"{script}; sleep 3600"],
        "volumeMounts": [{"name": "scratch", "mountPath": "/scratch"}],
        "resources": {"limits": {"ephemeral-storage": limit}} if limit else {},
    }
    spec = {"containers": [container], "volumes": [{"name": "scratch", "emptyDir": empty_dir}]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "demo"}, "spec": spec}
    demo(cloud, "apply", "-f", "-", input=pod)


def why_evicted(cloud: Here, name: str) -> str:
    """Once it is, and gives back what it took."""

    def is_evicted() -> bool:
        status = cloud.object("-n", "demo", "pod", name).get("status") or {}
        return (status.get("phase"), status.get("reason")) == ("Failed", "Evicted")

    until(f"{name} is evicted", is_evicted)
    pod = cloud.object("-n", "demo", "pod", name)
    until("its disk is free", lambda: not folder(cloud, pod).exists())
    assert f"pod/{name}" in demo(cloud, "get", "events", "--field-selector=reason=Evicted")
    return str(pod["status"]["message"])


def folder(cloud: Here, pod: dict[str, Any]) -> Path:
    return cloud.data_dir / "pods/volumes" / pod["metadata"]["uid"] / "scratch"


def test_a_pod_that_fills_its_empty_directory_beyond_its_limit_is_evicted(cloud: Here):
    run(cloud, "full", "dd if=/dev/zero of=/scratch/big bs=1M count=8", {"sizeLimit": "4Mi"})
    assert why_evicted(cloud, "full") == 'Usage of EmptyDir volume "scratch" exceeds the limit "4Mi".'


def test_a_pod_that_writes_more_into_its_own_file_system_than_it_may_is_evicted(cloud: Here):
    run(cloud, "writer", "dd if=/dev/zero of=/tmp/big bs=1M count=8", {}, limit="4Mi")
    said = "Pod ephemeral local storage usage exceeds the total limit of containers 4Mi."
    assert why_evicted(cloud, "writer") == said


def test_an_empty_directory_in_memory_holds_what_its_limit_says_and_no_more(cloud: Here):
    fill = "dd if=/dev/zero of=/scratch/big bs=1M count=8; echo filled"
    run(cloud, "fast", fill, {"medium": "Memory", "sizeLimit": "4Mi"})
    until("it is filled", lambda: "filled" in cloud.kubectl("-n", "demo", "logs", "fast").out)
    assert "No space left on device" in demo(cloud, "logs", "fast")
    words = demo(cloud, "exec", "fast", "--", "df", "-k", "/scratch").splitlines()[-1].split()
    assert (words[0], words[1], words[-1]) == ("tmpfs", "4096", "/scratch")
    pod = cloud.object("-n", "demo", "pod", "fast")
    assert pod["status"]["phase"] == "Running"
    demo(cloud, "delete", "pod", "fast", "--grace-period=1")
    assert not folder(cloud, pod).exists()
    run(cloud, "left", "true", {"medium": "Memory", "sizeLimit": "4Mi"})
    demo(cloud, "wait", "pod/left", "--for=condition=Ready", "--timeout=60s")
