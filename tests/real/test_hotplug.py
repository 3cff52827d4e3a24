# SPDX-License-Identifier: Apache-2.0
"""Interfaces plugged into and out of a running guest, over a tap that is made here."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator

import pytest

from lichen.drivers.base import GuestNic
from tests.conformance.guests import running
from tests.real.machine import run
from tests.real.test_guests import QemuBench, bench

__all__ = ["bench"]
pytestmark = pytest.mark.real


@pytest.fixture
async def taps() -> AsyncIterator[tuple[str, str]]:
    names = f"lx{secrets.token_hex(4)}", f"lx{secrets.token_hex(4)}"
    for name in names:
        await run("ip", "tuntap", "add", name, "mode", "tap", "vnet_hdr")
        await run("ip", "link", "set", name, "up")
    yield names
    for name in names:
        await run("ip", "link", "del", name)


async def carries(tap: str) -> bool:
    """Whether a QEMU has the tap open."""
    return "LOWER_UP" in await run("ip", "link", "show", tap)


async def test_an_interface_is_plugged_in_stays_over_a_reset_and_is_taken_out(
    bench: QemuBench, taps: tuple[str, str]
) -> None:
    first, second = GuestNic(taps[0], "fa:16:3e:00:00:01"), GuestNic(taps[1], "fa:16:3e:00:00:02")
    guest = await running(bench, nics=(first,))
    for _ in range(2):
        await bench.guests.attach_nic(guest.id, second)
    assert (await bench.guests.discover())[guest.id].nics == (first.mac, second.mac)
    assert await carries(taps[1])
    await bench.guests.reset(guest.id)
    await bench.booted(guest.id, 2)
    assert await carries(taps[1])
    for _ in range(2):
        await bench.guests.detach_nic(guest.id, second.mac)
    assert (await bench.guests.discover())[guest.id].nics == (first.mac,)
    async with asyncio.timeout(5):
        while await carries(taps[1]):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    await bench.guests.detach_nic(guest.id, first.mac)
    assert (await bench.guests.discover())[guest.id].nics == ()
