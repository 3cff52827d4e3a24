# SPDX-License-Identifier: Apache-2.0
"""Watches a cloud while tests use it: whatever is on its way or in error must be explained, or the test fails.

    async with witnessed(state): ...            # in a test's own loop
    with witnessing(url, token, ca_file): ...   # a cloud in other processes

What is told is sometimes told in two writes (a pod's status, then its Event): an explanation may lag by GRACE seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path

from lichen.cli.explain import BESIDE, EVERYWHERE
from lichen.client.remote import RemoteCloud
from lichen.kinds.catalog import all_kinds
from lichen.model.data import Object
from lichen.model.kind import Kind
from lichen.model.meta import uid_of
from lichen.model.state import EventType, State
from lichen.planning.causes import World
from lichen.planning.explain import PHASES, unexplained
from lichen.runtime.informer import Informer

GRACE = 5.0


class Witness:
    """Holds a copy of all that explains, and what was not explained for too long."""

    def __init__(self, state: State) -> None:
        known = {kind.resource: kind for kind in all_kinds()}
        self._informers = [Informer(state, known[resource]) for resource in (*EVERYWHERE, *BESIDE, "events")]
        self._suspects: dict[str, tuple[float, Object, str]] = {}
        self.found: list[str] = []

    async def run(self) -> None:
        """Watch until cancelled."""
        for informer in self._informers:
            informer.subscribe(partial(self._told, informer.kind))
        async with asyncio.TaskGroup() as tasks:
            for informer in self._informers:
                tasks.create_task(informer.run())

    def _told(self, kind: Kind, event: EventType, obj: Object, _before: Object | None) -> None:
        world = self.world()
        for uid, (_, suspect, _) in list(self._suspects.items()):
            self._judge(uid, suspect, world)
        if event is EventType.DELETED:
            self._suspects.pop(uid_of(obj), None)
        elif kind.kind in PHASES:
            self._judge(uid_of(obj), _whole(kind, obj), world)

    def _judge(self, uid: str, obj: Object, world: World) -> None:
        words = unexplained(obj, world)
        since, *_ = self._suspects.get(uid, (time.monotonic(),))
        if not words:
            self._suspects.pop(uid, None)
            return
        self._suspects[uid] = (since, obj, words)
        if time.monotonic() - since > GRACE and words not in self.found:
            self.found.append(words)

    def world(self) -> World:
        *things, events = self._informers
        objects = [_whole(informer.kind, obj) for informer in things for obj in informer.items.values()]
        return World(objects, list(events.items.values()))

    async def verdict(self) -> None:
        """AssertionError: something was, or is after its grace, not explained."""
        until = time.monotonic() + GRACE
        while self._suspects and time.monotonic() < until:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
        found = [*self.found, *(words for _, _, words in self._suspects.values() if words not in self.found)]
        assert not found, "not explained:\n" + "\n".join(found)


def _whole(kind: Kind, obj: Object) -> Object:
    return {"apiVersion": kind.api_version, "kind": kind.kind, **obj}


@contextlib.asynccontextmanager
async def witnessed(state: State) -> AsyncIterator[Witness]:
    """What happens in `state` within the block is explained, or the block fails."""
    witness = Witness(state)
    task = asyncio.create_task(witness.run())
    try:
        yield witness
        assert not task.done(), task.exception()
        await witness.verdict()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@contextlib.contextmanager
def witnessing(url: str, token: str, ca_file: Path) -> Iterator[None]:
    """The same of a cloud in other processes, from a thread."""
    ended = threading.Event()
    failures: list[BaseException] = []

    async def watch() -> None:
        async with RemoteCloud(url, token=token, ca_file=ca_file) as cloud, witnessed(cloud.state):
            while not ended.is_set():  # noqa: ASYNC110
                await asyncio.sleep(0.05)

    def work() -> None:
        try:
            asyncio.run(watch())
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=work, name="witness", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(GRACE + 30)
    assert not thread.is_alive(), "the witness does not end"
    if failures:
        raise failures[0]
