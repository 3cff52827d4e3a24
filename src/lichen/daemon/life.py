# SPDX-License-Identifier: Apache-2.0
"""How a process of the cloud lives: one event loop, until SIGTERM or its parent's end."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import os
import signal
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

_PR_SET_PDEATHSIG = 1
_YOUNG = 20_000
"""Containers made, and not freed, before the garbage collector looks through them. With Python's 700, a process that
takes in thousands of objects spends a quarter of its time on looking."""

Main = Callable[[asyncio.Event], Awaitable[None]]


def run_until_stopped(main: Main) -> int:
    """Run `main(stopped)` on uvloop; SIGTERM and SIGINT set `stopped`. main returns when it has put itself away."""
    import uvloop

    async def body() -> None:
        stopped = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stopped.set)
        gc.freeze()
        gc.set_threshold(_YOUNG, 10, 10)
        gc.enable()
        await main(stopped)

    uvloop.run(body())
    return 0


def end_with_parent() -> None:
    """Get SIGTERM when the supervisor ends, however it ends."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() == 1:
        os.kill(os.getpid(), signal.SIGTERM)


async def until_first(*works: Coroutine[Any, Any, Any]) -> None:
    """Wait until one of the works ends; raise what it raised; cancel the others."""
    tasks = [asyncio.ensure_future(work) for work in works]
    done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    await asyncio.gather(*pending, return_exceptions=True)
    for task in done:
        task.result()
