# SPDX-License-Identifier: Apache-2.0
"""What a large list costs while a client takes its time."""

from __future__ import annotations

import asyncio
import gzip
import json
from typing import Any

import pytest
import yaml

from lichen.apis.kubernetes.request import Request
from lichen.apis.kubernetes.respond import send_list, send_yaml_list

ITEM = json.dumps("x" * 100_000).encode()


class Client:
    """Takes `most` messages, then nothing more."""

    def __init__(self, most: int = 1000, accepts: bytes = b"") -> None:
        self.pieces: list[bytes] = []
        self.ended = False
        self._most = most
        scope = {"type": "http", "path": "/", "headers": [(b"accept-encoding", accepts)]}
        self.request = Request(scope, self._receive, self._send)

    async def _receive(self) -> Any:
        await asyncio.Event().wait()

    async def _send(self, message: Any) -> None:
        if self._most == 0:
            await asyncio.Event().wait()
        self._most -= 1
        if message["type"] == "http.response.body":
            self.pieces.append(message["body"])
            self.ended = not message.get("more_body", False)


@pytest.mark.parametrize(("accepts", "unpack"), [(b"", bytes), (b"gzip", gzip.decompress)])
async def test_a_large_list_goes_out_in_pieces_however_few_its_items(accepts: bytes, unpack: Any) -> None:
    client = Client(accepts=accepts)
    await send_list(client.request, b"[", [ITEM] * 50, b"]")
    assert len(json.loads(unpack(b"".join(client.pieces)))) == 50
    assert client.ended
    assert max(map(len, client.pieces)) <= 400_000


@pytest.mark.parametrize("accepts", [b"", b"gzip"])
async def test_who_takes_nothing_of_a_list_is_let_go(accepts: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lichen.apis.kubernetes.respond.STALL_SECONDS", 0.05)
    client = Client(most=1, accepts=accepts)
    await asyncio.wait_for(send_list(client.request, b"[", [ITEM] * 50, b"]"), 5)
    assert not client.ended


@pytest.mark.parametrize("items", [0, 1, 700])
async def test_a_list_in_yaml_is_the_same_list(items: int) -> None:
    client = Client()
    made = [{"kind": "X", "data": {"text": f"a: {n}\n- b", "list": [{"n": n}]}} for n in range(items)]
    head = {"kind": "XList", "metadata": {"resourceVersion": "7"}}
    await send_yaml_list(client.request, head, [json.dumps(item).encode() for item in made])
    assert yaml.safe_load(b"".join(client.pieces)) == {**head, "items": made}
    assert client.ended


async def test_a_large_list_in_yaml_is_made_as_it_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client()
    await send_yaml_list(client.request, {"kind": "XList"}, [ITEM] * 50)
    assert max(map(len, client.pieces)) <= 400_000
    monkeypatch.setattr("lichen.apis.kubernetes.respond.STALL_SECONDS", 0.05)
    client = Client(most=3)
    await asyncio.wait_for(send_yaml_list(client.request, {"kind": "XList"}, [ITEM] * 50), 5)
    assert not client.ended
    assert len(client.pieces) == 2, "nothing is made for who takes nothing"
