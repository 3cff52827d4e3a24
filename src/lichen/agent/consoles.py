# SPDX-License-Identifier: Apache-2.0
"""A guest's serial console as it is written."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack

from lichen.drivers.base import Speaking

MARK = 256
"""Bytes by which the end of what was given is found again after the driver has forgotten the beginning."""
PAUSE = 0.1
"""Seconds in which a chatty guest's words gather."""


async def follow_console(driver: Speaking, guest_id: str, tail: int) -> AsyncIterator[bytes]:
    """The last `tail` lines (0: all), then what comes. Ends when the guest's console has been removed."""
    grown = asyncio.Event()
    with ExitStack() as stack:
        try:
            stack.enter_context(driver.console_grows(guest_id, grown))
        except OSError:
            return
        given = await driver.console(guest_id)
        yield b"".join(given.splitlines(keepends=True)[-tail:])
        while True:
            await grown.wait()
            await asyncio.sleep(PAUSE)
            grown.clear()
            now = await driver.console(guest_id)
            if given and not now:
                return
            if fresh := what_is_new(given, now):
                yield fresh
            given = now


def what_is_new(given: bytes, now: bytes) -> bytes:
    """What follows in `now` on the end of `given`; all of it if nothing is common to them."""
    if now.startswith(given):
        return now[len(given) :]
    mark = given[-MARK:]
    at = now.rfind(mark)
    return now[at + len(mark) :] if at >= 0 else now
