# SPDX-License-Identifier: Apache-2.0
import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from lichen.apis.kubernetes.websockets import BEARER
from lichen.kinds.builtin import CONFIG_MAP
from tests.apis.kubernetes.conftest import ADMIN, Cloud
from tests.apis.kubernetes.objects import a_config_map
from tests.conformance.kubectl import trusting

MAPS = "/api/v1/namespaces/default/configmaps"


class Watching:
    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self.answer = answer

    async def next(self) -> tuple[str, Any]:
        line = await asyncio.wait_for(self.answer.content.readline(), 10)
        event = json.loads(line)
        return event["type"], event["object"]

    async def names(self, count: int) -> list[tuple[str, str]]:
        events = [await self.next() for _ in range(count)]
        return [(type_, obj["metadata"]["name"]) for type_, obj in events]

    async def end(self) -> bytes:
        return await asyncio.wait_for(self.answer.content.readline(), 10)


@pytest_asyncio.fixture
async def client(cloud: Cloud) -> AsyncIterator[aiohttp.ClientSession]:
    connector = aiohttp.TCPConnector(ssl=trusting(cloud.certificate))
    headers = {"authorization": "Bearer admin-token"}
    async with aiohttp.ClientSession(cloud.url, connector=connector, headers=headers) as session:
        yield session


@asynccontextmanager
async def watching(client: aiohttp.ClientSession, query: str = "", accept: str = "") -> AsyncIterator[Watching]:
    async with client.get(f"{MAPS}?watch=1&{query}", headers={"accept": accept} if accept else {}) as answer:
        assert answer.status == 200, await answer.text()
        yield Watching(answer)


async def test_a_watch_shows_what_is_there_then_every_change(cloud: Cloud, client: aiohttp.ClientSession) -> None:
    await cloud.apply(a_config_map("a"))
    session = cloud.kernel.acting(ADMIN)
    async with watching(client) as watch:
        assert await watch.names(1) == [("ADDED", "a")]
        await cloud.apply(a_config_map("b"))
        await session.patch(CONFIG_MAP, "a", "default", {"data": {"x": "1"}})
        await session.delete(CONFIG_MAP, "b", "default")
        assert await watch.names(3) == [("ADDED", "b"), ("MODIFIED", "a"), ("DELETED", "b")]


async def test_a_watch_goes_on_from_a_list(cloud: Cloud, client: aiohttp.ClientSession) -> None:
    await cloud.apply(a_config_map("a"))
    async with client.get(MAPS) as answer:
        revision = (await answer.json())["metadata"]["resourceVersion"]
    await cloud.apply(a_config_map("b"))
    async with watching(client, f"resourceVersion={revision}") as watch:
        assert await watch.names(1) == [("ADDED", "b")]


async def test_a_watch_with_a_selector_sees_objects_come_and_go(cloud: Cloud, client: aiohttp.ClientSession) -> None:
    await cloud.apply(a_config_map("a"))
    session = cloud.kernel.acting(ADMIN)
    async with watching(client, "labelSelector=on%3Dyes") as watch:
        await session.patch(CONFIG_MAP, "a", "default", {"metadata": {"labels": {"on": "yes"}}})
        await session.patch(CONFIG_MAP, "a", "default", {"metadata": {"labels": {"on": "no"}}})
        assert await watch.names(2) == [("ADDED", "a"), ("DELETED", "a")]


