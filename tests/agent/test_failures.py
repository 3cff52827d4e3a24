# SPDX-License-Identifier: Apache-2.0
"""A step of the agent that is refused, or fails, again and again says so where people look."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import AsyncIterator
from itertools import count
from pathlib import Path
from typing import Any, NoReturn

import pytest

from lichen.cli.explain import BESIDE, EVERYWHERE, list_all
from lichen.cli.troubles import troubles_of
from lichen.drivers.fake import FakePods
from lichen.kinds.builtin import EVENT, NODE, POD
from lichen.kinds.catalog import all_kinds
from lichen.kinds.compute.server import Server
from lichen.kinds.network.port import Port
from lichen.kinds.volume.attachment import VolumeAttachment
from lichen.kinds.volume.snapshot import VolumeSnapshot
from lichen.kinds.volume.volume import Volume
from lichen.model.data import Object
from lichen.model.errors import ApiError, Conflict, Forbidden, Invalid, Permanent, Temporary
from lichen.model.kind import Kind
from lichen.model.meta import find_condition, name_of, uid_of
from lichen.planning.causes import World as Known
from lichen.planning.explain import explain
from tests.agent.refusing import RefusingStore
from tests.agent.test_attachments import an_attachment
from tests.agent.test_blocks import a_volume, available
from tests.agent.world import World, a_pod, a_port, a_server, a_world, an_object, boot

SERVER = Server.KIND


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with a_world(tmp_path, RefusingStore()) as world:
        yield world


@pytest.fixture
def store(world: World) -> RefusingStore:
    assert isinstance(world.store, RefusingStore)
    return world.store


def stalled(obj: Object) -> Object | None:
    return find_condition(obj, "Stalled")


def running(obj: Object) -> bool:
    return (obj.get("status") or {}).get("phase") == "Running"


def raising(error: Exception) -> Any:
    async def refuse(*_: object, **__: object) -> NoReturn:
        raise error

    return refuse


async def explained(world: World, kind: Kind, name: str) -> str:
    """The first line of `lichen explain`."""
    kinds = {known.resource: known for known in all_kinds()}
    names = [*EVERYWHERE, *BESIDE]
    objects = [obj for name in names for obj in await list_all(world.store, kinds[name], None)]
    events = await list_all(world.store, EVENT, None)
    obj = next(o for o in objects if (o["kind"], name_of(o)) == (kind.kind, name))
    return explain(obj, Known(objects, events))[0].text


async def events_of(world: World, obj: Object, reason: str) -> list[Object]:
    found = (await world.store.list(EVENT)).items
    return [e for e in found if e["involvedObject"]["uid"] == uid_of(obj) and e["reason"] == reason]


async def counted(world: World, obj: Object, reason: str, times: int) -> None:
    """Returns when one event of an object says that it happened that often."""
    async with asyncio.timeout(15):
        async for change in world.store.watch(EVENT):
            event = change.object
            told = (event["involvedObject"]["uid"], event["reason"]) == (uid_of(obj), reason)
            if told and event["count"] >= times:
                return


async def create_server(world: World, name: str = "web", **spec: Any) -> Object:
    """Without waiting for it to run."""
    server = await world.store.create(SERVER, a_server(name, **spec))
    await world.store.create(Port.KIND, a_port(f"{name}-0", f"id-{name}", "compute:nova"))
    return server


@pytest.mark.parametrize(
    "error", [Forbidden("not yours"), Invalid("not like this"), Conflict("it moved on")], ids=lambda e: e.reason
)
async def test_a_refused_step_is_a_condition_of_the_server_until_it_goes_well(
    world: World, store: RefusingStore, error: ApiError
):
    store.refuse(SERVER, "", error)
    await create_server(world)
    server = await world.until(SERVER, "web", stalled)
    said = f"Node node-1 tries again and again: {error.message}"
    told = stalled(server)
    assert told is not None and (told["status"], told["reason"], told["message"]) == ("True", error.reason, said)
    words = f"server demo/web is Pending and does not get on: {said}"
    assert await explained(world, SERVER, "web") == words
    assert [trouble.why for trouble in troubles_of({"kind": "Server", **server})] == [said]
    store.relent()
    server = await world.until(SERVER, "web", lambda s: running(s) and not stalled(s))
    assert await explained(world, SERVER, "web") == "nothing is wrong: server demo/web is Running"


async def test_one_refusal_alone_is_not_worth_a_word(world: World, store: RefusingStore):
    store.refuse(SERVER, "", Conflict("it moved on"))
    await create_server(world)
    await asyncio.wait_for(store.refused.wait(), 5)
    store.relent()
    server = await world.until(SERVER, "web", running)
    assert stalled(server) is None
    assert await events_of(world, server, "FailedStep") == []


async def test_what_may_not_even_write_its_status_is_told_by_an_event_and_by_the_node(
    world: World, store: RefusingStore
):
    store.refuse(SERVER, "status", Forbidden("not yours"))
    server = await create_server(world)
    await counted(world, server, "FailedStep", 1)
    assert await explained(world, SERVER, "web") == (
        "server demo/web is Pending: FailedStep: Node node-1 tries again and again: not yours"
    )
    await world.agent.beat()
    node = await world.store.get(NODE, "node-1")
    assert [trouble.why for trouble in troubles_of({"kind": "Node", **node})] == ["server demo/web: not yours"]
    assert "does not get on with all it is to do: server demo/web: not yours" in await explained(world, NODE, "node-1")
    store.relent()
    await world.until(SERVER, "web", running)
    await world.agent.beat()
    assert stalled(await world.store.get(NODE, "node-1")) is None


async def test_a_pod_whose_engine_breaks_says_so(world: World, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(world.pods, "start_sandbox", raising(OSError(errno.ENOSPC, "No space left on device")))
    pod = await world.store.create(POD, a_pod())
    await world.store.create(Port.KIND, a_port("pod-web", uid_of(pod), "pod", 9))
    pod = await world.until(POD, "web", stalled)
    told = stalled(pod)
    assert told is not None and told["reason"] == "StepFailed"
    assert told["message"] == "Node node-1 tries again and again: No space left on device."
    assert "does not get on" in await explained(world, POD, "web")


async def test_an_error_that_nobody_thought_of_shows_its_name_only(world: World, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(world.guests, "create_disk", raising(KeyError("/secret/path")))
    await create_server(world)
    told = stalled(await world.until(SERVER, "web", stalled))
    assert told is not None
    assert told["message"] == "Node node-1 tries again and again: KeyError (the node's log tells more)."


async def test_volumes_and_snapshots_say_it_in_the_same_way(world: World, store: RefusingStore):
    store.refuse(Volume.KIND, "", Forbidden("not yours"))
    await world.store.create(Volume.KIND, a_volume())
    assert stalled(await world.until(Volume.KIND, "data", stalled))
    store.relent()
    await world.until(Volume.KIND, "data", lambda v: v["status"].get("phase") == "Available" and not stalled(v))
    store.refuse(VolumeSnapshot.KIND, "", Forbidden("not yours"))
    spec = {"id": "id-snap", "volume": "data", "volumeId": "id-data", "node": "node-1"}
    await world.store.create(VolumeSnapshot.KIND, an_object(VolumeSnapshot.KIND, "snap", spec))
    assert stalled(await world.until(VolumeSnapshot.KIND, "snap", stalled))


async def test_an_attachment_that_breaks_says_it_in_the_same_way(world: World, monkeypatch: pytest.MonkeyPatch):
    await available(world)
    await boot(world)
    monkeypatch.setattr(world.guests, "attach_disk", raising(OSError(errno.EIO, "Input/output error")))
    await world.store.create(VolumeAttachment.KIND, an_attachment())
    await world.until(VolumeAttachment.KIND, "data", stalled)
    assert await explained(world, VolumeAttachment.KIND, "data") == (
        "volume attachment demo/data is Pending and does not get on: "
        "Node node-1 tries again and again: Input/output error"
    )


async def test_networks_are_no_objects_of_the_node_so_that_the_node_says_it(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    await boot(world)
    monkeypatch.setattr(world.agent.networks.driver, "ensure_services", raising(Permanent("Broken", "nft is gone.")))
    monkeypatch.setattr(world.agent.networks, "_rules", None)
    world.agent.networks.workers.poke("services")
    await asyncio.sleep(3.5)  # what breaks for good is tried three times, 1 and 2 seconds apart
    await world.agent.beat()
    told = stalled(await world.store.get(NODE, "node-1"))
    assert told is not None and told["message"] == "network services: nft is gone."


async def test_a_new_agent_takes_back_what_the_one_before_it_said(world: World, store: RefusingStore):
    store.refuse(SERVER, "", Forbidden("not yours"))
    await create_server(world)
    await world.until(SERVER, "web", stalled)
    await world.stop()
    store.relent()
    await world.start()
    await world.until(SERVER, "web", lambda s: running(s) and not stalled(s))


async def test_steps_that_are_tried_again_tell_one_story_and_do_not_spin(world: World, monkeypatch: pytest.MonkeyPatch):
    """Each try fails in other words, each is written, and each write is news of the object."""
    tries = count(1)

    async def busy(*_: object) -> NoReturn:
        raise Temporary(f"The engine is busy, attempt {next(tries)}.")

    monkeypatch.setattr(world.guests, "start", busy)
    await create_server(world)
    await world.until(SERVER, "web", lambda s: ready_reason(s) == "Retrying")
    await asyncio.sleep(2)
    server = await world.store.get(SERVER, "web", "demo")
    assert 3 < next(tries) < 15
    assert [c["type"] for c in server["status"]["conditions"]] == ["Ready"]
    assert await explained(world, SERVER, "web") == f"server demo/web is Building: {ready_message(server)}"


async def test_a_pods_tries_are_one_event_that_counts_over_an_agents_restart(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    tries = count(1)

    async def busy(*_: object) -> NoReturn:
        raise Temporary(f"The engine is busy, attempt {next(tries)}.")

    monkeypatch.setattr(FakePods, "start_sandbox", busy)
    pod = await world.store.create(POD, a_pod())
    await world.store.create(Port.KIND, a_port("pod-web", uid_of(pod), "pod", 9))
    await counted(world, pod, "FailedCreatePodSandBox", 1)
    await world.restart()
    await counted(world, pod, "FailedCreatePodSandBox", 2)
    (event,) = await events_of(world, pod, "FailedCreatePodSandBox")
    assert event["message"].startswith("Failed to create pod sandbox: The engine is busy, attempt ")


def ready_reason(server: Object) -> str:
    return (find_condition(server, "Ready") or {}).get("reason", "")


def ready_message(server: Object) -> str:
    return (find_condition(server, "Ready") or {}).get("message", "").rstrip(".")
