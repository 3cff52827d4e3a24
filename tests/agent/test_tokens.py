# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import cast

from lichen.agent.tokens import PodTokens
from lichen.model.data import Object
from lichen.model.kind import Kind
from lichen.model.state import State
from lichen.planning.times import rfc3339
from lichen.runtime.clock import ManualClock
from tests.agent.world import a_pod


async def test_tokens_are_renewed_before_they_end():
    clock = ManualClock(1_800_000_000.0)
    asked: list[Object] = []

    class Kernel:
        async def create(self, kind: Kind, body: Object, *, subresource: str) -> Object:
            asked.append(body)
            ends = rfc3339(clock.now() + body["spec"]["expirationSeconds"])
            return {"status": {"token": f"t{len(asked)}", "expirationTimestamp": ends}}

    tokens = PodTokens(cast(State, Kernel()), clock)
    pod = {**a_pod(), "metadata": {"name": "web", "namespace": "demo", "uid": "u"}}
    assert tokens.due("u") == 0.0
    assert await tokens(pod, {"path": "token", "expirationSeconds": 1000}) == "t1"
    assert asked[0]["spec"]["boundObjectRef"]["uid"] == "u"
    assert tokens.due("u") == clock.now() + 800
    tokens.begin("u")
    assert tokens.due("u") == clock.now() + 60
    assert await tokens(pod, {"path": "token", "expirationSeconds": 2000}) == "t2"
    assert tokens.due("u") == clock.now() + 1600