async def test_initial_events_end_with_a_bookmark(cloud: Cloud, client: aiohttp.ClientSession) -> None:
    await cloud.apply(a_config_map("a"), a_config_map("b"))
    query = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
    async with watching(client, query) as watch:
        assert await watch.names(2) == [("ADDED", "a"), ("ADDED", "b")]
        type_, bookmark = await watch.next()
        assert type_ == "BOOKMARK"
        assert bookmark["kind"] == "ConfigMap"
        assert bookmark["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
        assert int(bookmark["metadata"]["resourceVersion"]) == cloud.kernel.store.revision


async def test_a_watch_ends_when_its_time_is_up(client: aiohttp.ClientSession) -> None:
    async with watching(client, "timeoutSeconds=1") as watch:
        assert await watch.end() == b""


async def test_a_watch_from_a_compacted_revision_has_expired(cloud: Cloud, client: aiohttp.ClientSession) -> None:
    await cloud.apply(a_config_map("a"), a_config_map("b"))
    cloud.kernel.store.compact(cloud.kernel.store.revision)
    async with watching(client, "resourceVersion=1") as watch:
        type_, status = await watch.next()
        assert (type_, status["code"], status["reason"]) == ("ERROR", 410, "Expired")


async def test_tables_are_watched_with_columns_in_the_first_only(cloud: Cloud, client: aiohttp.ClientSession) -> None:
    await cloud.apply(a_config_map("a"), a_config_map("b"))
    async with watching(client, accept="application/json;as=Table;v=v1;g=meta.k8s.io") as watch:
        (_, first), (_, second) = [await watch.next() for _ in range(2)]
    assert first["columnDefinitions"][0]["name"] == "Name"
    assert second["columnDefinitions"] is None
    assert second["rows"][0]["cells"][0] == "b"
    assert second["rows"][0]["object"]["kind"] == "PartialObjectMetadata"


async def test_metadata_alone_is_watched(cloud: Cloud, client: aiohttp.ClientSession) -> None:
    await cloud.apply(a_config_map("a", x="1"))
    async with watching(client, accept="application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1") as watch:
        _, obj = await watch.next()
    assert set(obj) == {"kind", "apiVersion", "metadata"}


async def test_a_watcher_that_leaves_is_forgotten(cloud: Cloud, client: aiohttp.ClientSession) -> None:
    await cloud.apply(a_config_map("a"))
    table = cloud.kernel.store.table(CONFIG_MAP)
    before = sum(map(len, table.watchers.values()))
    async with watching(client) as watch:
        await watch.next()
        assert sum(map(len, table.watchers.values())) == before + 1
    for _ in range(100):
        if sum(map(len, table.watchers.values())) == before:
            return
        await asyncio.sleep(0.02)
    raise AssertionError("the watch lives on")


async def test_a_large_list_is_compressed_when_asked(cloud: Cloud, client: aiohttp.ClientSession) -> None:
    await cloud.apply(*(a_config_map(f"c{n}", x="y" * 2000) for n in range(100)))
    async with client.get(MAPS, headers={"accept-encoding": "gzip"}) as answer:
        assert answer.headers["content-encoding"] == "gzip"
        assert len((await answer.json())["items"]) == 100
    async with client.get(MAPS, headers={"accept-encoding": "identity"}) as answer:
        assert "content-encoding" not in answer.headers
        assert len((await answer.json())["items"]) == 100


async def test_pages_are_of_one_revision(cloud: Cloud, client: aiohttp.ClientSession) -> None:
    await cloud.apply(*(a_config_map(f"c{n}") for n in range(5)))
    async with client.get(f"{MAPS}?limit=2") as answer:
        first = await answer.json()
    assert first["metadata"]["remainingItemCount"] == 3
    await cloud.apply(a_config_map("c9"))
    async with client.get(MAPS, params={"limit": "9", "continue": first["metadata"]["continue"]}) as answer:
        rest = await answer.json()
    assert [item["metadata"]["name"] for item in rest["items"]] == ["c2", "c3", "c4"]
    assert rest["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]


# --- over a WebSocket, as browsers do it ------------------------------------------------------------------------------


def bearing(token: str) -> tuple[str, str]:
    """The subprotocols of a browser's watch: the credential, and one that can be chosen."""
    return (BEARER + base64.urlsafe_b64encode(token.encode()).decode().rstrip("="), "watch.k8s.io")


@pytest_asyncio.fixture
async def browser(cloud: Cloud) -> AsyncIterator[aiohttp.ClientSession]:
    """A client that sets no headers of its own."""
    connector = aiohttp.TCPConnector(ssl=trusting(cloud.certificate))
    async with aiohttp.ClientSession(cloud.url, connector=connector) as session:
        yield session


async def test_a_watch_over_a_websocket_sends_one_message_for_each_event(
    cloud: Cloud, browser: aiohttp.ClientSession
) -> None:
    await cloud.apply(a_config_map("a"))
    async with browser.ws_connect(f"{MAPS}?watch=1", protocols=bearing("admin-token")) as socket:
        assert socket.protocol == "watch.k8s.io"
        await cloud.apply(a_config_map("b"))
        events = [await socket.receive_json(timeout=10) for _ in range(2)]
    assert [(e["type"], e["object"]["metadata"]["name"]) for e in events] == [("ADDED", "a"), ("ADDED", "b")]


async def test_a_watch_over_a_websocket_ends_when_its_time_is_up(browser: aiohttp.ClientSession) -> None:
    async with browser.ws_connect(f"{MAPS}?watch=1&timeoutSeconds=1", protocols=bearing("admin-token")) as socket:
        assert (await socket.receive(timeout=10)).type is aiohttp.WSMsgType.CLOSE


async def test_a_revision_that_is_forgotten_is_told_in_a_message(cloud: Cloud, browser: aiohttp.ClientSession) -> None:
    await cloud.apply(a_config_map("a"))
    cloud.kernel.store.compact(cloud.kernel.store.revision)
    query = f"{MAPS}?watch=1&resourceVersion=1"
    async with browser.ws_connect(query, protocols=bearing("admin-token")) as socket:
        event = await socket.receive_json(timeout=10)
    assert (event["type"], event["object"]["code"]) == ("ERROR", 410)


@pytest.mark.parametrize(
    ("path", "protocols", "code"),
    [
        (f"{MAPS}?watch=1", bearing("nobody's"), 401),
        (f"{MAPS}?watch=1", bearing("admin-token")[:1], 401),
        (f"{MAPS}?watch=1", (BEARER + "zzzzz", "x"), 401),
        (f"{MAPS}?watch=1", (), 403),
        (MAPS, bearing("admin-token"), 400),
        ("/version", bearing("admin-token"), 404),
    ],
)
async def test_a_websocket_that_may_not_watch_is_refused(
    browser: aiohttp.ClientSession, path: str, protocols: tuple[str, ...], code: int
) -> None:
    try:
        async with browser.ws_connect(path, protocols=protocols):
            raise AssertionError("the handshake was not refused")
    except aiohttp.WSServerHandshakeError as refusal:
        assert refusal.status == code
