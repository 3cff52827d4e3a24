# SPDX-License-Identifier: Apache-2.0
"""Informers: one list and one watch keep a copy of a kind's objects, and tell what changes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import aclosing

from lichen.model.data import Object
from lichen.model.errors import ApiError, Expired
from lichen.model.kind import Kind
from lichen.model.meta import revision_of
from lichen.model.state import EventType, State
from lichen.planning.times import backoff
from lichen.runtime.cache import Cache, Delta, IndexFn, Key
from lichen.runtime.clock import Clock, SystemClock

log = logging.getLogger(__name__)

Subscriber = Callable[[EventType, Object, Object | None], None]
"""Called with ADDED, MODIFIED or DELETED, the object, and what was known of it before."""

BACKOFF_BASE, BACKOFF_LIMIT = 0.1, 5.0


class Informer:
    """A copy of what `state` holds of a kind. `run` keeps it; everything else reads it.

    A broken watch is resumed where it broke; only a revision that was compacted makes it list again. Objects are
    shared by all readers: treat them as read-only.
    """

    def __init__(
        self,
        state: State,
        kind: Kind,
        namespace: str | None = None,
        labels: str = "",
        fields: str = "",
        *,
        clock: Clock | None = None,
    ) -> None:
        self.kind = kind
        self._state = state
        self._namespace = namespace
        self._labels = labels
        self._fields = fields
        self._clock = clock or SystemClock()
        self._cache = Cache()
        self._subscribers: list[Subscriber] = []
        self._revision: int | None = None
        self._moved: list[tuple[int, asyncio.Future[None]]] = []
        self._failures = 0

    @property
    def items(self) -> Mapping[Key, Object]:
        """All objects by (namespace, name)."""
        return self._cache.items

    @property
    def revision(self) -> int:
        """How far the copy has come; 0: nothing was listed yet."""
        return self._revision or 0

    @property
    def is_synced(self) -> bool:
        return self._revision is not None

    def get(self, name: str, namespace: str = "") -> Object | None:
        return self._cache.items.get((namespace, name))

    def add_index(self, name: str, fn: IndexFn) -> None:
        """Have objects found by the values that `fn` gives for them; the same name again changes nothing."""
        self._cache.add_index(name, fn)

    def by_index(self, name: str, value: str) -> list[Object]:
        return self._cache.by_index(name, value)

    def subscribe(self, subscriber: Subscriber) -> Callable[[], None]:
        """Tell `subscriber` all changes, beginning with ADDED for what is known; the result ends it."""
        for obj in list(self.items.values()):
            self._tell(subscriber, Delta(EventType.ADDED, obj, None))
        self._subscribers.append(subscriber)
        return lambda: self._subscribers.remove(subscriber)

    async def synced(self) -> None:
        """Returns once the first list is there."""
        await self.caught_up(0)

    async def caught_up(self, revision: int) -> None:
        """Returns once the copy is at least as new as `revision`."""
        if self._revision is None or self._revision < revision:
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._moved.append((revision, future))
            await future

    async def run(self) -> None:
        """Keep the copy until cancelled."""
        while True:
            try:
                if self._revision is None:
                    await self._list()
                await self._watch()
            except Expired as error:
                log.info("%s: listing again: %s", self.kind, error.message)
                await self._relist()
            except (ApiError, OSError) as error:
                await self._back_off(error)

    async def _relist(self) -> None:
        try:
            await self._list()
        except (ApiError, OSError) as error:
            await self._back_off(error)

    async def _back_off(self, error: Exception) -> None:
        self._failures += 1
        delay = backoff(self._failures, base=BACKOFF_BASE, limit=BACKOFF_LIMIT)
        log.info("%s: %s: again in %.1f s", self.kind, error, delay)
        await self._clock.sleep(delay)

    async def _list(self) -> None:
        page = await self._state.list(self.kind, self._namespace, labels=self._labels, fields=self._fields)
        for delta in self._cache.replace(page.items):
            self._tell_all(delta)
        self._move_to(page.revision)

    async def _watch(self) -> None:
        events = self._state.watch(
            self.kind,
            self._namespace,
            labels=self._labels,
            fields=self._fields,
            since=self._revision,
            bookmarks=True,
        )
        seen = False
        async with aclosing(events):  # type: ignore[type-var]
            async for event in events:
                seen = True
                self._failures = 0
                if event.type is not EventType.BOOKMARK:
                    delta = self._cache.apply(event)
                    if delta is not None:
                        self._tell_all(delta)
                self._move_to(revision_of(event.object))
        if not seen:
            await self._clock.sleep(BACKOFF_BASE)

    def _move_to(self, revision: int) -> None:
        self._revision = revision
        if self._moved:
            due = [future for wanted, future in self._moved if wanted <= revision]
            self._moved = [item for item in self._moved if item[0] > revision]
            for future in due:
                if not future.done():
                    future.set_result(None)

    def _tell_all(self, delta: Delta) -> None:
        for subscriber in tuple(self._subscribers):
            self._tell(subscriber, delta)

    def _tell(self, subscriber: Subscriber, delta: Delta) -> None:
        try:
            subscriber(*delta)
        except Exception:
            log.exception("%s: a subscriber failed on %s %s", self.kind, delta.type, delta.object["metadata"]["name"])
