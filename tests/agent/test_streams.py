# SPDX-License-Identifier: Apache-2.0
"""A command's streams over a WebSocket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from lichen.agent.streams import serve_exec
from lichen.drivers.base import Exec


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
