# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import cast

import pytest

from lichen.agent.tokens import PodTokens
from lichen.model.data import Object
from lichen.model.errors import Forbidden, Permanent
from lichen.model.kind import Kind
from lichen.model.state import State
from lichen.planning.times import rfc3339
from lichen.runtime.clock import ManualClock
from tests.agent.world import a_pod


class Kernel:
    """Gives one token after the other. refuses: it does not."""

    def __init__(self, clock: ManualClock) -> None:
        self.asked: list[Object] = []
        self.refuses = False
        self._clock = clock

    async def create(self, kind: Kind, body: Object, *, subresource: str) -> Object:
        if self.refuses:
            raise Forbidden("no")
        self.asked.append(body)
        ends = rfc3339(self._clock.now() + body["spec"]["expirationSeconds"])
        return {"status": {"token": f"t{len(self.asked)}", "expirationTimestamp": ends}}


POD_U: Object = {**a_pod(), "metadata": {"name": "web", "namespace": "demo", "uid": "u"}}
PROJECTION: Object = {"path": "token", "expirationSeconds": 1000}


async def test_tokens_are_held_and_renewed_before_they_end():
    kernel = Kernel(clock := ManualClock(1_800_000_000.0))
    tokens = PodTokens(cast(State, kernel), clock)
    assert tokens.due("u") == 0.0
    assert [await tokens(POD_U, PROJECTION) for _ in range(2)] == ["t1", "t1"]
    assert kernel.asked[0]["spec"]["boundObjectRef"]["uid"] == "u"
    assert tokens.due("u") == clock.now() + 800
    assert await tokens(POD_U, {**PROJECTION, "expirationSeconds": 2000}) == "t2"
    assert tokens.due("u") == clock.now() + 800
    clock.advance(800)
    assert await tokens(POD_U, PROJECTION) == "t3"
    assert tokens.due("u") == clock.now() + 800


async def test_a_token_that_cannot_be_renewed_is_good_until_it_ends():
    kernel = Kernel(clock := ManualClock(1_800_000_000.0))
    tokens = PodTokens(cast(State, kernel), clock)
    await tokens(POD_U, PROJECTION)
    kernel.refuses = True
    clock.advance(900)
    assert await tokens(POD_U, PROJECTION) == "t1"
    assert tokens.due("u") == clock.now() + 60
    clock.advance(100)
    with pytest.raises(Permanent):
        await tokens(POD_U, PROJECTION)
