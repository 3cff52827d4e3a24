# SPDX-License-Identifier: Apache-2.0
"""Pods that take more of the node's disk than they may are evicted."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

from lichen.agent.storage import disk_usage
from lichen.agent.volumes import Volumes
from lichen.kinds.builtin import EVENT, POD
from lichen.model.data import Object
from lichen.model.meta import uid_of
from tests.agent.world import World, a_pod, run_pod

MIB = 1 << 20
LIMITED: Object = {"name": "scratch", "emptyDir": {"sizeLimit": "1Mi"}}
FREE: Object = {"name": "scratch", "emptyDir": {}}


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lichen.agent.storage.PERIOD", 0.05)


def writing(volume: Object, limit: str = "", **spec: Any) -> Object:
    main = {
        "name": "main",
        "image": "busybox",
        "command": ["sleep", "1000"],
        "volumeMounts": [{"name": "scratch", "mountPath": "/scratch"}],
        "resources": {"limits": {"ephemeral-storage": limit}} if limit else {},
    }
    return a_pod("web", main, volumes=[volume], **spec)


def fill(folder: Path, size: int = 2 * MIB) -> None:
    (folder / "big").write_bytes(b"x" * size)


def make_deep(folder: Path) -> None:
    """More folders in folders than Python walks."""
    folder.mkdir(parents=True)
    for depth in range(1, 1500):
        os.mkdir(f"{folder}/{'d/' * depth}")


def scratch(world: World, pod: Object) -> Path:
    return world.agent.pods.volumes.folder(uid_of(pod), "scratch")


def is_evicted(pod: Object) -> bool:
    return (pod["status"]["phase"], pod["status"].get("reason")) == ("Failed", "Evicted")


async def test_a_pod_whose_empty_directory_is_too_full_is_evicted_and_its_disk_is_given_back(world: World):
    pod = await run_pod(world, writing(LIMITED))
    fill(scratch(world, pod))
    pod = await world.until(POD, "web", is_evicted)
    said = 'Usage of EmptyDir volume "scratch" exceeds the limit "1Mi".'
    assert pod["status"]["message"] == said
    async with asyncio.timeout(5):
        while world.machine.pods or scratch(world, pod).exists():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    pod = await world.until(POD, "web", lambda p: "terminated" in p["status"]["containerStatuses"][0]["state"])
    assert is_evicted(pod) and pod["status"]["containerStatuses"][0]["restartCount"] == 0
    events = [(e["type"], e["message"]) for e in (await world.store.list(EVENT)).items if e["reason"] == "Evicted"]
    assert events == [("Warning", said)]


async def test_a_pod_whose_logs_take_more_than_its_container_may_is_evicted(world: World):
    pod = await run_pod(world, writing(FREE, "1Mi"))
    fill(world.pods.log_path(uid_of(pod), "main", 0).parent)
    pod = await world.until(POD, "web", is_evicted)
    said = "Pod ephemeral local storage usage exceeds the total limit of containers 1Mi."
    assert pod["status"]["message"] == said


async def test_an_agent_killed_while_it_evicts_goes_on(world: World):
    pod = await run_pod(world, writing(LIMITED))
    await world.stop()
    fill(scratch(world, pod))
    await world.store.patch(POD, "web", "demo", {"status": {"phase": "Failed", "reason": "Evicted", "message": "m"}})
    await world.start()
    async with asyncio.timeout(5):
        while world.machine.pods or scratch(world, pod).exists():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_pods_without_limits_are_not_measured(world: World, monkeypatch: pytest.MonkeyPatch):
    async def measured(_: object) -> dict[Path, int]:
        raise AssertionError("nobody asked")

    monkeypatch.setattr("lichen.agent.storage.disk_usage", measured)
    pod = await run_pod(world, writing(FREE))
    fill(scratch(world, pod))
    await asyncio.sleep(0.2)
    pod = await world.store.get(POD, "web", "demo")
    assert pod["status"]["phase"] == "Running"


async def test_what_folders_take_is_measured_and_they_are_removed_however_deep_they_are(
    tmp_path: Path,
):
    make_deep(deep := tmp_path / "pod/deep")
    (tmp_path / "holes").mkdir()
    with (tmp_path / "holes/sparse").open("wb") as file:
        file.truncate(1 << 30)
    found = await disk_usage([deep, tmp_path / "holes", tmp_path / "none"])
    assert set(found) == {deep, tmp_path / "holes"}
    assert found[tmp_path / "holes"] < MIB
    await Volumes(tmp_path).remove("pod")
    assert not deep.exists()
