# SPDX-License-Identifier: Apache-2.0
"""A command's streams over a WebSocket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

from lichen.agent.streams import serve_exec
from lichen.drivers.base import Exec
from lichen.model.errors import Permanent


async def test_who_types_faster_than_the_command_reads_is_held_up() -> None:
    waiting: list[bytes | None] = []
    reads, over = asyncio.Event(), asyncio.Event()

    async def room() -> None:
        if len(waiting) >= 4:
            await reads.wait()

    async def output() -> AsyncIterator[tuple[int, bytes]]:
        await over.wait()
        return
        yield

    async def typing() -> dict[str, Any]:
        return {"type": "websocket.receive", "bytes": b"\x00" + b"a" * 1000}

    async def deaf(message: Any) -> None:
        return None

    async def code() -> int:
        return 0

    command = Exec(waiting.append, output(), lambda columns, rows: None, code, lambda: None, room)
    serving = asyncio.create_task(serve_exec(command, typing, deaf, stdout=True, stderr=True))
    await asyncio.sleep(0.05)
    held = len(waiting)
    over.set()
    await asyncio.wait_for(serving, 1)
    assert held == 4


async def test_an_output_that_breaks_off_is_told_as_a_failure() -> None:
    async def output() -> AsyncIterator[tuple[int, bytes]]:
        yield 1, b"half"
        raise Permanent("CannotAttach", "the container cannot be attached to: containerd broke off")

    async def silent() -> dict[str, Any]:
        await asyncio.Event().wait()
        return {}

    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    command = Exec(lambda data: None, output(), lambda columns, rows: None, lambda: None, lambda: None)
    await asyncio.wait_for(serve_exec(command, silent, send, stdout=True, stderr=True), 1)
    opened, half, verdict, closed = sent
    assert (opened["bytes"], half["bytes"]) == (b"\x01", b"\x01half")
    assert verdict["bytes"][:1] == b"\x03"
    status = json.loads(verdict["bytes"][1:])
    assert (status["status"], status["message"]) == (
        "Failure", "the container cannot be attached to: containerd broke off",
    )  # fmt: skip
    assert closed == {"type": "websocket.close", "code": 1000}
