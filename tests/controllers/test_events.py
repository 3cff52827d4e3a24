# SPDX-License-Identifier: Apache-2.0
"""Events: counted up when they are the same."""

from __future__ import annotations

import asyncio

from lichen.kinds.builtin import EVENT, NODE, POD
from lichen.runtime.events import Recorder
from tests.controllers.world import Cloud, a_cloud


async def written(cloud: Cloud, recorder: Recorder, *notes: tuple[str, str]) -> None:
    pod = await cloud.get(POD, "one")
    for reason, message in notes:
        recorder.note(pod, reason, message, warning=reason.startswith("Failed"))
    task = asyncio.create_task(recorder.run())
    await cloud.settle(0.05)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_the_same_event_again_is_counted_and_another_is_another():
    async with a_cloud(nodes=0, controllers=False) as cloud:
        await cloud.create(POD, "one", {"containers": [{"name": "main", "image": "busybox:v1"}]})
        recorder = Recorder(cloud.state, cloud.clock, "test", "n1")
        await written(cloud, recorder, ("FailedMount", "no disk"), ("FailedMount", "no disk"), ("Pulled", "image"))
        found = {e["reason"]: e for e in await cloud.all(EVENT)}
        assert {reason: (e["count"], e["type"]) for reason, e in found.items()} == {
            "FailedMount": (2, "Warning"),
            "Pulled": (1, "Normal"),
        }
        assert found["Pulled"]["involvedObject"]["name"] == "one"
        assert found["Pulled"]["source"] == {"component": "test", "host": "n1"}


async def test_one_story_is_one_event_with_its_newest_words_whoever_goes_on_with_it():
    async with a_cloud(nodes=0, controllers=False) as cloud:
        pod = await cloud.create(POD, "one", {"containers": [{"name": "main", "image": "busybox:v1"}]})
        for life in ("first", "second"):
            recorder = Recorder(cloud.state, cloud.clock, "test", "n1")
            for attempt in (1, 2):
                recorder.note(pod, "FailedMount", f"{life} life, attempt {attempt}", warning=True, story="")
            await written(cloud, recorder)
        (event,) = await cloud.all(EVENT)
        assert (event["count"], event["message"]) == (4, "second life, attempt 2")


async def test_another_component_tells_its_own_story():
    async with a_cloud(nodes=0, controllers=False) as cloud:
        pod = await cloud.create(POD, "one", {"containers": [{"name": "main", "image": "busybox:v1"}]})
        for component in ("one", "other"):
            recorder = Recorder(cloud.state, cloud.clock, component)
            recorder.note(pod, "Failed", "no", story="")
            await written(cloud, recorder)
        assert [event["count"] for event in await cloud.all(EVENT)] == [1, 1]


async def test_an_event_that_was_deleted_is_written_anew():
    async with a_cloud(nodes=0, controllers=False) as cloud:
        await cloud.create(POD, "one", {"containers": [{"name": "main", "image": "busybox:v1"}]})
        recorder = Recorder(cloud.state, cloud.clock, "test")
        await written(cloud, recorder, ("Pulled", "image"))
        (first,) = await cloud.names(EVENT)
        await cloud.state.delete(EVENT, first, "demo")
        await written(cloud, recorder, ("Pulled", "image"))
        assert len(await cloud.names(EVENT)) == 1


async def test_an_event_about_what_has_no_namespace_lies_in_default():
    async with a_cloud(nodes=1, controllers=False) as cloud:
        recorder = Recorder(cloud.state, cloud.clock, "test")
        recorder.note(await cloud.get(NODE, "n1"), "Starting", "Starting the agent.")
        task = asyncio.create_task(recorder.run())
        (event,) = await cloud.until_all(EVENT, bool, namespace="default")
        task.cancel()
        assert event["involvedObject"]["kind"] == "Node"
