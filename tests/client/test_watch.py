# SPDX-License-Identifier: Apache-2.0
"""How the client deals with a server that ends watches, spoken to by a server that does as it is told."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from lichen.client.remote import RemoteCloud
from lichen.kinds.builtin import CONFIG_MAP
from lichen.model.errors import Expired, InternalError, Unavailable
from lichen.model.meta import name_of
from tests.client.conftest import served
from tests.conformance.state import take


class Script:
    """Answers each request with the next list of chunks, and ends it there."""

    def __init__(self) -> None:
        self.answers: list[list[bytes]] = []
        self.asked: list[str] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.asked.append(scope["query_string"].decode())
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
        for chunk in self.answers.pop(0) if self.answers else []:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def line(name: str, revision: int, type_: str = "ADDED") -> bytes:
    metadata = {"name": name, "namespace": "default", "resourceVersion": str(revision)}
    return json.dumps({"type": type_, "object": {"metadata": metadata}}).encode() + b"\n"


def error(**status: Any) -> bytes:
    return json.dumps({"type": "ERROR", "object": {"kind": "Status", **status}}).encode() + b"\n"


@pytest.fixture
def script() -> Script:
    return Script()


@pytest.fixture
async def remote(script: Script, tmp_path: Path) -> AsyncIterator[RemoteCloud]:
    async with served(script, tmp_path / "s.sock"), RemoteCloud(f"unix://{tmp_path}/s.sock") as cloud:
        yield cloud


async def test_a_watch_that_the_server_ends_goes_on_where_it_ended(script: Script, remote: RemoteCloud) -> None:
    script.answers = [[line("one", 5), line("two", 7)], [line("three", 9)]]
    async with aclosing(remote.state.watch(CONFIG_MAP, since=4)) as events:  # type: ignore[type-var]
        assert [name_of(e.object) for e in await take(events, 3)] == ["one", "two", "three"]
    assert script.asked == ["watch=true&resourceVersion=4", "watch=true&resourceVersion=7"]


async def test_lines_cut_anywhere_are_put_together(script: Script, remote: RemoteCloud) -> None:
    text = line("one", 5) + line("two", 6) + line("three", 7)
    script.answers = [[text[:10], text[10:100], text[100:101], text[101:]]]
    async with aclosing(remote.state.watch(CONFIG_MAP, since=4)) as events:  # type: ignore[type-var]
        assert [name_of(e.object) for e in await take(events, 3)] == ["one", "two", "three"]


async def test_a_watch_that_ends_at_once_is_unavailable(script: Script, remote: RemoteCloud) -> None:
    async with aclosing(remote.state.watch(CONFIG_MAP, since=4)) as events:  # type: ignore[type-var]
        with pytest.raises(Unavailable):
            await take(events, 1)


@pytest.mark.parametrize(
    ("status", "raised"),
    [({"code": 410, "reason": "Expired"}, Expired), ({"code": 410, "reason": "Gone"}, Expired),
     ({"code": 410}, Expired), ({"code": 500, "reason": "InternalError"}, InternalError)],
)  # fmt: skip
async def test_errors_in_the_stream_are_raised(
    script: Script, remote: RemoteCloud, status: dict[str, Any], raised: type[Exception]
) -> None:
    script.answers = [[line("one", 5), error(**status)]]
    async with aclosing(remote.state.watch(CONFIG_MAP, since=4)) as events:  # type: ignore[type-var]
        assert name_of((await anext(events)).object) == "one"
        with pytest.raises(raised):
            await anext(events)
