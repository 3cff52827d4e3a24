# SPDX-License-Identifier: Apache-2.0
"""What a large list costs while a client takes its time."""

from __future__ import annotations

import asyncio
import gzip
import json
from typing import Any

import pytest

from lichen.apis.kubernetes.request import Request
from lichen.apis.kubernetes.respond import send_list

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
