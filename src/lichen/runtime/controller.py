# SPDX-License-Identifier: Apache-2.0
"""Controllers: keys of objects that changed go through a queue to `reconcile`, which looks at them afresh."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence

from lichen.model.data import Object
from lichen.model.errors import ApiError, Permanent, Temporary
from lichen.model.metrics import DELAYED, QUEUED, RECONCILES, Values
from lichen.model.state import EventType
from lichen.model.tracing import on_behalf_of
from lichen.runtime.cache import Key, key_of
from lichen.runtime.clock import Clock
from lichen.runtime.informer import Informer
from lichen.runtime.queue import WorkQueue

log = logging.getLogger(__name__)

Reconcile = Callable[[Key], Awaitable[float | None]]
"""Makes one object true; returns the seconds after which to look again, None for when something changes."""
Mapper = Callable[[Object], Iterable[Key]]
"""From an object that changed to the keys that must be looked at again."""


def itself(obj: Object) -> list[Key]:
    return [key_of(obj)]


class Controller:
    """Level-triggered: `reconcile` gets a key and no hint of what changed, and never runs twice at once for one key.
    The keys are of the first source's objects; what is done for one is part of the request that asked for it.

    Temporary: again after its delay, or the back-off. Permanent: logged and kept in `refused`; not tried again until
    something changes. An ApiError or any other exception: again after the back-off, which is capped.
    """

    def __init__(
        self,
        name: str,
        reconcile: Reconcile,
        sources: Sequence[tuple[Informer, Mapper]],
        *,
        clock: Clock,
        workers: int = 4,
    ) -> None:
        self.name = name
        self.refused: dict[Key, Permanent] = {}
        self._reconcile = reconcile
        self._sources = sources
        self._workers = workers
        self._queue: WorkQueue[Key] = WorkQueue(clock)

    def enqueue(self, key: Key) -> None:
        """Have `reconcile` look at a key soon."""
        self._queue.add(key)

    @property
    def idle(self) -> bool:
        """Nothing is in work and nothing is ready; delayed keys do not count."""
        return self._queue.idle

    async def run(self) -> None:
        """Work until cancelled. Begins when the informers are synced, with all objects they know."""
        for informer, _ in self._sources:
            await informer.synced()
        ends = [informer.subscribe(self._listener(mapper)) for informer, mapper in self._sources]
        try:
            with QUEUED.reading(self._depth), DELAYED.reading(self._delayed):
                async with asyncio.TaskGroup() as group:
                    for _ in range(self._workers):
                        group.create_task(self._work())
        finally:
            for end in ends:
                end()
            self._queue.close()

    def _depth(self) -> Values:
        return [((self.name,), len(self._queue))]

    def _delayed(self) -> Values:
        return [((self.name,), self._queue.delayed)]

    def _listener(self, mapper: Mapper) -> Callable[[EventType, Object, Object | None], None]:
        def listen(type_: EventType, obj: Object, old: Object | None) -> None:
            for key in mapper(obj):
                self._queue.add(key)
            if old is not None and old is not obj:
                for key in mapper(old):
                    self._queue.add(key)

        return listen

    async def _work(self) -> None:
        while True:
            key = await self._queue.get()
            try:
                with on_behalf_of(self._sources[0][0].get(key[1], key[0])):
                    await self._once(key)
            finally:
                self._queue.done(key)

    async def _once(self, key: Key) -> None:
        result = "success"
        try:
            again = await self._reconcile(key)
        except Permanent as error:
            result = "refused"
            log.warning("%s %s: %s: %s", self.name, _text(key), error.reason, error.message)
            self.refused[key] = error
            self._queue.forget(key)
        except Temporary as error:
            result = "retry"
            wait = self._queue.retry(key, error.delay)
            log.info("%s %s: %s; again in %.1f s", self.name, _text(key), error.message, wait)
        except (ApiError, OSError) as error:
            result = "retry"
            wait = self._queue.retry(key)
            log.info("%s %s: %s; again in %.1f s", self.name, _text(key), error, wait)
        except Exception:
            result = "error"
            wait = self._queue.retry(key)
            log.exception("%s %s failed; again in %.1f s", self.name, _text(key), wait)
        else:
            self.refused.pop(key, None)
            self._queue.forget(key)
            if again is not None:
                self._queue.add_after(key, again)
        RECONCILES.add(self.name, result)


def _text(key: Key) -> str:
    return "/".join(part for part in key if part)
