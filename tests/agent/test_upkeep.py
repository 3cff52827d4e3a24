# SPDX-License-Identifier: Apache-2.0
"""Files in the volumes of running pods follow what they are made of."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lichen.kinds.builtin import CONFIG_MAP, EVENT, POD, SECRET
from lichen.model.data import Object
from lichen.model.errors import Unavailable
from lichen.model.meta import uid_of
from tests.agent.world import World, a_pod, an_object, run_pod

CONF: Object = {"name": "conf", "configMap": {"name": "conf"}}
MAYBE: Object = {"name": "conf", "configMap": {"name": "conf", "optional": True}}


async def a_map(world: World, name: str = "conf", **data: str) -> None:
    await world.store.create(CONFIG_MAP, {**an_object(CONFIG_MAP, name, {}), "data": data})


def mounting(*volumes: Object, name: str = "web", **mount: Any) -> Object:
    mounts = [{"name": volume["name"], "mountPath": f"/etc/{volume['name']}", **mount} for volume in volumes]
    main = {"name": "main", "image": "busybox", "command": ["sleep", "1000"], "volumeMounts": mounts}
    return a_pod(name, main, volumes=list(volumes))


async def said(world: World, pod: Object, *command: str) -> str:
    run = await world.pods.exec(uid_of(pod), "main", command, tty=False, stdin=False)
    return b"".join([data async for _, data in run.output]).decode()


async def until_said(world: World, pod: Object, path: str, wanted: str) -> None:
    async def is_there() -> bool:
        return await said(world, pod, "cat", path) == wanted

    await until(is_there)


async def until(test: Callable[[], Any]) -> None:
    async with asyncio.timeout(5):
        while not (await found if asyncio.iscoroutine(found := test()) else found):  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def folder(world: World, pod: Object, volume: str = "conf") -> Path:
    return world.root / "node-1/volumes" / uid_of(pod) / volume


async def test_a_changed_configuration_is_seen_in_the_running_container(world: World):
    await a_map(world, colour="green", size="1")
    pod = await run_pod(world, mounting(CONF))
    await world.store.patch(CONFIG_MAP, "conf", "demo", {"data": {"colour": "blue", "size": None, "more": "2"}})
    await until_said(world, pod, "/etc/conf/colour", "blue")
    assert await said(world, pod, "cat", "/etc/conf/more") == "2"
    assert "colour" in os.listdir(folder(world, pod)) and "size" not in os.listdir(folder(world, pod))


async def test_a_changed_secret_is_seen_among_other_things_in_one_volume(world: World):
    await a_map(world, colour="green")
    await world.store.create(SECRET, {**an_object(SECRET, "hidden", {}), "data": {"word": "aHVzaA=="}})
    sources = [{"configMap": {"name": "conf"}}, {"secret": {"name": "hidden"}}]
    pod = await run_pod(world, mounting({"name": "all", "projected": {"sources": sources}}))
    await world.store.patch(SECRET, "hidden", "demo", {"data": {"word": "bG91ZA=="}})
    await until_said(world, pod, "/etc/all/word", "loud")
    assert await said(world, pod, "cat", "/etc/all/colour") == "green"


async def test_what_is_optional_comes_and_goes(world: World):
    pod = await run_pod(world, mounting(MAYBE))
    await a_map(world, colour="green")
    await until_said(world, pod, "/etc/conf/colour", "green")
    await world.store.delete(CONFIG_MAP, "conf", "demo")
    await until(lambda: "colour" not in os.listdir(folder(world, pod)))


async def test_what_must_be_there_and_is_deleted_stays_and_is_told(world: World):
    await a_map(world, colour="green")
    pod = await run_pod(world, mounting(CONF))
    await world.store.delete(CONFIG_MAP, "conf", "demo")

    async def told() -> bool:
        events = (await world.store.list(EVENT, "demo")).items
        wanted = ("FailedMount", 'MountVolume.SetUp failed for volume "conf": configmap "conf" not found')
        return wanted in [(event["reason"], event["message"]) for event in events]

    await until(told)
    assert await said(world, pod, "cat", "/etc/conf/colour") == "green"
    await a_map(world, colour="blue")
    await until_said(world, pod, "/etc/conf/colour", "blue")


async def test_the_pods_own_labels_are_followed(world: World):
    items = [{"path": "tier", "fieldRef": {"fieldPath": "metadata.labels['tier']"}}]
    pod = await run_pod(world, mounting({"name": "own", "downwardAPI": {"items": items}}))
    await world.store.patch(POD, "web", "demo", {"metadata": {"labels": {"tier": "front"}}})
    await until_said(world, pod, "/etc/own/tier", "front")


async def test_a_file_mounted_by_its_place_stays_that_of_the_start(world: World):
    await a_map(world, colour="green")
    await run_pod(world, mounting(CONF, name="other"), number=8)
    pod = await run_pod(world, mounting(CONF, subPath="colour"))
    assert await said(world, pod, "cat", "/etc/conf") == "green"
    await world.store.patch(CONFIG_MAP, "conf", "demo", {"data": {"colour": "blue"}})
    await until(lambda: (folder(world, pod) / "colour").read_text() == "blue")
    assert await said(world, pod, "cat", "/etc/conf") == "green"


async def test_an_agent_that_was_not_there_catches_up(world: World):
    await a_map(world, colour="green")
    pod = await run_pod(world, mounting(CONF))
    await world.stop()
    await world.store.patch(CONFIG_MAP, "conf", "demo", {"data": {"colour": "blue"}})
    await world.start()
    await until_said(world, pod, "/etc/conf/colour", "blue")
    await world.store.patch(CONFIG_MAP, "conf", "demo", {"data": {"colour": "red"}})
    await until_said(world, pod, "/etc/conf/colour", "red")


async def test_files_follow_once_the_api_answers_again(world: World, monkeypatch: pytest.MonkeyPatch):
    await a_map(world, colour="green")
    pod = await run_pod(world, mounting(CONF))
    monkeypatch.setattr("lichen.agent.upkeep.AGAIN_SECONDS", 0.2)
    get, refused = world.store.get, asyncio.Event()

    async def refusing(kind: Any, name: str, namespace: str = "") -> Object:
        if kind == CONFIG_MAP and not refused.is_set():
            refused.set()
            raise Unavailable("on its way up")
        return await get(kind, name, namespace)

    monkeypatch.setattr(world.store, "get", refusing)
    await world.store.patch(CONFIG_MAP, "conf", "demo", {"data": {"colour": "blue"}})
    await until_said(world, pod, "/etc/conf/colour", "blue")
    assert refused.is_set()


async def test_only_what_running_containers_mount_is_watched_and_each_of_it_once(world: World):
    await a_map(world, colour="green")
    await world.store.create(CONFIG_MAP, {**an_object(CONFIG_MAP, "fixed", {}), "data": {"a": "b"}, "immutable": True})
    fixed: Object = {"name": "fixed", "configMap": {"name": "fixed"}}
    await run_pod(world, mounting(CONF, fixed))
    await run_pod(world, mounting(CONF, name="more"), number=8)
    watchers = world.store.watchers
    await until(lambda: watchers().get(("", "configmaps")) == 1)
    await world.delete_pod("web")
    await world.until_gone(POD, "web")
    await a_map(world, "new", colour="x")
    assert watchers().get(("", "configmaps")) == 1
    await world.delete_pod("more")
    await until(lambda: not watchers().get(("", "configmaps")))
