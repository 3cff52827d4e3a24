# SPDX-License-Identifier: Apache-2.0
"""One user's flood of requests, and what others feel of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from lichen.apis.kubernetes.app import CALLER, create_app
from lichen.model.names import DIALECT
from lichen.runtime.shares import REQUESTS
from tests.apis.kubernetes.conftest import MEMBER, Cloud
from tests.apis.kubernetes.objects import a_config_map

MAPS = "/api/v1/namespaces/team/configmaps"


class Calls:
    """Requests to an app, whose bodies come when `bodies` is set."""

    def __init__(self, app: Any) -> None:
        self.app = app
        self.bodies = asyncio.Event()

    async def __call__(self, token: str, method: str, path: str, body: Any = None) -> tuple[int, dict[str, str], Any]:
        """Code, headers, body."""
        said: list[Any] = []

        async def receive() -> Any:
            if body is not None:
                await self.bodies.wait()
                return {"type": "http.request", "body": json.dumps(body).encode(), "more_body": False}
            if query:
                await self.bodies.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            said.append(message)

        path, _, query = path.partition("?")
        headers = [(b"authorization", b"Bearer " + token.encode()), (b"content-type", b"application/json")]
        scope = {"type": "http", "method": method, "path": path, "query_string": query.encode(), "headers": headers}
        if token == "through":
            headers[0] = (b"authorization", b"Bearer member-token")
            scope[CALLER] = replace(MEMBER, through=DIALECT)
        await self.app(scope, receive, send)
        answered = {name.decode(): value.decode() for name, value in said[0]["headers"]}
        return said[0]["status"], answered, b"".join(message.get("body", b"") for message in said[1:])


@asynccontextmanager
async def flooding(calls: Calls, count: int, *request: Any) -> AsyncIterator[list[asyncio.Task[Any]]]:
    """So many requests of the member's, none of which ends before the block does."""
    flood = [asyncio.create_task(calls("member-token", *request)) for _ in range(count)]
    await asyncio.sleep(0.05)
    yield flood
    calls.bodies.set()
    await asyncio.wait(flood)


async def test_a_flood_of_one_user_ends_at_its_share_and_others_are_served(cloud: Cloud) -> None:
    await cloud.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team"}})
    calls = Calls(create_app(cloud.kernel, cloud.node.app))
    async with flooding(calls, REQUESTS, "POST", MAPS, {"metadata": {"generateName": "a-"}}) as flood:
        code, headers, body = await calls("member-token", "GET", MAPS)
        assert (code, headers["retry-after"]) == (429, "1")
        status = json.loads(body)
        assert (status["kind"], status["reason"]) == ("Status", "TooManyRequests")
        assert status["details"]["retryAfterSeconds"] == 1
        assert (await calls("admin-token", "GET", MAPS))[0] == 200
        assert (await calls("member-token", "GET", "/readyz"))[0] == 200
        assert (await calls("through", "GET", MAPS))[0] == 200, "OpenStack's API has counted it"
    assert {task.result()[0] for task in flood} == {201}
    assert (await calls("member-token", "GET", MAPS))[0] == 200


async def test_watches_are_counted_apart(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lichen.apis.kubernetes.app.LONG_REQUESTS", 3)
    calls = Calls(create_app(cloud.kernel, cloud.node.app))
    async with flooding(calls, 3, "GET", f"{MAPS}?watch=true") as flood:
        assert (await calls("member-token", "GET", f"{MAPS}?watch=true"))[0] == 429
        assert (await calls("member-token", "GET", MAPS))[0] == 200
    assert {task.result()[0] for task in flood} == {200}


async def test_a_write_does_not_pass_for_a_watch(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lichen.apis.kubernetes.app.REQUESTS", 1)
    calls = Calls(create_app(cloud.kernel, cloud.node.app))
    async with flooding(calls, 1, "POST", f"{MAPS}?watch=true", a_config_map("a", "team")):
        assert (await calls("member-token", "POST", f"{MAPS}?watch=true"))[0] == 429
        assert (await calls("member-token", "PUT", f"{MAPS}/log"))[0] == 429
