# SPDX-License-Identifier: Apache-2.0
"""The witness itself: what it lets pass, and what it does not."""

from __future__ import annotations

import asyncio

import pytest

from lichen.kinds.builtin import POD
from lichen.kinds.compute.server import Server
from lichen.model.data import Object
from lichen.model.kind import Kind, new_object
from lichen.store.memory import MemoryStore

from . import witness
from .witness import witnessed


@pytest.fixture(autouse=True)
def _short_grace(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(witness, "GRACE", 0.2)


async def seen(kind: Kind, status: Object, spec: Object) -> None:
    """One object of that status, under a witness."""
    store = MemoryStore()
    async with witnessed(store):
        await store.create(kind, new_object(kind, "x", "demo", spec) | {"status": status})
        await asyncio.sleep(0.1)


async def test_a_server_in_error_without_a_word_fails_the_test():
    with pytest.raises(AssertionError, match="server demo/x is Error, and nobody says why"):
        await seen(Server.KIND, {"phase": "Error"}, {"flavor": "f"})


async def test_a_pod_that_failed_without_a_word_fails_the_test():
    with pytest.raises(AssertionError, match="pod demo/x is Failed, and nobody says why"):
        await seen(POD, {"phase": "Failed"}, {"containers": []})


async def test_a_server_in_error_with_its_fault_passes():
    await seen(Server.KIND, {"phase": "Error", "fault": "the disk is full"}, {"flavor": "f"})


async def test_a_pod_that_the_scheduler_has_not_seen_passes_as_that_is_told():
    await seen(POD, {"phase": "Pending"}, {"containers": []})
